"""What goes wrong without an exception: counted each time, and said in the log now and then.

Reads go on when L2 is down, when stored bytes are worth nothing, when a refresh fails. Nobody
is told by an exception, so somebody is told by the logger ``freshwell``: one record for each
kind of incident and cache, and no second one within a minute. Records name errors by their
class and never hold keys or values.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from freshwell.engines.bus import Bus
from freshwell.engines.counters import Counters
from freshwell.errors import JournalError, StoreUnavailable
from freshwell.ground.events import Degraded

__all__ = ["Incidents"]

_LOGGER: Final = logging.getLogger("freshwell")
_QUIET_NS: Final = 60_000_000_000


class Incidents:
    """The incidents of one cache. Any thread may report one; none waits."""

    def __init__(
        self,
        counters: Counters,
        namespace: str,
        now_ns: Callable[[], int] = time.monotonic_ns,
        *,
        bus: Bus | None = None,
    ) -> None:
        self._counters = counters
        self._namespace = namespace
        self._bus = bus
        self._now_ns = now_ns
        self._said_ns: dict[str, int] = {}
        self._unsaid: dict[str, int] = {}

    def l2_failed(self, error: StoreUnavailable) -> None:
        """L2 did not answer, or with an error."""
        self._counters.l2_errors += 1
        self._say("L2 failed", str(error))

    def untracked(self, error: StoreUnavailable) -> None:
        """L2 will not tell of changes: L1 lives by its bound alone."""
        self._say("L1 is kept for max_staleness only", str(error))

    def rejected(self, reason: str) -> None:
        """Bytes in L2 were no entry of ours."""
        self._counters.rejected_frames += 1
        self._say("bytes in L2 were rejected", reason)

    def undecodable(self, reason: str) -> None:
        """An entry of ours could not be read by the codec in force."""
        self._counters.codec_errors += 1
        self._say("an entry could not be decoded", reason)

    def oversize(self, found_bytes: int, most_bytes: int) -> None:
        """A value was too large to be stored."""
        self._counters.oversize += 1
        self._say("a value was not stored", f"{found_bytes} bytes are more than {most_bytes}")

    def refresh_failed(self, error: Exception) -> None:
        """A load in the background raised."""
        self._counters.refresh_errors += 1
        self._say("a refresh failed", type(error).__qualname__)

    def served_stale(self, error: Exception) -> None:
        """A load failed, and an entry past its TTL was served."""
        self._counters.stale_on_error += 1
        self._say("a stale entry was served", type(error).__qualname__)

    def load_late(self, limit_s: float) -> None:
        """A load took longer than it may."""
        self._counters.load_timeouts += 1
        self._say("a load took too long", f"it was not over after {limit_s:g} s")

    def shed(self, waited_s: float) -> None:
        """A load was refused because too many were running."""
        self._counters.shed += 1
        self._say("a load was shed", f"no slot came free in {waited_s:g} s")

    def write_refused(self, reason: str) -> None:
        """The source did not take a write, which is tried again."""
        self._counters.writes_retried += 1
        self._say("the source refused a write", reason)

    def write_died(self, reason: str) -> None:
        """A write became a dead letter."""
        self._counters.writes_dead += 1
        self._say("a write became a dead letter", reason)

    def writes_lost(self, records: int) -> None:
        """Writes were not in the journal any more when it was told what came of them."""
        self._counters.writes_lost += records
        self._say("the journal has lost writes", f"{records} were gone when they were settled")

    def source_down(self, reason: str) -> None:
        """The source takes no writes: they wait until it does."""
        self._counters.flush_errors += 1
        self._say("the source is down", reason)

    def journal_failed(self, error: JournalError) -> None:
        """The journal did not answer, or with an error."""
        self._counters.flush_errors += 1
        self._say("the journal failed", str(error))

    def flush_failed(self, error: Exception) -> None:
        """What was delivered could not be settled: it will be delivered again."""
        self._counters.flush_errors += 1
        self._say("a flush failed", type(error).__qualname__)

    def writes_left(self, records: int, durability: str) -> None:
        """A journal was closed before all was flushed."""
        lost = "lost" if durability == "memory" else "kept for the next process that opens it"
        self._say("a journal was closed with writes in it", f"{records} are {lost}")

    def _say(self, kind: str, detail: str) -> None:
        if self._bus is not None and self._bus.heard:
            self._bus.tell(Degraded(self._namespace, kind, detail))
        now_ns = self._now_ns()
        said_ns = self._said_ns.get(kind)
        if said_ns is not None and now_ns - said_ns < _QUIET_NS:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said_ns[kind] = now_ns
        more = self._unsaid.pop(kind, 0)
        since = f" ({more} more since the last record)" if more else ""
        _LOGGER.warning("cache %s: %s: %s%s", self._namespace, kind, detail, since)
