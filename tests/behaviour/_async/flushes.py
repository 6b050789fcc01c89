"""A source and a flusher before it, for tests of flushing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, Self

from freshwell._async.coordination.flushing import Flusher
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.window import Handout
from freshwell.ground.batches import STORED, Outcome
from freshwell.ground.downs import is_down as by_default
from freshwell.ground.flushes import FlushOptions
from freshwell.ground.records import Record, Settled
from tests.behaviour._async.journals import Ledger, MemoryJournal, draft
from tests.support.aio import Latch

__all__ = ["LONG", "MS", "Fails", "Fleet", "Refused", "S", "Target", "refusing"]

MS = 1_000_000
S = 1_000 * MS
LONG = 20.0
"""Seconds, for what should take none."""

Fails = Callable[[list[bytes]], Exception | None]
"""Returns what a source raises for a batch, by its payloads."""

_HASTY: Mapping[str, Any] = {
    "flush_every_ns": 10 * MS,
    "retry_base_ns": 2 * MS,
    "retry_most_ns": 20 * MS,
    "breaker_base_ns": 2 * MS,
    "breaker_most_ns": 20 * MS,
    "beat_ns": 50 * MS,
}


class Refused(Exception):
    """What the source raises for what it will not have."""


def refusing(*poison: bytes) -> Fails:
    """Return what makes a source raise for batches that have one of these payloads in them."""
    return lambda payloads: Refused("secret") if set(poison) & set(payloads) else None


class Target:
    """A source. `rows` has what it stored last, `stored` everything, by key, in order.

    `says` has outcomes by payload; the call
    with a payload of `holds` waits, after it has stored, until `let_go`.
    """

    def __init__(self) -> None:
        self.mutex = Lock()
        self.calls: list[list[bytes]] = []
        self.stored: dict[str, list[bytes]] = {}
        self.fails: Fails = refusing()
        self.says: dict[bytes, Outcome] = {}
        self.holds: set[bytes] = set()
        self.held, self.let_go = Latch(), Latch()

    @property
    def rows(self) -> dict[str, bytes]:
        return {key: payloads[-1] for key, payloads in self.stored.items()}

    async def deliver(self, handouts: Sequence[Handout]) -> list[Outcome]:
        payloads = [handout.record.payload for handout in handouts]
        with self.mutex:
            self.calls.append(payloads)
            error = self.fails(payloads)
            outcomes = [self.says.get(payload, STORED) for payload in payloads]
            if error is None:
                for handout, outcome in zip(handouts, outcomes, strict=True):
                    if outcome is STORED:
                        record = handout.record
                        self.stored.setdefault(record.name, []).append(record.payload)
        if self.holds.intersection(payloads):
            self.held.open()
            await self.let_go.passed()
        if error is not None:
            raise error
        return outcomes


class Fleet:
    """One ledger, one source, and the flushers of the processes that work on them.

    `told` has what is stored and dead, as far as it was noted; `untold`: so many times it is not.
    """

    def __init__(self, shards: int = 1, dead_room: int = 1_000) -> None:
        self.ledger = Ledger(shards, dead_room)
        self.journal = MemoryJournal(self.ledger)
        self.target = Target()
        self.counters = Counters()
        self.told: tuple[list[Record], list[Record]] = ([], [])
        self.untold = 0
        self._flushers: list[Flusher] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.target.let_go.open()
        for flusher in self._flushers:
            await flusher.aclose(0)

    @property
    def attempts(self) -> list[int]:
        """How often what is not settled has been refused."""
        return [record.attempts for record in self.ledger.all()]

    async def put(self, *writes: tuple[str, bytes]) -> list[int]:
        """Accept writes."""
        return await self.journal.accept([draft(key, payload) for key, payload in writes])

    def flusher(
        self,
        journal: MemoryJournal | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
        is_down: Callable[[BaseException], bool] | None = None,
        **options: Any,
    ) -> Flusher:
        """Return another flusher, not begun, which draws no jitter and has little patience."""
        own = self.journal if journal is None else journal
        flusher = Flusher(
            own,
            self.target.deliver,
            partial(self._settle, own),
            options=FlushOptions(**{**_HASTY, **options}),
            counters=self.counters,
            incidents=Incidents(self.counters, "tests"),
            now_ns=now_ns,
            uniform=lambda: 0.0,
            is_down=is_down or by_default,
        )
        self._flushers.append(flusher)
        return flusher

    async def _settle(self, journal: MemoryJournal, shard: int, settled: Settled) -> int:
        if self.untold:
            self.untold -= 1
            raise ConnectionError("the cache cannot be told")
        self.told[0].extend(settled.stored)
        self.told[1].extend(record for record, _ in settled.dead)
        return await journal.settle(shard, settled)
