"""One shard on its way to the source: what is held of it, when it is due, what became of it.

Nothing here waits: the `Flusher` does, and asks this in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final, NamedTuple

from freshwell._async.coordination.delivering import Report
from freshwell._kit.aio import Signal
from freshwell.engines.window import Handout, Window
from freshwell.ground.flushes import FlushOptions
from freshwell.ground.records import Record, Settled

__all__ = ["Lane", "Verdict", "verdict_of"]

_RECHECK_NS: Final = 30_000_000_000

WaitNs = Callable[[int], int]
"""How long to wait after so many attempts."""


class Verdict(NamedTuple):
    """What the journal is told of a report, and what the window is.

    `failed`: with how often the source has refused them by now. `apart`: to be delivered one by
    one. `retried`: reasons.
    """

    settled: Settled
    failed: tuple[tuple[Handout, int], ...]
    dead: tuple[Handout, ...]
    apart: tuple[Handout, ...]
    retried: tuple[str, ...]


def verdict_of(report: Report, max_attempts: int) -> Verdict:
    """Decide which failures are final.

    One that has failed too often takes the records it covers with it: its key had its tries. Of a
    rejected one they are to be delivered first, for the source has said nothing of them; then the
    entry has no later write than the one that dies.
    """
    failed: list[tuple[Handout, int]] = []
    retried: list[str] = []
    rejected = [(handout, reason) for handout, reason in report.rejected if not _covers(handout)]
    dead = [handout for handout, _ in rejected]
    letters = [(_refused(handout.record), reason) for handout, reason in rejected]
    for handout, reason in report.failed:
        record = _refused(handout.record)
        if record.attempts < max_attempts:
            failed.append((handout, record.attempts))
            retried.append(reason)
        else:
            dead.append(handout)
            letters += [(covered, reason) for covered in (*handout.covers[:-1], record)]
    settled = Settled(
        stored=tuple(record for handout in report.stored for record in handout.covers),
        failed=tuple(handout.record._replace(attempts=n) for handout, n in failed),
        dead=tuple(letters),
    )
    apart = tuple(handout for handout, _ in report.rejected if _covers(handout))
    return Verdict(settled, tuple(failed), tuple(dead), apart, tuple(retried))


def _covers(handout: Handout) -> bool:
    return len(handout.covers) > 1


def _refused(record: Record) -> Record:
    return record._replace(attempts=record.attempts + 1)


class Lane:
    """What the flusher holds of one shard.

    Changed by the one who works on it alone; `begin`, `end` and `close` see to it that there is
    one, or none. By `hurry` and `wake` anybody may tell that it should not wait for more.
    `calling`: the source has been called, and it is not known what came of it.
    """

    def __init__(self, shard: int, options: FlushOptions) -> None:
        self.shard = shard
        self.window = Window(
            most_records=options.window_records,
            most_bytes=options.window_bytes,
            coalesce=options.coalesce,
        )
        self.wake = Signal()
        self.hurry = False
        self.calling = False
        self.troubles = 0
        self.recheck_ns: int | None = None
        self._batch = options.batch
        self._flush_every_ns = options.flush_every_ns
        self._since_ns: int | None = None
        self._mutex = Lock()
        self.at_work = False
        self._closed = False

    def begin(self) -> bool:
        """Let the caller work on it. False: somebody does."""
        with self._mutex:
            if self.at_work:
                return False
            self.at_work, self.calling = True, False
            return True

    def end(self) -> None:
        """Let somebody else work on it."""
        with self._mutex:
            self.at_work = False

    def begin_call(self) -> bool:
        """Tell whether to call the source. False: it has been closed."""
        with self._mutex:
            self.calling = not self._closed
            return self.calling

    def close(self) -> None:
        """Let no call of the source begin any more."""
        with self._mutex:
            self._closed = True
        self.wake.notify()

    def reset(self) -> None:
        """Forget what was taken."""
        self.window.clear()
        self.recheck_ns = self._since_ns = None

    def add(self, records: Sequence[Record], now_ns: int, wait_ns: WaitNs) -> None:
        """Hold records that were taken. Those that had failed before wait as after a failure."""
        if records and not self.window.ready(now_ns):
            self._since_ns = now_ns
        self.window.add(records)
        for record in records:
            if record.attempts:
                self.window.park(record.name, now_ns + wait_ns(record.attempts))

    def is_due(self, now_ns: int, *, hurry: bool) -> bool:
        """Tell whether to hand out now: a batch is there, or the first has waited long enough."""
        ready = self.window.ready(now_ns)
        if hurry or ready >= self._batch or self._since_ns is None:
            return ready > 0
        return ready > 0 and now_ns - self._since_ns >= self._flush_every_ns

    def hand_out(self, now_ns: int, limit: int, most_bytes: int) -> list[Handout]:
        """Return what to deliver now. What is left is late already: it is due at once."""
        handouts = self.window.hand_out(now_ns, limit, most_bytes)
        self._since_ns = None
        return handouts

    def apply(self, report: Report, verdict: Verdict, now_ns: int, wait_ns: WaitNs) -> None:
        """Note what the journal has been told."""
        for handout in report.stored:
            self.window.stored(handout)
        for handout, attempts in verdict.failed:
            self.window.failed(handout, attempts, now_ns + wait_ns(attempts))
        for handout in verdict.dead:
            self.window.dead(handout)
        for handout in verdict.apart:
            self.window.apart(handout)
        self.window.back(report.back)
        self.window.back(report.last, last=True)
        if verdict.dead and self.recheck_ns is None:
            # A journal whose dead letters are full has kept them: they are taken again then.
            self.recheck_ns = now_ns + _RECHECK_NS
