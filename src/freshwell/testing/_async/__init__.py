"""The suites of `freshwell.testing.conformance`, written once for both colours."""

from __future__ import annotations
