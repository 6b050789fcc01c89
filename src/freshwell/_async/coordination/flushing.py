"""Flush: take accepted writes from a journal, deliver them to the source, settle them.

Each shard has a *lane*, which works alone while this process owns the shard: it takes records into
a window, hands out what is due, and settles what came of it. Where anything is in doubt (the
shard was lost, the journal did not answer, the cache could not be told) it forgets its window and
takes from the beginning: what is not settled is delivered again. So delivery is at least once,
and in order per key.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from freshwell._async.coordination.delivering import Courier, Deliver, Report
from freshwell._async.coordination.lane import Lane, verdict_of
from freshwell._async.coordination.tenure import Tenure
from freshwell._async.stores.journal import Journal
from freshwell._kit.aio import Owner, Signal, sleep
from freshwell.engines.breaker import Breaker, Passage
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.window import Handout
from freshwell.errors import FreshwellError, JournalError
from freshwell.ground.backoff import backoff_ns
from freshwell.ground.downs import is_down
from freshwell.ground.flushes import FlushOptions
from freshwell.ground.records import Settled, ShardLost

__all__ = ["Flusher", "Settle"]

Settle = Callable[[int, Settled], Awaitable[int]]
"""Notes what came of a shard's records, in the journal and wherever else, as `Journal.settle`."""

_NS_PER_S: Final = 1_000_000_000
_POLL_S: Final = (0.01, 1.0)
_TROUBLE_NS: Final = (_NS_PER_S // 10, 5 * _NS_PER_S)
_GRACE_S: Final = 0.25


class Flusher:
    """Flushes one journal to one source, in the background between `start` and `aclose`.

    Safe for any number of tasks of one loop, or threads. Nothing waits without a limit but the
    source's own calls. `settle` is awaited when the source has been called: what it raises leaves
    the records where they are, to be delivered again. `look` is awaited now and then: it sees how
    much waits, for those who watch.
    """

    def __init__(
        self,
        journal: Journal,
        deliver: Deliver,
        settle: Settle,
        *,
        options: FlushOptions,
        counters: Counters,
        incidents: Incidents,
        is_down: Callable[[BaseException], bool] = is_down,
        look: Callable[[], Awaitable[object]] | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._note = settle
        self._options = options
        self._counters = counters
        self._incidents = incidents
        self._now_ns = now_ns
        self._uniform = uniform
        self._breaker = Breaker(base_ns=options.breaker_base_ns, most_ns=options.breaker_most_ns)
        self._courier = Courier(
            deliver,
            self._breaker,
            incidents,
            batch=options.batch,
            is_down=is_down,
            now_ns=now_ns,
            uniform=uniform,
        )
        self._tenure = Tenure(journal, incidents, trust_ns=options.trust_ns, now_ns=now_ns)
        self._lanes = [Lane(shard, options) for shard in range(journal.shards)]
        self._works = Owner("flusher", len(self._lanes))
        self._beats = Owner("flusher", 1)
        self._stop_beat = Signal()
        self._look = look
        self._looks = Owner("flusher", 1)
        self._stop_looking = Signal()
        self.begun = False
        """Whether this flushes, or has."""
        self._stopping = self._drained = False
        low_s, high_s = _POLL_S
        self._idle_s = min(max(options.flush_every_ns / _NS_PER_S, low_s), high_s)
        self._poll_s = max(self._idle_s / 4, low_s)
        self._beat_s = options.beat_ns / _NS_PER_S
        self._look_s = options.look_ns / _NS_PER_S

    @property
    def parked(self) -> int:
        """How many keys wait for another try."""
        return sum(lane.window.parked for lane in self._lanes)

    @property
    def source_down(self) -> bool:
        """Whether the source was down when it was last called."""
        return self._breaker.is_open

    def start(self) -> None:
        """Begin, or begin anew what has ended by itself. Nothing where all is at work."""
        if self._stopping:
            return
        self.begun = True
        for lane in self._lanes:
            if not lane.at_work:
                self._works.spawn("lane", partial(self._run, lane))
        if not len(self._beats):
            self._beats.spawn("beat", self._beat)
        if self._look is not None and not len(self._looks):
            self._looks.spawn("look", partial(self._look_again, self._look))

    def flush_now(self) -> None:
        """Flush without waiting for a batch to fill. Returns at once."""
        self.start()
        for lane in self._lanes:
            lane.hurry = True
            lane.wake.notify()

    async def flush(self, timeout_s: float) -> bool:
        """Flush what is in the journal now, and wait until it is settled, whoever does it.

        False after `timeout_s` seconds: it goes on in the background. Raises `JournalUnavailable`
        where the journal has not said once what it holds.
        """
        self.start()
        return await self.settled(timeout_s)

    async def settled(self, timeout_s: float) -> bool:
        """Wait as `flush` does, and leave it to others where this was never started."""
        deadline_s = time.monotonic() + timeout_s
        newest: list[int] | None = None
        pause_s = 0.005
        while True:
            if self.begun:
                self.flush_now()
            left_s = deadline_s - time.monotonic()
            try:
                if newest is None:
                    newest = await self._journal.newest()
                oldest = await self._journal.oldest()
            except JournalError as error:
                if newest is None and left_s <= 0:
                    raise
                self._incidents.journal_failed(error)
            else:
                if all(not old or old > new for old, new in zip(oldest, newest, strict=True)):
                    return True
            if left_s <= 0:
                return False
            await sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, 0.2)

    async def aclose(self, drain_s: float) -> bool:
        """Flush for up to `drain_s` seconds, stop, and let other processes have the shards.

        Tells whether all that was accepted has been settled. A call of the source that is not
        over by then is given up, as far as it can be, and its shard left to run out.
        """
        if self._stopping:
            return self._drained
        deadline_s = time.monotonic() + drain_s
        try:
            self._drained = self.begun and await self._drain(drain_s)
        finally:
            self._stopping = True
            for lane in self._lanes:
                lane.close()
            await self._works.aclose(max(deadline_s - time.monotonic(), _GRACE_S))
            self._stop_beat.notify()
            self._stop_looking.notify()
            await self._beats.aclose(_GRACE_S)
            await self._looks.aclose(_GRACE_S)
            await self._release()
        return self._drained

    # -- the background ----------------------------------------------------------------------

    async def _beat(self) -> None:
        while not await self._stop_beat.wait(self._beat_s):
            try:
                await self._tenure.renew()
            except Exception as error:  # noqa: BLE001 - the beat must go on
                self._incidents.flush_failed(error)
            self.start()

    async def _look_again(self, look: Callable[[], Awaitable[object]]) -> None:
        """Look now and then, apart from the beat: a slow journal must not cost the shards."""
        pause_s = self._beat_s  # the first look comes soon, for who watches a start
        while not await self._stop_looking.wait(pause_s):
            with suppress(FreshwellError):  # the lanes say what the journal does not answer
                await look()
            pause_s = self._look_s

    async def _run(self, lane: Lane) -> None:
        if not lane.begin():
            return
        try:
            while not self._stopping:
                pause_s = await self._round_guarded(lane)
                if pause_s:
                    await lane.wake.wait(pause_s)
                else:
                    await sleep(0)  # others have their turn even where no journal waits
        finally:
            lane.reset()
            lane.end()

    async def _round_guarded(self, lane: Lane) -> float:
        """Do one round, and return how long to wait. After trouble all begins anew, and later."""
        try:
            return await self._round(lane)
        except ShardLost:
            pass
        except JournalError as error:
            self._incidents.journal_failed(error)
        except Exception as error:  # noqa: BLE001 - the lane must go on
            self._incidents.flush_failed(error)
        lane.calling = False
        lane.troubles += 1
        self._doubt(lane)
        base_ns, most_ns = _TROUBLE_NS
        wait_ns = backoff_ns(lane.troubles, base_ns=base_ns, most_ns=most_ns, u=self._uniform())
        return wait_ns / _NS_PER_S

    async def _round(self, lane: Lane) -> float:
        """Take what there is room for, deliver what is due. Returns how long to wait then."""
        if not self._tenure.holds(lane.shard):
            lane.reset()
            if not await self._tenure.begin(lane.shard):
                return self._beat_s
        if lane.recheck_ns is not None and self._now_ns() >= lane.recheck_ns:
            lane.reset()
        hurry, lane.hurry = lane.hurry, False
        took = await self._take(lane)
        now_ns = self._now_ns()
        if hurry and (took or lane.window.ready(now_ns)):
            lane.hurry = True  # until there is nothing more
        if not lane.window:
            lane.troubles = 0
            return self._idle_s
        if not lane.is_due(now_ns, hurry=hurry):
            return self._poll_s
        handouts = self._hand_out(lane, now_ns)
        if not handouts:
            return self._poll_s
        await self._deliver(lane, handouts)
        lane.troubles = 0
        return 0.0

    async def _take(self, lane: Lane) -> bool:
        window = lane.window
        if window.room <= 0 or window.ready(self._now_ns()) >= self._options.batch:
            return False
        limit = min(window.room, self._options.batch)
        records = await self._journal.take(lane.shard, window.last, limit)
        lane.add(records, self._now_ns(), self._wait_ns)
        return bool(records)

    def _hand_out(self, lane: Lane, now_ns: int) -> list[Handout]:
        if not self._tenure.holds(lane.shard):
            return []
        passage = self._breaker.allows(now_ns)
        if passage is Passage.NO:
            return []
        most = 1 if passage is Passage.PROBE else self._courier.most
        return lane.hand_out(now_ns, most, self._options.batch_bytes)

    async def _deliver(self, lane: Lane, handouts: Sequence[Handout]) -> None:
        if not lane.begin_call():
            return
        report = await self._courier.run(handouts)
        lane.calling = False
        await self._settle(lane, report)

    async def _settle(self, lane: Lane, report: Report) -> None:
        verdict = verdict_of(report, self._options.max_attempts)
        settled = verdict.settled
        if any(settled):
            lost = await self._note(lane.shard, settled)
            if lost:
                self._incidents.writes_lost(lost)
        self._counters.writes_stored += len(settled.stored)
        for reason in verdict.retried:
            self._incidents.write_refused(reason)
        for _, reason in settled.dead:
            self._incidents.write_died(reason)
        lane.apply(report, verdict, self._now_ns(), self._wait_ns)

    def _wait_ns(self, attempts: int) -> int:
        return backoff_ns(
            attempts,
            base_ns=self._options.retry_base_ns,
            most_ns=self._options.retry_most_ns,
            u=self._uniform(),
        )

    def _doubt(self, lane: Lane) -> None:
        self._tenure.end(lane.shard)
        lane.reset()

    # -- the end -----------------------------------------------------------------------------

    async def _drain(self, drain_s: float) -> bool:
        try:
            return await self.flush(drain_s)
        except JournalError as error:
            self._incidents.journal_failed(error)
            return False

    async def _release(self) -> None:
        shards = [lane.shard for lane in self._lanes if not lane.calling]
        try:
            await self._journal.release(shards)
        except JournalError as error:  # they run out by themselves
            self._incidents.journal_failed(error)
