"""For tests of code that caches: time, faults, counts, a broken network.

Nothing here needs pytest. `freshwell.testing.conformance` does, which has the suites for
sources, journals and stores of one's own; so do the fixtures, which pytest finds by itself. See
the how-to on testing.
"""

from __future__ import annotations

from freshwell.testing.chaos import Chaos, Fault, InjectedFault
from freshwell.testing.clock import FakeClock
from freshwell.testing.loaders import AsyncCountingLoader, CountingLoader
from freshwell.testing.proxy import DOWN, UP, FaultProxy
from freshwell.testing.watching import Incident, Seen, watched

__all__ = [
    "DOWN",
    "UP",
    "AsyncCountingLoader",
    "Chaos",
    "CountingLoader",
    "FakeClock",
    "Fault",
    "FaultProxy",
    "Incident",
    "InjectedFault",
    "Seen",
    "watched",
]
