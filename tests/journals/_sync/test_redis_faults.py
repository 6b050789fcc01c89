"""A journal whose server, memory or connection fails: nothing is accepted twice, or hangs."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from freshwell._kit.link_errors import LinkLost
from freshwell._kit.resp import Argument, Reply
from freshwell.errors import JournalUnavailable, StoreUnavailable
from freshwell.ground.records import Record, Settled
from freshwell.testing import DOWN, FaultProxy
from tests.journals._sync.redis_parts import at_desk, draft, entry_of, opened, stem
from tests.support.threads import start, until
from tests.support.plugin import MakeServer
from tests.support.servers import Server


def held(server: Server) -> int:
    count: int = server.ask("XLEN", f"{stem()}:records")
    return count


def test_a_write_whose_reply_is_lost_is_not_given_again(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        with opened(between.url) as journal:
            journal.accept([draft("a")])
            between.freeze(DOWN)
            accepting = start(partial(refused, partial(journal.accept, [draft("b")])))
            until(lambda: held(own_redis) == 2, "it has arrived")
            between.cut()
            between.heal()
            assert accepting.result()
            assert held(own_redis) == 2
            journal.accept([draft("c")])
            assert held(own_redis) == 3


def refused(call: Callable[[], object]) -> bool:
    """Tell whether a call says that the journal is not available."""
    try:
        call()
    except JournalUnavailable:
        return True
    return False


def test_control_where_it_is_given_again_it_is_there_twice(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        with opened(between.url) as journal:
            journal.accept([draft("a")])
            link = journal._shards.link

            def carelessly(commands: Sequence[Sequence[Argument]]) -> list[Reply]:
                return link.batch(commands, repeat=True)

            journal._written = carelessly  # type: ignore[method-assign]
            between.freeze(DOWN)
            accepting = start(partial(journal.accept, [draft("b")]))
            until(lambda: held(own_redis) == 2, "it has arrived")
            between.cut()
            between.heal()
            accepting.result()
            assert held(own_redis) == 3


def test_a_settlement_whose_reply_is_lost_is_not_given_again(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        with opened(between.url) as journal:
            journal.accept([draft("a"), draft("b")])
            assert journal.own(0)
            first, second = journal.take(0, 0, 9)
            journal.settle(0, Settled(stored=(first,)))
            settled = Settled(stored=(second,))
            between.freeze(DOWN)
            settling = start(partial(refused, partial(journal.settle, 0, settled)))
            until(lambda: held(own_redis) == 0, "it has arrived")
            between.cut()
            between.heal()
            assert settling.result()
            assert journal.settle(0, settled) == 1


def test_a_server_that_is_frozen_is_given_up_on(own_redis: Server) -> None:
    with opened(own_redis.url, command_timeout_s=0.2, connect_timeout_s=0.2) as journal:
        journal.accept([draft("a")])
        assert journal.own(0)
        own_redis.freeze()
        for call in (
            partial(journal.accept, [draft("a")]),
            partial(journal.latest, ["a"]),
            partial(journal.take, 0, 0, 9),
            journal.backlog,
        ):
            assert refused(call)
        own_redis.thaw()


def test_a_server_that_is_killed_still_has_what_was_accepted(make_redis: MakeServer) -> None:
    server = make_redis(aof=True)
    with opened(server.url, assume_durable=False) as journal:
        sequences = journal.accept([draft("a"), draft("b")])
        server.kill()
        with pytest.raises(JournalUnavailable):
            journal.accept([draft("c")])
        server.start()
        until(partial(server.ask, "PING"), "it is back")
        found: list[Record | None] = []
        while not found:
            try:
                found = journal.latest(["a", "b"])
            except JournalUnavailable:
                continue
        assert [record and record.sequence for record in found] == sequences


def test_a_server_that_lost_its_scripts_is_taught_them_again(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, shards=4) as journal:
        for n in range(3):
            redis_server.ask("SCRIPT", "FLUSH", "SYNC")
            journal.accept([draft(f"{n}:{i}") for i in range(10)])
        assert journal.backlog().records == 30


def test_a_replica_takes_no_writes(own_redis: Server, make_redis: MakeServer) -> None:
    with opened(own_redis.url) as journal:
        journal.accept([draft("a")])
        own_redis.ask("REPLICAOF", "127.0.0.1", make_redis().port)
        with pytest.raises(JournalUnavailable):
            journal.accept([draft("b")])


def test_a_shard_that_is_something_else_is_no_journal(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        journal.check()
        redis_server.ask("SET", f"{stem()}:records", "foreign")
        for call in (partial(journal.accept, [draft("a")]), journal.backlog, desk.pending):
            assert refused(call)


def fill_memory(server: Server) -> None:
    """Leave no room for anything."""
    server.ask("SET", "ballast", b"x" * 1_000_000)
    server.ask("CONFIG", "SET", "maxmemory", "1")


def test_where_memory_is_full_nothing_is_accepted_and_what_is_there_is_flushed(
    own_redis: Server,
) -> None:
    with opened(own_redis.url, together=True, shards=2) as journal:
        journal.accept([draft(str(n)) for n in range(20)])
    fill_memory(own_redis)
    # A process that begins now, and owns nothing yet.
    with opened(own_redis.url, together=True, shards=2) as journal:
        with pytest.raises(JournalUnavailable, match="memory is full"):
            journal.accept([draft("a")], [entry_of(b"fw:e:shop:a")])
        assert own_redis.ask("EXISTS", "fw:e:shop:a") == 0
        assert journal.backlog().records == 20
        for shard in range(2):
            assert journal.own(shard)
            first, second, *rest = journal.take(shard, 0, 99)
            journal.settle(shard, Settled(failed=(first._replace(attempts=1),)))
            journal.settle(shard, Settled(dead=((second, "refused"),)))
            journal.settle(shard, Settled(stored=(first, *rest)))
        backlog = journal.backlog()
        assert (backlog.records, backlog.dead) == (0, 2)
        own_redis.ask("CONFIG", "SET", "maxmemory", "0")
        journal.accept([draft("a")])


def test_control_a_plain_write_is_refused_where_memory_is_full(own_redis: Server) -> None:
    fill_memory(own_redis)
    with opened(own_redis.url) as journal:
        text = "redis.call('HSET', KEYS[1], 'a', '1')"
        reply = journal._shards.link.batch([("EVAL", text, 1, "h")])[0]
        assert "OOM" in str(reply) or isinstance(reply, StoreUnavailable)
        assert own_redis.ask("EXISTS", "h") == 0


def test_a_closed_journal_is_unavailable(redis_url: str) -> None:
    with opened(redis_url) as journal:
        journal.accept([draft("a")])
    with pytest.raises(JournalUnavailable) as caught:
        journal.accept([draft("a")])
    assert isinstance(caught.value.__cause__, LinkLost)
