"""Servers that would lose accepted writes are refused, and so said."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import logging
from functools import partial

import pytest

from freshwell._sync.stores.fitness import Fitness
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.resp import Argument, Reply
from freshwell.errors import JournalUnavailable, JournalUnfit
from freshwell.ground.records import Durability
from freshwell.testing import FakeClock
from tests.journals._sync.redis_parts import draft, opened
from tests.support.plugin import MakeServer
from tests.support.servers import Server

AOF = ("--appendonly", "yes", "--appendfsync", "everysec")


def as_user(server: Server, *rules: str) -> str:
    """Return the URL of a server for a user who may do all but what the rules say."""
    server.ask("ACL", "SETUSER", "me", "reset", "on", ">pw", "~*", "&*", "+@all", *rules)
    return server.url.replace("redis://", "redis://me:pw@")


def test_a_server_that_appends_and_evicts_nothing_is_fit(make_redis: MakeServer) -> None:
    server = make_redis(arguments=AOF)
    for policy in ("noeviction", "volatile-lru"):
        server.ask("CONFIG", "SET", "maxmemory-policy", policy)
        with opened(server.url, assume_durable=False) as journal:
            journal.check()
            journal.accept([draft("a")])


def test_a_server_that_evicts_any_key_is_refused_whatever_is_said(
    make_redis: MakeServer,
) -> None:
    server = make_redis(arguments=(*AOF, "--maxmemory-policy", "allkeys-lru"))
    for assumed in (False, True):
        with opened(server.url, assume_durable=assumed) as journal:
            for call in (
                journal.check,
                partial(journal.accept, [draft("a")]),
                partial(journal.own, 0),
            ):
                with pytest.raises(JournalUnfit, match=r"allkeys-lru.*: set maxmemory-policy"):
                    call()
    assert server.ask("KEYS", "*") == []


def test_a_server_without_a_file_is_refused_unless_the_user_answers_for_it(
    own_redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(own_redis.url, assume_durable=False) as journal:
        with pytest.raises(JournalUnfit, match=r"no append-only file.*assume_durable"):
            journal.accept([draft("a")])
    assert own_redis.ask("KEYS", "*") == []
    with caplog.at_level(logging.WARNING, "freshwell"):
        with opened(own_redis.url, assume_durable=True) as journal:
            for _ in range(3):
                journal.accept([draft("a")])
    assert len(caplog.records) == 1
    assert "may lose accepted writes" in caplog.text


def test_where_config_is_forbidden_info_tells(make_redis: MakeServer) -> None:
    server = make_redis(arguments=AOF)
    url = as_user(server, "-config")
    with opened(url, assume_durable=False) as journal:
        journal.accept([draft("a")])
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    with opened(url) as journal:
        with pytest.raises(JournalUnfit, match="allkeys-random"):
            journal.accept([draft("a")])
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "appendonly", "no")
    with opened(url, assume_durable=False) as journal:
        with pytest.raises(JournalUnfit, match="no append-only file"):
            journal.accept([draft("a")])


def test_where_config_is_renamed_info_tells(make_redis: MakeServer) -> None:
    server = make_redis(arguments=(*AOF, "--rename-command", "CONFIG", "secret"))
    with opened(server.url, assume_durable=False) as journal:
        journal.accept([draft("a")])


def test_a_server_that_tells_nothing_is_refused_unless_the_user_answers_for_it(
    make_redis: MakeServer,
) -> None:
    url = as_user(make_redis(arguments=AOF), "-@dangerous")
    with opened(url, assume_durable=False) as journal:
        with pytest.raises(JournalUnfit, match="does not tell"):
            journal.accept([draft("a")])
    with opened(url, assume_durable=True) as journal:
        journal.accept([draft("a")])


def test_a_refusal_is_noted_in_the_servers_log_once(make_redis: MakeServer) -> None:
    server = make_redis(arguments=(*AOF, "--maxmemory-policy", "allkeys-lru"))
    clock = FakeClock()
    link = Link(Endpoint.of(as_user(server, "-config")), command_timeout_s=5)
    fitness = watching(link, clock)
    for _ in range(5):
        with pytest.raises(JournalUnfit):
            fitness.check()
        clock.advance(2)
    assert len(server.ask("ACL", "LOG")) == 1
    link.close()


def test_what_changes_is_noticed_within_a_minute_and_what_is_mended_within_a_second(
    make_redis: MakeServer,
) -> None:
    server = make_redis(arguments=AOF)
    clock = FakeClock()
    link = Link(Endpoint.of(server.url), command_timeout_s=5)
    fitness = watching(link, clock)
    fitness.check()
    assert fitness.was_fit
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    clock.advance(59)
    fitness.check()
    clock.advance(2)
    with pytest.raises(JournalUnfit):
        fitness.check()
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    with pytest.raises(JournalUnfit):
        fitness.check()
    clock.advance(1)
    fitness.check()
    link.close()


def watching(link: Link, clock: FakeClock) -> Fitness:
    def ask(commands: list[tuple[Argument, ...]]) -> list[list[Reply]]:
        return [link.batch(commands)]

    return Fitness(
        ask,  # type: ignore[arg-type]
        durability=Durability.REDIS,
        assumed=False,
        patience_s=5,
        now_ns=clock,
    )


def test_a_server_that_has_become_unfit_takes_no_more_and_is_flushed(
    make_redis: MakeServer,
) -> None:
    server = make_redis(arguments=AOF)
    with opened(server.url, assume_durable=False) as journal:
        journal.accept([draft("a")])
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        journal._fitness._due_ns = 0  # a minute later
        with pytest.raises(JournalUnfit):
            journal.accept([draft("b")])
        assert journal.own(0)
        assert len(journal.take(0, 0, 9)) == 1


def test_a_server_that_does_not_answer_is_not_unfit_but_unavailable(
    own_redis: Server,
) -> None:
    own_redis.stop()
    with opened(own_redis.url) as journal:
        with pytest.raises(JournalUnavailable):
            journal.check()
