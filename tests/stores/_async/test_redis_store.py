"""What the scripts do to one entry, asked of the store on a real server, one step at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from freshwell._async.stores.base import Fill, Grant
from freshwell._async.stores.redis import RedisStore
from freshwell._kit.aio import sleep
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell.ground.frame import Frame, State, decode, encode, identity_of, rest_until_ms
from freshwell.ground.keys import digest8
from tests.support.servers import Server

KEY = b"fw:e:default:a"


def counting() -> Callable[[], bytes]:
    """Return a maker of tokens that can be told apart."""
    numbers = itertools.count(1)
    return lambda: b"token%03d" % next(numbers)


def opened(url: str, lease_ms: int = 5_000) -> RedisStore:
    return RedisStore(Link(Endpoint.of(url)), lease_ms=lease_ms, new_token=counting())


def value(token: bytes = b"", text: bytes = b"1", fresh_ms: int = 60_000) -> Fill:
    frame = encode(
        state=State.VALUE, codec=1, digest=digest8(KEY), payload=text, token=token or bytes(8)
    )
    return Fill(KEY, token, frame, fresh_ms, 2 * fresh_ms)


async def stored(store: RedisStore) -> Frame | None:
    blob = await store.fetch(KEY)
    if blob is None:
        return None
    frame = decode(blob, digest8(KEY))
    assert isinstance(frame, Frame)
    return frame


async def test_the_first_gets_the_lease_and_the_second_is_told_to_wait(redis_url: str) -> None:
    store = opened(redis_url)
    first, second = (await store.acquire([KEY]))[0], (await store.acquire([KEY]))[0]
    assert first.grant is Grant.GRANTED
    assert second.grant is Grant.HELD
    assert 0 < second.left_ms <= 5_000
    await store.aclose()


async def test_a_fill_stands_while_its_lease_does(redis_url: str) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    assert await store.fill([value(lease.token)]) == [True]
    frame = await stored(store)
    assert frame is not None
    assert bytes(frame.payload) == b"1"
    found = (await store.acquire([KEY]))[0]
    assert found.grant is Grant.FRESH
    await store.aclose()


async def test_a_fill_that_is_repeated_says_the_same(redis_url: str) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    assert await store.fill([value(lease.token)]) == [True]
    assert await store.fill([value(lease.token)]) == [True]
    await store.aclose()


async def test_a_fill_after_an_invalidation_is_refused(redis_url: str) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    await store.invalidate([KEY])
    assert await store.fill([value(lease.token)]) == [False]
    frame = await stored(store)
    assert frame is not None
    assert frame.state is State.TOMBSTONE
    await store.aclose()


async def test_a_fill_after_the_lease_was_lost_is_refused(
    redis_url: str, redis_server: Server
) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    redis_server.ask("FLUSHALL")
    assert await store.fill([value(lease.token)]) == [False]
    assert await stored(store) is None
    await store.aclose()


async def test_a_lease_that_has_ended_is_granted_anew_and_the_first_holder_stores_nothing(
    redis_url: str,
) -> None:
    store = opened(redis_url, lease_ms=50)
    first = (await store.acquire([KEY]))[0]
    await sleep(0.08)
    second = (await store.acquire([KEY]))[0]
    assert second.grant is Grant.GRANTED
    assert await store.fill([value(first.token, b"1")]) == [False]
    assert await store.fill([value(second.token, b"2")]) == [True]
    await store.aclose()


async def test_a_beat_prolongs_the_own_lease_only(redis_url: str) -> None:
    store = opened(redis_url, lease_ms=300)
    lease = (await store.acquire([KEY]))[0]
    await sleep(0.2)
    assert await store.beat([(KEY, lease.token), (KEY, b"somebody")]) == [True, False]
    await sleep(0.2)
    assert (await store.acquire([KEY]))[0].grant is Grant.HELD
    await store.aclose()


async def test_a_beat_after_an_invalidation_says_that_the_lease_is_gone(redis_url: str) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    await store.invalidate([KEY])
    assert await store.beat([(KEY, lease.token)]) == [False]
    await store.aclose()


async def test_a_released_lease_is_granted_at_once(redis_url: str) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    await store.release([(KEY, b"somebody")])
    assert (await store.acquire([KEY]))[0].grant is Grant.HELD
    await store.release([(KEY, lease.token)])
    assert (await store.acquire([KEY]))[0].grant is Grant.GRANTED
    await store.aclose()


async def test_a_lease_in_front_of_an_outdated_value_leaves_it_readable(redis_url: str) -> None:
    store = opened(redis_url)
    await store.fill([value(fresh_ms=20)])
    await sleep(0.03)
    assert (await store.acquire([KEY]))[0].grant is Grant.GRANTED
    frame = await stored(store)
    assert frame is not None
    assert frame.state is State.VALUE
    assert frame.lease_until_ms > 0
    await store.aclose()


async def test_a_fresh_value_is_refreshed_only_where_little_is_left(redis_url: str) -> None:
    store = opened(redis_url)
    await store.fill([value(fresh_ms=10_000)])
    assert (await store.acquire([KEY], fresh_beyond_ms=5_000))[0].grant is Grant.FRESH
    assert (await store.acquire([KEY], fresh_beyond_ms=20_000))[0].grant is Grant.GRANTED
    assert (await store.acquire([KEY], fresh_beyond_ms=20_000))[0].grant is Grant.HELD
    await store.aclose()


async def test_a_forced_lease_voids_anothers(redis_url: str) -> None:
    store = opened(redis_url)
    first = (await store.acquire([KEY]))[0]
    second = (await store.acquire([KEY], forced=True))[0]
    assert second.grant is Grant.GRANTED
    assert await store.fill([value(first.token)]) == [False]
    assert await store.fill([value(second.token)]) == [True]
    await store.aclose()


async def test_a_value_without_a_lease_replaces_what_stands_and_voids_the_lease(
    redis_url: str,
) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    assert await store.fill([value(b"", b"2")]) == [True]
    assert await store.fill([value(lease.token, b"1")]) == [False]
    frame = await stored(store)
    assert frame is not None
    assert bytes(frame.payload) == b"2"
    await store.aclose()


async def test_expiring_ends_freshness_and_the_lease_and_keeps_the_body(redis_url: str) -> None:
    store = opened(redis_url)
    await store.fill([value()])
    lease = (await store.acquire([KEY], forced=True))[0]
    await store.expire([KEY])
    frame = await stored(store)
    assert frame is not None
    assert bytes(frame.payload) == b"1"
    assert frame.fresh_until_ms <= store.server_ms() + 2
    assert await store.fill([value(lease.token, b"2")]) == [False]
    await store.aclose()


async def test_expiring_a_key_that_is_being_loaded_voids_the_load(redis_url: str) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    await store.expire([KEY])
    assert await store.fill([value(lease.token)]) == [False]
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


async def test_a_source_that_rests_is_asked_by_those_who_accept_nothing_stale(
    redis_url: str,
) -> None:
    store = opened(redis_url)
    lease = (await store.acquire([KEY]))[0]
    await store.fill([value(lease.token)])
    await store.expire([KEY])
    failing = (await store.acquire([KEY]))[0]
    await store.release([(KEY, failing.token)], rest_ms=60_000)
    frame = await store.fetch(KEY)
    assert frame is not None
    assert rest_until_ms(frame) > store.server_ms(KEY) + 50_000
    assert (await store.beat([(KEY, failing.token)])) == [False], "the lease is gone"
    assert (await store.acquire([KEY], stale_does=True))[0].grant is Grant.FRESH
    useless = {KEY: identity_of(frame)}
    assert (await store.acquire([KEY], stale_does=True, useless=useless))[0].grant is Grant.GRANTED
    held = (await store.acquire([KEY], stale_does=True))[0]
    assert held.grant is Grant.HELD, "a lease has ended the rest"
    await store.aclose()


async def test_a_rest_ends_by_expiry_and_by_being_told_to(redis_url: str) -> None:
    store = opened(redis_url)
    await store.fill([value(b"")])
    await store.expire([KEY])
    failing = (await store.acquire([KEY]))[0]
    await store.release([(KEY, failing.token)], rest_ms=60_000)
    await store.expire([KEY])
    frame = await store.fetch(KEY)
    assert frame is not None
    assert rest_until_ms(frame) == 0
    failing = (await store.acquire([KEY], stale_does=True))[0]
    assert failing.grant is Grant.GRANTED
    await store.release([(KEY, failing.token)], rest_ms=1)

    async def is_over() -> bool:
        return (await store.acquire([KEY], stale_does=True))[0].grant is Grant.GRANTED

    for _ in range(1_000):
        if await is_over():
            break
    else:
        raise AssertionError("it rests for ever")
    await store.aclose()


async def test_only_the_holder_of_the_lease_drops_what_stands_there(redis_url: str) -> None:
    store = opened(redis_url)
    await store.fill([value(b"")])
    await store.expire([KEY])
    lease = (await store.acquire([KEY]))[0]
    await store.release([(KEY, b"notmine!")], drop=True)
    await store.release([(KEY, b"notmine!")], rest_ms=60_000)
    assert await store.fetch(KEY) is not None
    assert (await store.acquire([KEY]))[0].grant is Grant.HELD
    await store.release([(KEY, lease.token)], drop=True)
    assert await store.fetch(KEY) is None
    await store.aclose()
