"""Write-behind: what an accepted write is worth, to readers and to the source."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import (
    Cache,
    CacheClosed,
    CodecError,
    ConfigurationError,
    KeyRejected,
)
from freshwell.testing import FakeClock
from tests.behaviour._sync.behind import Way
from tests.behaviour._sync.ledger import Ledger
from tests.behaviour._sync.parts import until_so
from tests.support.threads import Latch, start

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


def test_what_was_put_lives_in_l1_as_long_as_what_is_set() -> None:
    clock, options = FakeClock(), dict[str, Any](ttl=60, stale_ttl=30, jitter=0)
    with Cache(clock=clock, **options) as cache:
        rows = cache.write_behind(Ledger(), key="row:{}", journal="memory", flusher=False, drain=0)
        rows.put("a", 1)
        rows.put_many(dict.fromkeys("bc", 1))
        cache.set("d", 1)
        keys = ["row:a", "row:b", "row:c", "d"]
        for _ in range(4):
            looks = [cache.lookup(key) for key in keys]
            assert len({(look.state, look.age_s, look.ttl_left_s) for look in looks}) == 1
            clock.advance(31)


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
