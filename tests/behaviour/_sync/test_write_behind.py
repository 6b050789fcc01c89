"""Write-behind: what an accepted write is worth, to readers and to the source."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from freshwell import (
    Cache,
    WriteBehind,
    BacklogFull,
    BacklogLeft,
    CacheClosed,
    CodecError,
    ConfigurationError,
    KeyRejected,
    Outcome,
)
from freshwell._kit.threads import sleep
from tests.behaviour._sync.ledger import Ledger
from tests.behaviour._sync.parts import until_so
from tests.support.threads import Latch, all_of, start

WAYS = ("memory", "file", "file and L2", "beside", "apart", "apart without L2")


class Way(NamedTuple):
    """A kind of cache and journal. `make` returns what shares its entries and its journal."""

    make: Callable[[], Cache]
    journal: str
    fleet: bool
    """Whether other processes read what this one has accepted."""

    def behind(self, cache: Cache, source: Any, **given: Any) -> WriteBehind[Any]:
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
        return Way(Cache, "memory", fleet=False)
    if request.param == "file":
        return Way(Cache, file, fleet=False)
    url = request.getfixturevalue("redis_url")
    shared = partial(Cache, url, command_timeout=2, connect_timeout=2)
    if request.param == "file and L2":
        return Way(shared, file, fleet=False)
    if request.param == "beside":
        return Way(shared, "redis", fleet=True)
    if request.param == "apart":
        return Way(shared, url, fleet=True)
    return Way(Cache, url, fleet=True)


# -- reading one's writes --------------------------------------------------------------------


def test_what_was_put_is_read_at_once_and_stored_later(way: Way) -> None:
    source = Ledger(a=1)
    source.gate = Latch()
    with way.make() as cache, way.behind(cache, source) as rows:
        assert rows.get("a") == 1
        ack = rows.put("a", 2)
        assert [rows.get("a"), rows.get_many(["a", "b"])] == [2, {"a": 2}]
        assert source.rows == {"a": 1}
        assert (ack.sequence > 0, len(ack.idempotency_id)) == (True, 32)
        source.gate.open()
        rows.flush()
        assert source.rows == {"a": 2}
        assert rows.backlog().records == 0
        write = source.batches[-1].writes[0]
        assert (write.id, write.value, write.attempt) == ("a", 2, 1)
        assert (write.sequence, write.idempotency_id) == (ack.sequence, ack.idempotency_id)
        assert rows.get("a") == 2


def test_a_pending_write_is_read_when_its_entry_has_gone(way: Way) -> None:
    source = Ledger(a=1, b=1)
    source.gate = Latch()
    with way.make() as cache, way.behind(cache, source) as rows:
        rows.put_many({"a": 2, "b": 2})
        rows.delete("b")
        cache.invalidate("row:a", "row:b")
        assert rows.get("a") == 2
        assert rows.get("b") is None
        cache.invalidate("row:a", "row:b")
        assert rows.get_many(["a", "b"]) == {"a": 2}
        assert rows.refresh("a") == 2
        source.gate.open()


def test_without_a_look_at_the_journal_it_would_be_the_old_value(way: Way) -> None:
    source = Ledger(a=1)
    source.gate = Latch()
    with way.make() as cache, way.behind(cache, source) as rows:
        rows.put("a", 2)
        cache.invalidate("row:a")
        plain = cache.read_through(source, key="row:{}")
        assert plain.get("a") == 1, "the control: the source alone has the old one"
        source.gate.open()


def test_a_load_from_before_is_not_stored_over_an_accepted_write(way: Way) -> None:
    source = Ledger(a=1)
    with way.make() as cache, way.behind(cache, source) as rows:
        begun, commit = Latch(), Latch()

        def slowly() -> Any:
            begun.open()
            commit.passed()
            return 1

        source.gate = Latch()
        reading = start(partial(cache.get_or_load, "row:a", slowly))
        begun.passed()
        rows.put("a", 2)
        commit.open()
        assert reading.result() == 1
        assert rows.get("a") == 2
        source.gate.open()


def test_other_processes_read_what_was_accepted(way: Way) -> None:
    if not way.fleet:
        pytest.skip("its journal is one process's own")
    source = Ledger(a=1)
    source.gate = Latch()
    with way.make() as one, way.make() as other:
        here = way.behind(one, source)
        there = way.behind(other, source, flusher=False)
        here.put("a", 2)
        one.invalidate("row:a")
        assert there.get("a") == 2
        there.put("a", 3)
        other.invalidate("row:a")
        one.invalidate("row:a")
        assert here.get("a") == 3
        source.gate.open()
        there.flush()
        assert source.rows == {"a": 3}


def test_a_deleted_row_is_gone_for_readers_and_then_for_the_source(way: Way) -> None:
    source = Ledger(a=1, b=2)
    with way.make() as cache, way.behind(cache, source) as rows:
        assert rows.get("a") == 1
        acks = rows.delete("a", "b")
        assert list(acks) == ["a", "b"]
        assert rows.get("a") is None
        rows.flush()
        assert source.rows == {}
        assert all(write.deleted for batch in source.batches for write in batch.writes)


# -- delivery --------------------------------------------------------------------------------


def test_writes_of_a_key_are_delivered_in_order_and_old_ones_spared(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    with way.make() as cache, way.behind(cache, source) as rows:
        acks = [rows.put("a", number) for number in range(20)]
        assert [a.sequence for a in acks] == sorted({a.sequence for a in acks})
        source.gate.open()
        rows.flush()
        assert source.rows == {"a": 19}
        given = [batch["a"] for batch in source.batches]
        assert given == sorted(given)
        assert len(given) < 20, "what newer writes have replaced is not delivered"


def test_every_write_is_delivered_where_none_may_be_spared(way: Way) -> None:
    source = Ledger()
    with way.make() as cache, way.behind(cache, source, coalesce=False) as rows:
        for number in range(5):
            rows.put("a", number)
        rows.flush()
        assert [batch["a"] for batch in source.batches] == [0, 1, 2, 3, 4]


def test_concurrent_writers_of_a_key_leave_the_last_accepted_everywhere(way: Way) -> None:
    source = Ledger()
    with way.make() as cache, way.behind(cache, source) as rows:
        acks = all_of(*(partial(rows.put, "a", number) for number in range(16)))
        last = max(range(16), key=lambda number: acks[number].sequence)
        assert rows.get("a") == last
        rows.flush()
        assert source.rows == {"a": last}
        assert rows.get("a") == last


def test_a_rejected_write_is_a_dead_letter_and_no_reader_has_it(way: Way) -> None:
    source = Ledger(a=1)
    source.answer = lambda batch: {id: Outcome.reject("too long") for id in batch}
    with way.make() as cache, way.behind(cache, source) as rows:
        rows.put("a", 2)
        rows.flush()
        left = rows.backlog()
        assert (left.records, left.dead) == (0, 1)

        def is_old() -> bool:
            return rows.get("a") == 1

        until_so(is_old)
        assert cache.stats().writes_dead == 1


def test_a_refused_write_is_tried_again_and_others_go_on(way: Way) -> None:
    source = Ledger()
    refused: list[Any] = []

    def answer(batch: Any) -> Any:
        if "a" not in batch or len(refused) == 3:
            return None
        refused.append(batch["a"])
        return {id: Outcome.retry("busy") if id == "a" else Outcome.stored() for id in batch}

    source.answer = answer
    with way.make() as cache:
        rows = way.behind(cache, source, retry_after="1ms", retry_at_most="5ms")
        rows.put_many({"a": 1, "b": 1})
        rows.flush()
        assert source.rows == {"a": 1, "b": 1}
        assert refused == [1, 1, 1]
        attempts = [w.attempt for batch in source.batches for w in batch.writes if w.id == "a"]
        assert attempts == [1, 2, 3, 4]


def test_a_source_that_is_down_counts_no_attempt(way: Way) -> None:
    source = Ledger()
    failures: list[None] = []

    def answer(batch: Any) -> Any:
        if len(failures) < 3:
            failures.append(None)
            raise ConnectionError("nobody there")

    source.answer = answer
    with way.make() as cache, way.behind(cache, source, max_attempts=1) as rows:
        rows.put("a", 1)
        rows.flush()
        assert source.rows == {"a": 1}
        assert {w.attempt for batch in source.batches for w in batch.writes} == {1}
        assert rows.backlog().dead == 0


def test_a_source_without_batches_is_given_one_at_a_time(way: Way) -> None:
    class Single:
        def __init__(self) -> None:
            self.rows: dict[Any, Any] = {}

        def load(self, id: Any, /) -> Any:
            return self.rows.get(id)

        def save(self, id: Any, value: Any, /) -> None:
            if value == "poison":
                raise ValueError("no")
            self.rows[id] = value

        def delete(self, id: Any, /) -> None:
            self.rows.pop(id, None)

    source = Single()
    with way.make() as cache:
        rows = way.behind(cache, source, max_attempts=1)
        rows.put_many({1: "a", 2: "poison", (3, "x"): "c"})
        rows.delete(1)
        rows.flush()
        assert source.rows == {(3, "x"): "c"}
        assert rows.backlog().dead == 1


# -- limits ----------------------------------------------------------------------------------


def test_a_full_backlog_refuses_at_once_where_that_is_wanted(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    with way.make() as cache:
        rows = way.behind(cache, source, max_backlog=2, on_full="reject", shards=1)
        rows.put("a", 1)
        rows.put("b", 1)
        with pytest.raises(BacklogFull) as caught:
            rows.put("c", 1)
        assert caught.value.accepted == 0
        assert rows.get("c") is None
        source.gate.open()
        rows.flush()
        rows.put("c", 1)
        rows.flush()
        assert source.rows == {"a": 1, "b": 1, "c": 1}


def test_a_full_backlog_is_waited_for(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    with way.make() as cache:
        rows = way.behind(cache, source, max_backlog=1, full_wait=15, shards=1)
        rows.put("a", 1)
        waiting = start(partial(rows.put, "b", 1))
        sleep(0.05)
        assert not waiting.done
        source.gate.open()
        waiting.result()
        rows.flush()
        assert source.rows == {"a": 1, "b": 1}


def test_waiting_for_room_ends_in_time(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    with way.make() as cache:
        rows = way.behind(cache, source, max_backlog=1, full_wait=0.02, shards=1)
        rows.put("a", 1)
        with pytest.raises(BacklogFull):
            rows.put("b", 1)
        source.gate.open()


def test_a_flush_that_takes_too_long_says_what_is_left(way: Way) -> None:
    source = Ledger()
    source.gate = Latch()
    with way.make() as cache:
        rows = way.behind(cache, source)
        rows.put("a", 1)
        with pytest.raises(BacklogLeft) as caught:
            rows.flush(0.05)
        assert caught.value.records == 1
        source.gate.open()
        rows.flush()


# -- the end, and the next process ------------------------------------------------------------


def test_closing_flushes_what_is_there(way: Way) -> None:
    source = Ledger()
    with way.make() as cache:
        rows = way.behind(cache, source, flush_every="1h")
        rows.put("a", 1)
        left = rows.close()
        assert left is not None
        assert left.records == 0
        assert source.rows == {"a": 1}
        assert rows.close() is None
        with pytest.raises(CacheClosed):
            rows.put("a", 2)


def test_closing_the_cache_flushes_too(way: Way) -> None:
    source = Ledger()
    with way.make() as cache:
        way.behind(cache, source, flush_every="1h").put("a", 1)
    assert source.rows == {"a": 1}


def test_what_a_process_has_left_is_read_and_flushed_by_the_next(way: Way) -> None:
    if way.journal == "memory":
        pytest.skip("it is lost with the process, as it says")
    source = Ledger(a=1)
    with way.make() as cache:
        rows = way.behind(cache, source, flusher=False)
        rows.put("a", {"name": "Ada"})
        left = rows.close()
        assert left is not None
        assert left.records == 1
    assert source.rows == {"a": 1}
    with way.make() as cache:
        cache.invalidate("row:a")
        with way.behind(cache, source, flusher=False) as rows:
            assert rows.get("a") == {"name": "Ada"}
            rows.start(flush=True)
            rows.flush()
    assert source.rows == {"a": {"name": "Ada"}}


def test_what_this_program_cannot_read_becomes_a_dead_letter(way: Way) -> None:
    if way.journal == "memory":
        pytest.skip("no other program has it")
    source = Ledger(a=1)
    with way.make() as cache, way.behind(cache, source, flusher=False) as rows:
        rows.put("a", "text")
    with way.make() as cache:
        cache.invalidate("row:a")
        rows = way.behind(cache, source, codec="msgpack", flusher=False)
        with pytest.raises(CodecError):
            rows.get("a")
        rows.start(flush=True)
        rows.flush()
        assert rows.backlog().dead == 1

        def is_old() -> bool:
            return rows.get("a") == 1

        until_so(is_old)


# -- what cannot be --------------------------------------------------------------------------


def test_what_cannot_be_written_is_refused_with_nothing_accepted(way: Way) -> None:
    source = Ledger()
    with way.make() as cache, way.behind(cache, source) as rows:
        with pytest.raises(ConfigurationError, match="None"):
            rows.put("a", None)
        with pytest.raises(KeyRejected, match="float"):
            rows.put(1.5, 1)
        with pytest.raises(CodecError):
            rows.put("a", {1, 2})
        assert rows.backlog().records == 0


def test_a_journal_of_another_key_is_refused(way: Way) -> None:
    if way.journal == "memory":
        pytest.skip("nobody else has it")
    with way.make() as cache:
        way.behind(cache, Ledger(), name="rows").put("a", 1)
    with way.make() as cache:
        other = cache.write_behind(
            Ledger(), key="cell:{}", name="rows", journal=way.journal, assume_durable=True, shards=2
        )
        with pytest.raises(ConfigurationError, match="row"):
            other.put("a", 1)
