"""What the scripts do to one entry, asked of the store on a real server, one step at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from freshwell._async.stores.base import Grant
from freshwell._async.stores.redis import RedisStore
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.resp import Argument, Reply
from freshwell.engines.tokens import Tokens
from freshwell.testing._async.store_parts import KEY, stored, value
from freshwell.testing.conformance import AsyncStoreConformance
from tests.support.servers import Server


def opened(url: str, lease_ms: int = 5_000) -> RedisStore:
    return RedisStore(Link(Endpoint.of(url)), lease_ms=lease_ms, new_token=Tokens(8))


class TestOnOneServer(AsyncStoreConformance):
    @pytest.fixture
    def make(self, redis_url: str) -> Callable[..., RedisStore]:
        return partial(opened, redis_url)


async def test_a_fill_after_the_lease_was_lost_is_refused(
    redis_url: str, redis_server: Server
) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    redis_server.ask("FLUSHALL")
    assert await store.fill([value(lease.token)]) == [False]
    assert await stored(store) is None
    await store.aclose()


@pytest.mark.parametrize("what", ["foreign", "list"])
async def test_a_lease_is_granted_over_what_is_not_ours(
    redis_url: str, redis_server: Server, what: str
) -> None:
    if what == "list":
        redis_server.ask("RPUSH", KEY, "x")
    else:
        redis_server.ask("SET", KEY, "x" * 100)
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    assert lease.grant is Grant.GRANTED
    assert await store.fill([value(lease.token)]) == [True]
    await store.aclose()


async def test_scripts_that_the_server_forgot_are_sent_again(
    redis_url: str, redis_server: Server
) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    redis_server.ask("SCRIPT", "FLUSH", "SYNC")
    assert await store.fill([value(lease.token)]) == [True]
    await store.aclose()


async def test_an_acquire_whose_reply_was_lost_is_granted_to_the_second_try(redis_url: str) -> None:
    store = opened(redis_url)
    lost = (await store.acquire([KEY]))[0]
    again = await store._ask([KEY], b"needed", b"second!!", lost.token, 0, {}, False)
    assert again[0].grant is Grant.GRANTED
    assert await store.fill([value(lost.token)]) == [False]
    assert await store.fill([value(b"second!!")]) == [True]
    await store.aclose()


async def test_everything_stored_has_an_end(redis_url: str, redis_server: Server) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    assert 0 < redis_server.ask("PTTL", KEY) <= 5_000
    await store.fill([value(lease.token)])
    assert 0 < redis_server.ask("PTTL", KEY) <= 120_000
    await store.expire([KEY])
    assert redis_server.ask("PTTL", KEY) > 0
    await store.invalidate([KEY])
    assert 0 < redis_server.ask("PTTL", KEY) <= 1_000
    await store.aclose()


async def test_entries_are_removed_by_small_scripts_that_are_sent_one_after_the_other(
    redis_url: str,
) -> None:
    writes: list[list[int]] = []

    class Watched(Link):
        async def batch(
            self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
        ) -> list[Reply]:
            writes.append([len(command) for command in commands])
            return await super().batch(commands, repeat=repeat)

    link = Watched(Endpoint.of(redis_url))
    store = RedisStore(link, lease_ms=5_000, new_token=Tokens(8))
    await store.forget([KEY])  # the script is known
    writes.clear()
    assert await store.forget([KEY + b"%d" % n for n in range(900)]) == 0
    assert all(len(write) == 1 for write in writes), "the server does in one go what it reads"
    assert max(max(write) for write in writes) < 256
    await store.aclose()
