"""What only tasks can do to a flusher: be cancelled, at any step."""

from __future__ import annotations

import asyncio

from tests.behaviour._async.flushes import Fleet
from tests.support.aio import until


async def test_a_delivery_that_is_cancelled_is_repeated() -> None:
    before = asyncio.all_tasks()
    async with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        await fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        flusher.flush_now()
        await fleet.target.held.passed()
        (lane,) = (task for task in asyncio.all_tasks() - before if "lane" in task.get_name())
        lane.cancel()
        await asyncio.wait([lane], timeout=5)
        assert len(fleet.ledger.all()) == 1, "nothing is settled"
        fleet.target.holds = set()
        await until(lambda: not fleet.ledger.all(), "the beat began the work anew")
        assert fleet.target.stored == {"a": [b"1", b"1"]}


async def test_a_source_that_is_cancelled_from_inside_does_not_end_the_flushing() -> None:
    async with Fleet() as fleet:
        left = 3

        def fails(payloads: list[bytes]) -> Exception | None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise asyncio.CancelledError
            return None

        fleet.target.fails = fails
        await fleet.put(("a", b"1"))
        assert await fleet.flusher().flush(20)
        assert fleet.target.rows == {"a": b"1"}


async def test_tasks_that_are_cancelled_before_they_begin_are_begun_anew() -> None:
    before = asyncio.all_tasks()
    async with Fleet(shards=2) as fleet:
        flusher = fleet.flusher()
        flusher.start()
        for task in asyncio.all_tasks() - before:
            task.cancel()
        await fleet.put(("a", b"1"), ("b", b"2"))
        assert await flusher.flush(20)
    assert asyncio.all_tasks() == before


async def test_a_close_that_is_given_up_ends_the_work_all_the_same() -> None:
    before = asyncio.all_tasks()
    async with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        await fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        flusher.start()
        await fleet.target.held.passed()
        closing = asyncio.create_task(flusher.aclose(1))
        await asyncio.sleep(0.01)
        closing.cancel()
        await asyncio.wait([closing], timeout=5)
        assert closing.cancelled()
        assert asyncio.all_tasks() == before
