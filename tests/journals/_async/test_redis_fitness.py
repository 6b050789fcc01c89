"""Servers that would lose accepted writes are refused, and so said."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from freshwell._async.stores.fitness import Fitness
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.resp import Argument, Reply
from freshwell.errors import JournalUnavailable, JournalUnfit
from freshwell.ground.records import Durability
from freshwell.testing import FakeClock
from tests.journals._async.redis_parts import draft, opened
from tests.support.plugin import MakeServer
from tests.support.servers import Server

AOF = ("--appendonly", "yes", "--appendfsync", "everysec")


def as_user(server: Server, *rules: str) -> str:
    """Return the URL of a server for a user who may do all but what the rules say."""
    server.ask("ACL", "SETUSER", "me", "reset", "on", ">pw", "~*", "&*", "+@all", *rules)
    return server.url.replace("redis://", "redis://me:pw@")


async def test_a_server_that_appends_and_evicts_nothing_is_fit(make_redis: MakeServer) -> None:
    server = make_redis(arguments=AOF)
    for policy in ("noeviction", "volatile-lru"):
        server.ask("CONFIG", "SET", "maxmemory-policy", policy)
        async with opened(server.url, assume_durable=False) as journal:
            await journal.check()
            await journal.accept([draft("a")])


async def test_a_server_that_evicts_any_key_is_refused_whatever_is_said(
    make_redis: MakeServer,
) -> None:
    server = make_redis(arguments=(*AOF, "--maxmemory-policy", "allkeys-lru"))
    for assumed in (False, True):
        async with opened(server.url, assume_durable=assumed) as journal:
            for call in (
                journal.check,
                partial(journal.accept, [draft("a")]),
                partial(journal.own, 0),
            ):
                with pytest.raises(JournalUnfit, match=r"allkeys-lru.*: set maxmemory-policy"):
                    await call()
    assert server.ask("KEYS", "*") == []


async def test_a_server_without_a_file_is_refused_unless_the_user_answers_for_it(
    own_redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(own_redis.url, assume_durable=False) as journal:
        with pytest.raises(JournalUnfit, match=r"no append-only file.*assume_durable"):
            await journal.accept([draft("a")])
    assert own_redis.ask("KEYS", "*") == []
    with caplog.at_level(logging.WARNING, "freshwell"):
        async with opened(own_redis.url, assume_durable=True) as journal:
            for _ in range(3):
                await journal.accept([draft("a")])
    assert len(caplog.records) == 1
    assert "may lose accepted writes" in caplog.text


async def test_where_config_is_forbidden_info_tells(make_redis: MakeServer) -> None:
    server = make_redis(arguments=AOF)
    url = as_user(server, "-config")
    async with opened(url, assume_durable=False) as journal:
        await journal.accept([draft("a")])
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    async with opened(url) as journal:
        with pytest.raises(JournalUnfit, match="allkeys-random"):
            await journal.accept([draft("a")])
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "appendonly", "no")
    async with opened(url, assume_durable=False) as journal:
        with pytest.raises(JournalUnfit, match="no append-only file"):
            await journal.accept([draft("a")])


async def test_where_config_is_renamed_info_tells(make_redis: MakeServer) -> None:
    server = make_redis(arguments=(*AOF, "--rename-command", "CONFIG", "secret"))
    async with opened(server.url, assume_durable=False) as journal:
        await journal.accept([draft("a")])


async def test_a_server_that_tells_nothing_is_refused_unless_the_user_answers_for_it(
    make_redis: MakeServer,
) -> None:
    url = as_user(make_redis(arguments=AOF), "-@dangerous")
    async with opened(url, assume_durable=False) as journal:
        with pytest.raises(JournalUnfit, match="does not tell"):
            await journal.accept([draft("a")])
    async with opened(url, assume_durable=True) as journal:
        await journal.accept([draft("a")])


async def test_a_refusal_is_noted_in_the_servers_log_once(make_redis: MakeServer) -> None:
    server = make_redis(arguments=(*AOF, "--maxmemory-policy", "allkeys-lru"))
    clock = FakeClock()
    link = Link(Endpoint.of(as_user(server, "-config")), command_timeout_s=5)
    fitness = watching(link, clock)
    for _ in range(5):
        with pytest.raises(JournalUnfit):
            await fitness.check()
        clock.advance(2)
    assert len(server.ask("ACL", "LOG")) == 1
    await link.aclose()


async def test_what_changes_is_noticed_within_a_minute_and_what_is_mended_within_a_second(
    make_redis: MakeServer,
) -> None:
    server = make_redis(arguments=AOF)
    clock = FakeClock()
    link = Link(Endpoint.of(server.url), command_timeout_s=5)
    fitness = watching(link, clock)
    await fitness.check()
    assert fitness.was_fit
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    clock.advance(59)
    await fitness.check()
    clock.advance(2)
    with pytest.raises(JournalUnfit):
        await fitness.check()
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    with pytest.raises(JournalUnfit):
        await fitness.check()
    clock.advance(1)
    await fitness.check()
    await link.aclose()


def watching(link: Link, clock: FakeClock) -> Fitness:
    async def ask(commands: list[tuple[Argument, ...]]) -> list[list[Reply]]:
        return [await link.batch(commands)]

    return Fitness(
        ask,  # type: ignore[arg-type]
        durability=Durability.REDIS,
        assumed=False,
        patience_s=5,
        now_ns=clock,
    )


async def test_a_server_that_has_become_unfit_takes_no_more_and_is_flushed(
    make_redis: MakeServer,
) -> None:
    server = make_redis(arguments=AOF)
    async with opened(server.url, assume_durable=False) as journal:
        await journal.accept([draft("a")])
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        journal._fitness._due_ns = 0  # a minute later
        with pytest.raises(JournalUnfit):
            await journal.accept([draft("b")])
        assert await journal.own(0)
        assert len(await journal.take(0, 0, 9)) == 1


async def test_a_server_that_does_not_answer_is_not_unfit_but_unavailable(
    own_redis: Server,
) -> None:
    own_redis.stop()
    async with opened(own_redis.url) as journal:
        with pytest.raises(JournalUnavailable):
            await journal.check()
