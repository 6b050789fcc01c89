"""Write-behind on real servers: what they must be set to, lose, and do when they fail."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import (
    Cache,
    WriteBehind,
    JournalUnavailable,
    JournalUnfit,
    KeyRejected,
    StoreUnavailable,
)
from freshwell._sync.coordination.errands import untagged
from tests.behaviour._sync.ledger import Ledger
from tests.behaviour._sync.parts import listening, of, rests, until_so
from tests.support.threads import Latch, all_of
from tests.support.plugin import MakeServer
from tests.support.sentinels import Replicated
from tests.support.servers import Server


def behind(cache: Cache, source: Any, **given: Any) -> WriteBehind[Any]:
    options: dict[str, Any] = {"journal": "redis", "flush_every": "10ms", "shards": 2, **given}
    return cache.write_behind(source, key="row:{}", **options)


def held() -> Ledger:
    source = Ledger(a=1)
    source.gate = Latch()
    return source


# -- what stands beside a record ---------------------------------------------------------------


@pytest.mark.parametrize("payload", [None, b'{"a":1}'])
def test_what_one_put_leaves_in_l2_is_what_one_of_many_does(
    redis_url: str, payload: bytes | None
) -> None:
    with of(redis_url, ttl=60, stale_ttl=30, jitter=0) as cache:
        writes, terms = cache._core.engine().writes, cache._core.plain_terms
        many = writes.fills({"a": {"a": 1}}, terms, untagged, {"a": payload})
        assert writes.fill("a", {"a": 1}, terms, payload) == many["a"]


# -- what a server must be set to -------------------------------------------------------------


def test_a_server_without_an_append_only_file_is_refused(redis_url: str) -> None:
    with of(redis_url) as cache:
        rows = behind(cache, Ledger())
        with pytest.raises(JournalUnfit, match="append-only"):
            rows.put("a", 1)
        assert rows.get("a") is None
        with pytest.raises(JournalUnfit, match="append-only"):
            rows.start()


def test_a_server_that_may_evict_the_journal_is_refused_whatever_is_assumed(
    make_redis: MakeServer,
) -> None:
    server = make_redis(aof=True, arguments=("--maxmemory-policy", "allkeys-lru"))
    with of(server.url) as cache:
        with pytest.raises(JournalUnfit, match="allkeys-lru"):
            behind(cache, Ledger(), assume_durable=True).put("a", 1)


def test_a_server_that_is_fit_is_asked_nothing_of(make_redis: MakeServer) -> None:
    source = Ledger()
    with of(make_redis(aof=True).url) as cache, behind(cache, source) as rows:
        ack = rows.put("a", 1)
        assert ack.durability == "redis"
        rows.flush()
    assert source.rows == {"a": 1}


def test_a_write_that_waits_for_replicas_says_so(replicated: Replicated) -> None:
    source = Ledger()
    with of(replicated.primary.url) as cache:
        rows = behind(cache, source, durability="redis+wait", assume_durable=True)
        assert rows.put("a", 1).durability == "redis+wait"
        rows.flush()
        more = behind(
            cache, source, durability="redis+wait", replicas=2, assume_durable=True, name="more"
        )
        with pytest.raises(JournalUnavailable, match="2 replicas"):
            more.put("b", 1)
    assert source.rows["a"] == 1


# -- what goes when memory is short ------------------------------------------------------------


def test_accepted_writes_are_read_when_their_entries_were_evicted(
    make_redis: MakeServer,
) -> None:
    limits = ("--maxmemory", "8mb", "--maxmemory-policy", "volatile-lru")
    server = make_redis(aof=True, arguments=limits)
    source = Ledger(**{f"k{n}": "old" for n in range(50)})
    source.gate = Latch()
    with of(server.url, l1=False) as cache, behind(cache, source) as rows:
        rows.put_many({f"k{n}": "new" for n in range(50)})

        entries = [f"fw:e:default:row:k{n}" for n in range(50)]
        assert server.ask("EXISTS", *entries) == 50
        fillers = iter(range(100_000))

        def all_are_evicted() -> bool:
            cache.set_many({f"filler:{next(fillers)}": "x" * 20_000 for _ in range(100)})
            left: int = server.ask("EXISTS", *entries)
            return left == 0

        until_so(all_are_evicted)
        found = rows.get_many([f"k{n}" for n in range(50)])
        assert set(found.values()) == {"new"}
        source.gate.open()
        rows.flush()
        assert set(source.rows.values()) == {"new"}


def test_a_server_that_is_full_accepts_nothing_and_flushes_what_it_has(
    make_redis: MakeServer,
) -> None:
    limits = ("--maxmemory", "6mb", "--maxmemory-policy", "noeviction")
    server = make_redis(aof=True, arguments=limits)
    source = held()
    with of(server.url, l1=False) as cache, behind(cache, source, drain=30) as rows:
        accepted: list[str] = []

        def put_until_it_is_full() -> None:
            for number in range(10_000):
                rows.put(f"k{number}", "x" * 5_000)
                accepted.append(f"k{number}")

        with pytest.raises((JournalUnavailable, StoreUnavailable)):
            put_until_it_is_full()
        assert accepted
        source.gate.open()
        rows.flush()
        assert set(accepted) <= set(source.rows)


# -- when it fails -----------------------------------------------------------------------------


def test_nothing_is_acknowledged_while_the_journal_is_away(make_redis: MakeServer) -> None:
    server = make_redis(aof=True)
    source = Ledger(a=1, b=1)
    with of(server.url, command_timeout=0.2) as cache, behind(cache, source) as rows:
        listening(cache)
        assert rows.get("a") == 1
        rests(cache, "row:a")
        rows.put("b", 2)
        server.kill()
        with pytest.raises((JournalUnavailable, StoreUnavailable)):
            rows.put("a", 2)
        with pytest.raises(JournalUnavailable):
            rows.get("b")
        server.restart()

        def is_back() -> bool:
            try:
                return rows.get("b") == 2
            except JournalUnavailable:
                return False

        until_so(is_back)
        rows.flush()
        assert source.rows["b"] == 2


def test_writes_that_the_source_took_without_saying_so_are_repeated_and_absorbed(
    make_redis: MakeServer,
) -> None:
    source = Ledger()
    late: list[int] = []

    def answer(batch: Any) -> Any:
        for write in batch.writes:
            source.rows[write.id] = write.value
            source.fences[write.id] = write.sequence
        if len(late) < 3:
            late.append(len(batch))
            raise TimeoutError("no answer came")

    source.answer = answer
    with of(make_redis(aof=True).url) as cache, behind(cache, source) as rows:
        rows.put_many({f"k{n}": n for n in range(20)})
        rows.flush()
        assert source.rows == {f"k{n}": n for n in range(20)}
        assert len(late) == 3
        assert rows.backlog().dead == 0


def test_two_writers_of_a_key_in_two_processes_agree_with_the_source(
    make_redis: MakeServer,
) -> None:
    source = Ledger()
    url = make_redis(aof=True).url
    with of(url) as one, of(url) as other:
        here, there = behind(one, source), behind(other, source)
        puts = [partial(rows.put, "a", n) for n, rows in enumerate([here, there] * 20)]
        acks = all_of(*puts)
        last = max(range(40), key=lambda n: acks[n].sequence)
        here.flush()
        assert source.rows == {"a": last}
        for cache, rows in ((one, here), (other, there)):
            listening(cache)

            def agrees(rows: WriteBehind[Any] = rows) -> bool:
                return rows.get("a") == last

            until_so(agrees)


# -- servers of other kinds ---------------------------------------------------------------------


def _serves(url: str, **options: Any) -> None:
    source = held()
    ids = [f"k{n}" for n in range(60)]
    with of(url) as one, of(url) as other:
        here = behind(one, source, assume_durable=True, shards=8, **options)
        there = behind(other, source, assume_durable=True, shards=8, flusher=False, **options)
        here.put_many(dict.fromkeys(ids, 1))
        assert there.get_many(ids) == dict.fromkeys(ids, 1)
        there.put_many(dict.fromkeys(ids, 2))
        there.delete(ids[0])

        def sees_it() -> bool:
            return here.get_many(ids) == dict.fromkeys(ids[1:], 2)

        until_so(sees_it)
        assert here.backlog().records == 121
        source.gate.open()
        there.flush()
        assert source.rows == {"a": 1, **dict.fromkeys(ids[1:], 2)}
        assert there.backlog().records == 0


def test_it_works_on_a_cluster(cluster_url: str) -> None:
    _serves(cluster_url)


def test_it_works_on_what_sentinels_watch_over(sentinel_url: str) -> None:
    _serves(sentinel_url)


def test_schema_versions_share_a_journal(redis_url: str) -> None:
    source = held()
    with of(redis_url, version=1) as old, of(redis_url, version=2) as new:
        before = behind(old, source, assume_durable=True)
        after = behind(new, source, assume_durable=True, flusher=False)
        assert after.get("a") == 1
        before.put("a", 2)

        def sees_it() -> bool:
            return after.get("a") == 2

        until_so(sees_it)
        after.put("a", 3)
        source.gate.open()
        after.flush()
        assert source.rows == {"a": 3}


def test_namespaces_have_journals_of_their_own(redis_url: str, redis_server: Server) -> None:
    one, other = held(), held()
    with of(redis_url) as cache:
        here = cache.namespace("one")
        there = cache.namespace("two").namespace("deep")
        options: dict[str, Any] = {"journal": "redis", "assume_durable": True, "key": "row:{}"}
        first, second = here.write_behind(one, **options), there.write_behind(other, **options)
        first.put("a", 2)
        second.put("a", 3)
        assert first.backlog().records == 1
        assert [here.get("row:a"), there.get("row:a")] == [2, 3]
        one.gate.open()
        other.gate.open()
        first.flush()
        second.flush()
    assert [one.rows, other.rows] == [{"a": 2}, {"a": 3}]


def test_an_accepted_value_lives_by_its_tags(redis_url: str) -> None:
    source = Ledger()
    with of(redis_url) as cache:
        rows = behind(cache, source, assume_durable=True, tags=["row:{id}", lambda v: v["kind"]])
        rows.put("a", {"kind": "cat"})
        rows.flush()
        loads = source.loads
        assert rows.get("a") == {"kind": "cat"}
        assert source.loads == loads
        for tag in ("row:a", "cat"):
            cache.invalidate_tags(tag)
            loads = source.loads
            assert rows.get("a") == {"kind": "cat"}
            assert source.loads == loads + 1
        with pytest.raises(KeyRejected):
            rows.put("b", {"kind": "x" * 300})
        assert rows.backlog().records == 0
