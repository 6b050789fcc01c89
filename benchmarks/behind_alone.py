"""The journal in Redis by itself, given records that are ready, and entries beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from benchmarks.behind_rows import Append
from freshwell._async.stores.base import Fill
from freshwell._async.stores.journal_places import open_journal
from freshwell._async.stores.redis_journal import Layout
from freshwell._kit.aio_rounds import Rounds
from freshwell._kit.places import place_of
from freshwell._sync.stores.base import Fill as SyncFill
from freshwell._sync.stores.journal_places import open_journal as open_sync_journal
from freshwell.ground.frame import plain_frame, plain_start
from freshwell.ground.records import Draft, Kind

__all__ = ["NO_BOUNDS", "PAYLOAD", "VALUE", "draft", "in_tasks", "in_threads"]

VALUE = {"id": 7, "name": "somebody", "email": "somebody@example.org", "about": "x" * 132}
PAYLOAD = msgspec.json.encode(VALUE)
assert len(PAYLOAD) == 200, len(PAYLOAD)
NO_BOUNDS: dict[str, int] = {"max_records": 10**9, "max_bytes": 2**40}

_FRAME = plain_frame(plain_start(1, 0), bytes(8), PAYLOAD)
_KEPT_MS = 300_000


def draft(i: int) -> Draft:
    """Return the i-th record, ready."""
    return Draft(f"user:{i}", b"%d" % i, Kind.PUT, PAYLOAD, bytes(16))


def in_tasks(stack: ExitStack, runner: asyncio.Runner, url: str, *, beside: bool = False) -> Append:
    """Return what accepts the i-th record, as a put does: those of one tick share a script."""
    journal = open_journal(place_of(url), _layout("tasks", beside))
    journal.together = beside
    stack.callback(lambda: runner.run(journal.aclose()))

    async def accepted(shard: int, numbers: Sequence[int]) -> list[int]:
        fills = [Fill(b"entry:%d" % i, b"", _FRAME, _KEPT_MS, _KEPT_MS) for i in numbers if beside]
        return await journal.accept([draft(i) for i in numbers], fills, each=len(numbers) > 1)

    rounds: Rounds[int, int, int] = Rounds(accepted)

    async def accept(i: int) -> None:
        await rounds.run(journal.shard_of(f"user:{i}"), i)

    return accept


def in_threads(stack: ExitStack, url: str, *, beside: bool = False) -> Append:
    """Return what accepts the i-th record."""
    journal = open_sync_journal(place_of(url), _layout("threads", beside))
    journal.together = beside
    stack.callback(journal.close)

    def accept(i: int) -> None:
        fill = SyncFill(b"entry:%d" % i, b"", _FRAME, _KEPT_MS, _KEPT_MS)
        journal.accept([draft(i)], [fill] if beside else ())

    return accept


def _layout(name: str, beside: bool) -> Layout:
    return Layout(name, "both" if beside else "alone", "user:{}", **NO_BOUNDS)
