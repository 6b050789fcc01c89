"""Every test gets the test kit: see tests/support and CONTRIBUTING.md."""

from __future__ import annotations

pytest_plugins = ["pytester", "tests.support.plugin"]
