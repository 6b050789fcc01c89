"""What goes wrong without an exception: counted each time, and said in the log now and then.

Reads go on when L2 is down, when stored bytes are worth nothing, when a refresh fails. Nobody
is told by an exception, so somebody is told by the logger ``freshwell``: one record for each
kind of incident and cache, and no second one within a minute. Records name errors by their
class and never hold keys or values. What they say is in fields of theirs too, for logs that are
read by programs: ``freshwell_namespace``, ``_kind``, ``_detail`` and ``_left_out``.
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
_NS_PER_S: Final = 1_000_000_000
_QUIET_NS: Final = 60 * _NS_PER_S


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
        """L2 did not answer, or with an error; or it was not asked, which was said before."""
        if not error.was_asked:
            self._counters.l2_refused += 1
            return
        self._counters.l2_errors += 1
        self._say("L2 failed", str(error))

    def l2_left_alone(self, error: StoreUnavailable) -> None:
        """A server of L2 is not asked from now on, until a probe is answered."""
        self._counters.l2_openings += 1
        self._say("L2 is left alone", str(error))

    def l2_is_back(self, after_ns: int) -> None:
        """A server of L2 is asked again."""
        self._say("L2 is back", f"after {after_ns / _NS_PER_S:.1f} s")

    def l2_slow(self, allowed_ns: int) -> None:
        """L2 has had its time for one read, which goes on without it."""
        self._counters.l2_slow += 1
        self._say("L2 was too slow for a read", f"{allowed_ns / _NS_PER_S:g} s were not enough")

    def spooled(self, records: int, waiting: int) -> None:
        """L2 did not take invalidations, and the spool did."""
        self._counters.spooled += records
        self._say("invalidations wait for L2", f"the spool holds {waiting}")

    def spool_refused(self, reason: str) -> None:
        """The spool did not take invalidations either: their callers are told by an exception."""
        self._say("the spool refused invalidations", reason)

    def spool_failed(self, error: JournalError) -> None:
        """What L2 has been told stays in the spool's file, and will be told once more."""
        self._say("the spool failed", str(error))

    def spool_left(self, records: int, *, durable: bool) -> None:
        """A cache was closed before L2 was told of all."""
        kept = "kept for the next process that opens the file" if durable else "lost"
        self._say("a cache was closed with invalidations in its spool", f"{records} are {kept}")

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
        fields = {
            "freshwell_namespace": self._namespace,
            "freshwell_kind": kind,
            "freshwell_detail": detail,
            "freshwell_left_out": more,
        }
        _LOGGER.warning("cache %s: %s: %s%s", self._namespace, kind, detail, since, extra=fields)
