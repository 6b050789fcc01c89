"""Write-behind: how what was accepted gets to the source, and what stands in its way."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import (
    BacklogFull,
    BacklogLeft,
    JournalUnavailable,
    Outcome,
)
from freshwell._kit.threads import sleep
from tests.behaviour._sync.behind import Way
from tests.behaviour._sync.ledger import Ledger
from tests.behaviour._sync.parts import until_so
from tests.support.threads import Latch, all_of, start, until

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
        # The journal has it a moment before it is counted.
        until(lambda: cache.stats().writes_dead == 1, "it is counted")


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


def test_a_write_that_is_accepted_after_its_error_is_read_when_it_is_flushed(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Ledger(a=1)
    with way.make() as cache, way.behind(cache, source) as rows:
        journal = rows._open().journal
        accept = journal.accept
        given: list[Any] = []

        def slowly(*arguments: Any) -> Any:
            given.append(arguments)
            raise JournalUnavailable("no answer in time")

        monkeypatch.setattr(journal, "accept", slowly)
        with pytest.raises(JournalUnavailable):
            rows.put("a", 2)
        assert rows.get("a") == 1, "it is not accepted yet"
        accept(*given[0])
        rows.flush()
        assert source.rows == {"a": 2}

        def is_new() -> bool:
            return rows.get("a") == 2

        until_so(is_new)
