"""What tasks put in one tick is accepted together, and each is told as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from freshwell import Ack, AsyncCache, AsyncWriteBehind, BacklogFull, CodecError
from freshwell.testing import Chaos
from tests.behaviour._async.behind import Way, way_of
from tests.behaviour._async.ledger import Ledger
from tests.support.aio import until
from tests.support.plugin import served

LOCAL = ("memory", "file")
OTHERS = ("beside", "apart", "apart without L2")


@pytest.fixture(params=[*LOCAL, *(served(way, True) for way in OTHERS)])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Give each way in which puts are accepted together."""
    return way_of(request, tmp_path)


class Put:
    """A cache whose journal is asked by nobody else, and what is put into it."""

    def __init__(self, cache: AsyncCache, way: Way, chaos: Chaos, **options: Any) -> None:
        self.chaos = chaos
        self.source = Ledger()
        given: dict[str, Any] = {"flusher": False, "shards": 1, "drain": 0, **options}
        self.rows: AsyncWriteBehind[Any] = way.behind(cache, self.source, **given)

    @property
    def calls(self) -> int:
        """How often the journal was asked to accept."""
        return self.chaos.calls["journal.accept"]

    async def all(self, values: Sequence[tuple[str, Any]]) -> list[Any]:
        puts = [self.rows.put(id, value) for id, value in values]
        return await asyncio.gather(*puts, return_exceptions=True)


@asynccontextmanager
async def scene(way: Way, **options: Any) -> AsyncIterator[Put]:
    chaos, cache = Chaos(), way.make()
    chaos.into(cache)
    async with cache:
        put = Put(cache, way, chaos, **options)
        await put.rows.backlog()
        yield put


async def test_all_of_a_tick_but_the_first_are_one_call(way: Way) -> None:
    async with scene(way) as put:
        acks = await put.all([(f"k{n}", n) for n in range(100)])
        assert put.calls == 2
        sequences = [ack.sequence for ack in acks]
        assert sequences == sorted(set(sequences))
        assert len({ack.idempotency_id for ack in acks}) == 100
        assert await put.rows.get_many([f"k{n}" for n in range(100)]) == {
            f"k{n}": n for n in range(100)
        }
        assert put.source.loads == 0


async def test_control_one_after_the_other_they_are_a_call_each(way: Way) -> None:
    async with scene(way) as put:
        for number in range(10):
            await put.rows.put("a", number)
        assert put.calls == 10


async def test_writes_of_a_key_in_one_tick_keep_their_order(way: Way) -> None:
    async with scene(way) as put:
        acks = await put.all([("first", 0), *(("a", n) for n in range(20)), ("b", 1)])
        sequences = [ack.sequence for ack in acks]
        assert sequences == sorted(set(sequences))
        assert await put.rows.get("a") == 19


async def test_the_last_of_a_key_is_in_l1() -> None:
    async with AsyncCache() as cache:
        rows = cache.write_behind(Ledger(), key="row:{}", journal="memory", flusher=False, drain=0)
        await asyncio.gather(rows.put("first", 0), *(rows.put("a", n) for n in range(5)))
        assert await cache.get("row:a") == 4


async def test_what_is_wrong_with_one_is_told_to_that_one(way: Way) -> None:
    async with scene(way) as put:
        found = await put.all([("a", 1), ("b", 2), ("c", {1, 2}), ("d", 4)])
        assert [type(one) for one in found] == [Ack, Ack, CodecError, Ack]
        assert (await put.rows.backlog()).records == 3


async def test_for_one_there_is_no_room_and_the_others_are_accepted(way: Way) -> None:
    async with scene(way, max_backlog_bytes=2_000, on_full="reject") as put:
        values: list[tuple[str, Any]] = [("first", 1), ("a", 1), ("b", "x" * 1_990), ("c", 2)]
        found = await put.all(values)
        assert [type(one) for one in found] == [Ack, Ack, BacklogFull, Ack]
        assert [await put.rows.get(id) for id, _ in values] == [1, 1, None, 2]


async def test_an_answer_for_one_alone_is_that_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncCache() as cache:
        source = Ledger(b="old")
        rows = cache.write_behind(source, key="row:{}", journal="memory", flusher=False, drain=0)
        await rows.put("first", 0)
        journal = rows._open().journal
        accept: Any = journal.accept

        async def accepting(drafts: Any, entries: Any = (), **given: Any) -> Any:
            outcomes = await accept(drafts, entries, **given)
            return [
                ValueError(d.name) if d.name == "row:b" else o
                for d, o in zip(drafts, outcomes, strict=True)
            ]

        monkeypatch.setattr(journal, "accept", accepting)
        found = await asyncio.gather(
            *(rows.put(id, 1) for id in ("first", "a", "b", "c")), return_exceptions=True
        )
        assert [type(one) for one in found] == [Ack, Ack, ValueError, Ack]
        assert "row:b" in rows._open().accepting.doubts
        assert [await cache.get(f"row:{id}") for id in "abc"] == [1, None, 1]


def begin(*calls: Coroutine[Any, Any, Ack]) -> list[asyncio.Task[Ack]]:
    return [asyncio.create_task(call) for call in calls]


async def test_who_is_cancelled_before_the_round_leaves_has_put_nothing(way: Way) -> None:
    async with scene(way) as put:
        tasks = begin(*(put.rows.put(f"k{n}", n) for n in range(5)))
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [False, False, True, False, False]
        assert (await put.rows.backlog()).records == 4
        assert [await put.rows.get(f"k{n}") for n in (1, 2, 3)] == [1, None, 3]


async def test_who_is_cancelled_afterwards_takes_nothing_from_the_others(way: Way) -> None:
    async with scene(way) as put:
        held = put.chaos.delay("journal.accept", 0.05)
        tasks = begin(*(put.rows.put(f"k{n}", n) for n in range(1, 5)))
        await until(lambda: put.calls == 2)
        tasks[1].cancel()
        held.heal()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [False, True, False, False]
        assert (await put.rows.backlog()).records == 4
        assert [await put.rows.get(f"k{n}") for n in (2, 3, 4)] == [2, 3, 4]
