"""Write-behind: what an accepted write is worth, to readers and to the source."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from freshwell import (
    AsyncCache,
    AsyncWriteBehind,
    BacklogFull,
    BacklogLeft,
    CacheClosed,
    CodecError,
    ConfigurationError,
    KeyRejected,
    Outcome,
)
from freshwell._kit.aio import sleep
from tests.behaviour._async.ledger import Ledger
from tests.behaviour._async.parts import until_so
from tests.support.aio import Latch, all_of, start

WAYS = ("memory", "file", "file and L2", "beside", "apart", "apart without L2")


class Way(NamedTuple):
    """A kind of cache and journal. `make` returns what shares its entries and its journal."""

    make: Callable[[], AsyncCache]
    journal: str
    fleet: bool
    """Whether other processes read what this one has accepted."""

    def behind(self, cache: AsyncCache, source: Any, **given: Any) -> AsyncWriteBehind[Any]:
        options: dict[str, Any] = {
            "flush_every": "10ms",
            "assume_durable": True,
            "shards": 2,
            **given,
        }
        return cache.write_behind(source, key="row:{}", journal=self.journal, **options)


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Give each way a journal can be used."""
    file = f"sqlite:///{tmp_path / 'pending.db'}"
    if request.param == "memory":
        return Way(AsyncCache, "memory", fleet=False)
    if request.param == "file":
        return Way(AsyncCache, file, fleet=False)
    url = request.getfixturevalue("redis_url")
    shared = partial(AsyncCache, url, command_timeout=2, connect_timeout=2)
    if request.param == "file and L2":
        return Way(shared, file, fleet=False)
    if request.param == "beside":
        return Way(shared, "redis", fleet=True)
    if request.param == "apart":
        return Way(shared, url, fleet=True)
    return Way(AsyncCache, url, fleet=True)


# -- reading one's writes --------------------------------------------------------------------


async def test_what_was_put_is_read_at_once_and_stored_later(way: Way) -> None:
    source = Ledger(a=1)
    source.gate = Latch()
    async with way.make() as cache, way.behind(cache, source) as rows:
        assert await rows.get("a") == 1
        ack = await rows.put("a", 2)
        assert [await rows.get("a"), await rows.get_many(["a", "b"])] == [2, {"a": 2}]
        assert source.rows == {"a": 1}
        assert (ack.sequence > 0, len(ack.idempotency_id)) == (True, 32)
        source.gate.open()
        await rows.flush()
        assert source.rows == {"a": 2}
        assert (await rows.backlog()).records == 0
        write = source.batches[-1].writes[0]
        assert (write.id, write.value, write.attempt) == ("a", 2, 1)
        assert (write.sequence, write.idempotency_id) == (ack.sequence, ack.idempotency_id)
        assert await rows.get("a") == 2


async def test_a_pending_write_is_read_when_its_entry_has_gone(way: Way) -> None:
    source = Ledger(a=1, b=1)
    source.gate = Latch()
    async with way.make() as cache, way.behind(cache, source) as rows:
        await rows.put_many({"a": 2, "b": 2})
        await rows.delete("b")
        await cache.invalidate("row:a", "row:b")
        assert await rows.get("a") == 2
        assert await rows.get("b") is None
        await cache.invalidate("row:a", "row:b")
        assert await rows.get_many(["a", "b"]) == {"a": 2}
        assert await rows.refresh("a") == 2
        source.gate.open()


async def test_without_a_look_at_the_journal_it_would_be_the_old_value(way: Way) -> None:
    source = Ledger(a=1)
    source.gate = Latch()
    async with way.make() as cache, way.behind(cache, source) as rows:
        await rows.put("a", 2)
        await cache.invalidate("row:a")
        plain = cache.read_through(source, key="row:{}")
        assert await plain.get("a") == 1, "the control: the source alone has the old one"
        source.gate.open()


async def test_a_load_from_before_is_not_stored_over_an_accepted_write(way: Way) -> None:
    source = Ledger(a=1)
    async with way.make() as cache, way.behind(cache, source) as rows:
        begun, commit = Latch(), Latch()

        async def slowly() -> Any:
            begun.open()
            await commit.passed()
            return 1

        source.gate = Latch()
        reading = await start(partial(cache.get_or_load, "row:a", slowly))
        await begun.passed()
        await rows.put("a", 2)
        commit.open()
        assert await reading.result() == 1
        assert await rows.get("a") == 2
        source.gate.open()


async def test_other_processes_read_what_was_accepted(way: Way) -> None:
    if not way.fleet:
        pytest.skip("its journal is one process's own")
    source = Ledger(a=1)
    source.gate = Latch()
    async with way.make() as one, way.make() as other:
        here = way.behind(one, source)
        there = way.behind(other, source, flusher=False)
        await here.put("a", 2)
        await one.invalidate("row:a")
        assert await there.get("a") == 2
        await there.put("a", 3)
        await other.invalidate("row:a")
        await one.invalidate("row:a")
        assert await here.get("a") == 3
        source.gate.open()
        await there.flush()
        assert source.rows == {"a": 3}


async def test_a_deleted_row_is_gone_for_readers_and_then_for_the_source(way: Way) -> None:
    source = Ledger(a=1, b=2)
    async with way.make() as cache, way.behind(cache, source) as rows:
        assert await rows.get("a") == 1
        acks = await rows.delete("a", "b")
        assert list(acks) == ["a", "b"]
        assert await rows.get("a") is None
        await rows.flush()
        assert source.rows == {}
        assert all(write.deleted for batch in source.batches for write in batch.writes)


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
        assert cache.stats().writes_dead == 1


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


# -- the end, and the next process ------------------------------------------------------------


async def test_closing_flushes_what_is_there(way: Way) -> None:
    source = Ledger()
    async with way.make() as cache:
        rows = way.behind(cache, source, flush_every="1h")
        await rows.put("a", 1)
        left = await rows.aclose()
        assert left is not None
        assert left.records == 0
        assert source.rows == {"a": 1}
        assert await rows.aclose() is None
        with pytest.raises(CacheClosed):
            await rows.put("a", 2)


async def test_closing_the_cache_flushes_too(way: Way) -> None:
    source = Ledger()
    async with way.make() as cache:
        await way.behind(cache, source, flush_every="1h").put("a", 1)
    assert source.rows == {"a": 1}


async def test_what_a_process_has_left_is_read_and_flushed_by_the_next(way: Way) -> None:
    if way.journal == "memory":
        pytest.skip("it is lost with the process, as it says")
    source = Ledger(a=1)
    async with way.make() as cache:
        rows = way.behind(cache, source, flusher=False)
        await rows.put("a", {"name": "Ada"})
        left = await rows.aclose()
        assert left is not None
        assert left.records == 1
    assert source.rows == {"a": 1}
    async with way.make() as cache:
        await cache.invalidate("row:a")
        async with way.behind(cache, source, flusher=False) as rows:
            assert await rows.get("a") == {"name": "Ada"}
            await rows.start(flush=True)
            await rows.flush()
    assert source.rows == {"a": {"name": "Ada"}}


async def test_what_this_program_cannot_read_becomes_a_dead_letter(way: Way) -> None:
    if way.journal == "memory":
        pytest.skip("no other program has it")
    source = Ledger(a=1)
    async with way.make() as cache, way.behind(cache, source, flusher=False) as rows:
        await rows.put("a", "text")
    async with way.make() as cache:
        await cache.invalidate("row:a")
        rows = way.behind(cache, source, codec="msgpack", flusher=False)
        with pytest.raises(CodecError):
            await rows.get("a")
        await rows.start(flush=True)
        await rows.flush()
        assert (await rows.backlog()).dead == 1

        async def is_old() -> bool:
            return await rows.get("a") == 1

        await until_so(is_old)


# -- what cannot be --------------------------------------------------------------------------


async def test_what_cannot_be_written_is_refused_with_nothing_accepted(way: Way) -> None:
    source = Ledger()
    async with way.make() as cache, way.behind(cache, source) as rows:
        with pytest.raises(ConfigurationError, match="None"):
            await rows.put("a", None)
        with pytest.raises(KeyRejected, match="float"):
            await rows.put(1.5, 1)
        with pytest.raises(CodecError):
            await rows.put("a", {1, 2})
        assert (await rows.backlog()).records == 0


async def test_a_journal_of_another_key_is_refused(way: Way) -> None:
    if way.journal == "memory":
        pytest.skip("nobody else has it")
    async with way.make() as cache:
        await way.behind(cache, Ledger(), name="rows").put("a", 1)
    async with way.make() as cache:
        other = cache.write_behind(
            Ledger(), key="cell:{}", name="rows", journal=way.journal, assume_durable=True, shards=2
        )
        with pytest.raises(ConfigurationError, match="row"):
            await other.put("a", 1)
