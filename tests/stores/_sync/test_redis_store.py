"""What the scripts do to one entry, asked of the store on a real server, one step at a time."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from freshwell._sync.stores.base import Grant
from freshwell._sync.stores.redis import RedisStore
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.resp import Argument, Reply
from freshwell.engines.tokens import Tokens
from freshwell.testing._sync.store_parts import KEY, stored, value
from freshwell.testing.conformance import StoreConformance
from tests.support.servers import Server


def opened(url: str, lease_ms: int = 5_000) -> RedisStore:
    return RedisStore(Link(Endpoint.of(url)), lease_ms=lease_ms, new_token=Tokens(8))


class TestOnOneServer(StoreConformance):
    @pytest.fixture
    def make(self, redis_url: str) -> Callable[..., RedisStore]:
        return partial(opened, redis_url)


def test_a_fill_after_the_lease_was_lost_is_refused(
    redis_url: str, redis_server: Server
) -> None:
    store = opened(redis_url)
    lease = store.acquire([KEY])[0]
    redis_server.ask("FLUSHALL")
    assert store.fill([value(lease.token)]) == [False]
    assert stored(store) is None
    store.close()


@pytest.mark.parametrize("what", ["foreign", "list"])
def test_a_lease_is_granted_over_what_is_not_ours(
    redis_url: str, redis_server: Server, what: str
) -> None:
    if what == "list":
        redis_server.ask("RPUSH", KEY, "x")
    else:
        redis_server.ask("SET", KEY, "x" * 100)
    store = opened(redis_url)
    lease = store.acquire([KEY])[0]
    assert lease.grant is Grant.GRANTED
    assert store.fill([value(lease.token)]) == [True]
    store.close()


def test_scripts_that_the_server_forgot_are_sent_again(
    redis_url: str, redis_server: Server
) -> None:
    store = opened(redis_url)
    lease = store.acquire([KEY])[0]
    redis_server.ask("SCRIPT", "FLUSH", "SYNC")
    assert store.fill([value(lease.token)]) == [True]
    store.close()


def test_an_acquire_whose_reply_was_lost_is_granted_to_the_second_try(redis_url: str) -> None:
    store = opened(redis_url)
    lost = store.acquire([KEY])[0]
    again = store._ask([KEY], b"needed", b"second!!", lost.token, 0, {}, False)
    assert again[0].grant is Grant.GRANTED
    assert store.fill([value(lost.token)]) == [False]
    assert store.fill([value(b"second!!")]) == [True]
    store.close()


def test_everything_stored_has_an_end(redis_url: str, redis_server: Server) -> None:
    store = opened(redis_url)
    lease = store.acquire([KEY])[0]
    assert 0 < redis_server.ask("PTTL", KEY) <= 5_000
    store.fill([value(lease.token)])
    assert 0 < redis_server.ask("PTTL", KEY) <= 120_000
    store.expire([KEY])
    assert redis_server.ask("PTTL", KEY) > 0
    store.invalidate([KEY])
    assert 0 < redis_server.ask("PTTL", KEY) <= 1_000
    store.close()


def test_entries_are_removed_by_small_scripts_that_are_sent_one_after_the_other(
    redis_url: str,
) -> None:
    writes: list[list[int]] = []

    class Watched(Link):
        def batch(
            self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
        ) -> list[Reply]:
            writes.append([len(command) for command in commands])
            return super().batch(commands, repeat=repeat)

    link = Watched(Endpoint.of(redis_url))
    store = RedisStore(link, lease_ms=5_000, new_token=Tokens(8))
    store.forget([KEY])  # the script is known
    writes.clear()
    assert store.forget([KEY + b"%d" % n for n in range(900)]) == 0
    assert all(len(write) == 1 for write in writes), "the server does in one go what it reads"
    assert max(max(write) for write in writes) < 256
    store.close()
