"""Write-behind: how what was accepted gets to the source, and what stands in its way."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import (
    BacklogFull,
    BacklogLeft,
    JournalUnavailable,
    Outcome,
)
from freshwell._kit.aio import sleep
from tests.behaviour._async.behind import Way
from tests.behaviour._async.ledger import Ledger
from tests.behaviour._async.parts import until_so
from tests.support.aio import Latch, all_of, start, until

# -- delivery --------------------------------------------------------------------------------


async def test_writes_of_a_key_are_delivered_in_order_and_old_ones_spared(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    async with way.make() as cache, way.behind(cache, source) as rows:
        acks = [await rows.put("a", number) for number in range(20)]
        assert [a.sequence for a in acks] == sorted({a.sequence for a in acks})
        source.gate.open()
        await rows.flush()
        assert source.rows == {"a": 19}
        given = [batch["a"] for batch in source.batches]
        assert given == sorted(given)
        assert len(given) < 20, "what newer writes have replaced is not delivered"


async def test_every_write_is_delivered_where_none_may_be_spared(way: Way) -> None:
    source = Ledger()
    async with way.make() as cache, way.behind(cache, source, coalesce=False) as rows:
        for number in range(5):
            await rows.put("a", number)
        await rows.flush()
        assert [batch["a"] for batch in source.batches] == [0, 1, 2, 3, 4]


async def test_concurrent_writers_of_a_key_leave_the_last_accepted_everywhere(way: Way) -> None:
    source = Ledger()
    async with way.make() as cache, way.behind(cache, source) as rows:
        acks = await all_of(*(partial(rows.put, "a", number) for number in range(16)))
        last = max(range(16), key=lambda number: acks[number].sequence)
        assert await rows.get("a") == last
        await rows.flush()
        assert source.rows == {"a": last}
        assert await rows.get("a") == last


async def test_a_rejected_write_is_a_dead_letter_and_no_reader_has_it(way: Way) -> None:
    source = Ledger(a=1)
    source.answer = lambda batch: {id: Outcome.reject("too long") for id in batch}
    async with way.make() as cache, way.behind(cache, source) as rows:
        await rows.put("a", 2)
        await rows.flush()
        left = await rows.backlog()
        assert (left.records, left.dead) == (0, 1)

        async def is_old() -> bool:
            return await rows.get("a") == 1

        await until_so(is_old)
        # The journal has it a moment before it is counted.
        await until(lambda: cache.stats().writes_dead == 1, "it is counted")


async def test_a_refused_write_is_tried_again_and_others_go_on(way: Way) -> None:
    source = Ledger()
    refused: list[Any] = []

    def answer(batch: Any) -> Any:
        if "a" not in batch or len(refused) == 3:
            return None
        refused.append(batch["a"])
        return {id: Outcome.retry("busy") if id == "a" else Outcome.stored() for id in batch}

    source.answer = answer
    async with way.make() as cache:
        rows = way.behind(cache, source, retry_after="1ms", retry_at_most="5ms")
        await rows.put_many({"a": 1, "b": 1})
        await rows.flush()
        assert source.rows == {"a": 1, "b": 1}
        assert refused == [1, 1, 1]
        attempts = [w.attempt for batch in source.batches for w in batch.writes if w.id == "a"]
        assert attempts == [1, 2, 3, 4]


async def test_a_source_that_is_down_counts_no_attempt(way: Way) -> None:
    source = Ledger()
    failures: list[None] = []

    def answer(batch: Any) -> Any:
        if len(failures) < 3:
            failures.append(None)
            raise ConnectionError("nobody there")

    source.answer = answer
    async with way.make() as cache, way.behind(cache, source, max_attempts=1) as rows:
        await rows.put("a", 1)
        await rows.flush()
        assert source.rows == {"a": 1}
        assert {w.attempt for batch in source.batches for w in batch.writes} == {1}
        assert (await rows.backlog()).dead == 0


async def test_a_source_without_batches_is_given_one_at_a_time(way: Way) -> None:
    class Single:
        def __init__(self) -> None:
            self.rows: dict[Any, Any] = {}

        async def load(self, id: Any, /) -> Any:
            return self.rows.get(id)

        async def save(self, id: Any, value: Any, /) -> None:
            if value == "poison":
                raise ValueError("no")
            self.rows[id] = value

        async def delete(self, id: Any, /) -> None:
            self.rows.pop(id, None)

    source = Single()
    async with way.make() as cache:
        rows = way.behind(cache, source, max_attempts=1)
        await rows.put_many({1: "a", 2: "poison", (3, "x"): "c"})
        await rows.delete(1)
        await rows.flush()
        assert source.rows == {(3, "x"): "c"}
        assert (await rows.backlog()).dead == 1


# -- limits ----------------------------------------------------------------------------------


async def test_a_full_backlog_refuses_at_once_where_that_is_wanted(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    async with way.make() as cache:
        rows = way.behind(cache, source, max_backlog=2, on_full="reject", shards=1)
        await rows.put("a", 1)
        await rows.put("b", 1)
        with pytest.raises(BacklogFull) as caught:
            await rows.put("c", 1)
        assert caught.value.accepted == 0
        assert await rows.get("c") is None
        source.gate.open()
        await rows.flush()
        await rows.put("c", 1)
        await rows.flush()
        assert source.rows == {"a": 1, "b": 1, "c": 1}


async def test_a_full_backlog_is_waited_for(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    async with way.make() as cache:
        rows = way.behind(cache, source, max_backlog=1, full_wait=15, shards=1)
        await rows.put("a", 1)
        waiting = await start(partial(rows.put, "b", 1))
        await sleep(0.05)
        assert not waiting.done
        source.gate.open()
        await waiting.result()
        await rows.flush()
        assert source.rows == {"a": 1, "b": 1}


async def test_waiting_for_room_ends_in_time(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    async with way.make() as cache:
        rows = way.behind(cache, source, max_backlog=1, full_wait=0.02, shards=1)
        await rows.put("a", 1)
        with pytest.raises(BacklogFull):
            await rows.put("b", 1)
        source.gate.open()


async def test_a_flush_that_takes_too_long_says_what_is_left(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    async with way.make() as cache:
        rows = way.behind(cache, source)
        await rows.put("a", 1)
        with pytest.raises(BacklogLeft) as caught:
            await rows.flush(0.05)
        assert caught.value.records == 1
        source.gate.open()
        await rows.flush()


async def test_a_write_that_is_accepted_after_its_error_is_read_when_it_is_flushed(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Ledger(a=1)
    async with way.make() as cache, way.behind(cache, source) as rows:
        journal = rows._open().journal
        accept = journal.accept
        given: list[Any] = []

        async def slowly(*arguments: Any) -> Any:
            given.append(arguments)
            raise JournalUnavailable("no answer in time")

        monkeypatch.setattr(journal, "accept", slowly)
        with pytest.raises(JournalUnavailable):
            await rows.put("a", 2)
        assert await rows.get("a") == 1, "it is not accepted yet"
        await accept(*given[0])
        await rows.flush()
        assert source.rows == {"a": 2}

        async def is_new() -> bool:
            return await rows.get("a") == 2

        await until_so(is_new)
