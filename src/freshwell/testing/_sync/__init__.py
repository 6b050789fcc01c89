"""The suites of `freshwell.testing.conformance`, written once for both colours."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that
