"""The clock of `freshwell.testing`, by the name that it had here."""

from __future__ import annotations

from freshwell.testing import FakeClock

__all__ = ["ManualClock"]

ManualClock = FakeClock
