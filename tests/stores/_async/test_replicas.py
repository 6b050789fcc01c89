"""Invalidations that wait until replicas have them: WAIT, over a link of its own."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell._async.stores.base import Grant
from freshwell._async.stores.redis import RedisStore
from freshwell._async.stores.sentinel import SentinelLink
from freshwell._async.stores.waited import WaitedLink
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, ReplicasMissing, ServerReplied
from freshwell._kit.places import SentinelPlace, place_of
from freshwell.engines.tokens import Tokens
from freshwell.errors import StoreUnavailable
from tests.support.aio import all_of, start, until
from tests.support.impostor import CUT, SILENCE, impostor
from tests.support.sentinels import Replicated, Sentinels
from tests.support.servers import Server

KEY = b"fw:e:default:a"


def waited(url: str, wait_ms: int = 100) -> WaitedLink:
    limit_s = 5 + wait_ms / 1_000
    return WaitedLink(Link(Endpoint.of(url), command_timeout_s=limit_s), patience_s=3 * limit_s)


def opened(url: str, wait_ms: int = 100, replicas: int = 1) -> RedisStore:
    return RedisStore(
        Link(Endpoint.of(url), command_timeout_s=5),
        lease_ms=60_000,
        new_token=Tokens(8),
        min_replicas=replicas,
        replica_wait_ms=wait_ms,
        sure_link=waited(url, wait_ms),
    )


def waits(server: Server) -> bool:
    """Tell whether a client of the server is held up by its WAIT."""
    return server.info("clients")["blocked_clients"] != "0"


async def leased(store: RedisStore, server: Server, key: bytes = KEY) -> bytes:
    """Take the lease on a key, and return what stands there then: invalidations end it."""
    assert (await store.acquire([key]))[0].grant is Grant.GRANTED
    frame: bytes = server.ask("GET", key)
    return frame


async def test_an_invalidation_that_returns_has_reached_the_replica(
    replicated: Replicated,
) -> None:
    store = opened(replicated.primary.url, 10_000)
    for number in range(50):
        key = b"%b:%d" % (KEY, number)
        before = await leased(store, replicated.primary, key)
        await store.invalidate([key])
        assert replicated.replica.ask("GET", key) != before
    await store.aclose()


async def test_an_expiry_that_returns_has_reached_the_replica(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, 10_000)
    before = await leased(store, replicated.primary)
    await store.expire([KEY])
    assert replicated.replica.ask("GET", KEY) != before
    await store.aclose()


async def test_where_no_replica_confirms_the_primary_has_applied_it_and_it_raises(
    replicated: Replicated,
) -> None:
    store = opened(replicated.primary.url)
    lease = (await store.acquire([KEY]))[0]
    replicated.replica.freeze()
    with pytest.raises(ReplicasMissing, match="0 of 1 replicas confirmed within 100 ms") as caught:
        await store.invalidate([KEY])
    assert (caught.value.confirmed, caught.value.wanted) == (0, 1)
    assert await store.beat([(KEY, lease.token)]) == [False]
    with pytest.raises(ReplicasMissing):
        await store.expire([KEY])
    await store.aclose()


async def test_more_replicas_than_there_are_cannot_confirm(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, replicas=2)
    with pytest.raises(ReplicasMissing, match="1 of 2 replicas"):
        await store.invalidate([KEY])
    await store.aclose()


async def test_who_reads_and_fills_is_not_held_up_by_who_waits(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, 60_000)
    await store.fetch(KEY)
    replicated.replica.freeze()
    waiting = await start(partial(store.invalidate, [KEY]))
    await until(lambda: waits(replicated.primary), "it waits")
    await store.fetch(KEY)
    assert len(await store.acquire([b"fw:e:default:b"])) == 1
    assert not waiting.done
    replicated.replica.thaw()
    await waiting.result()
    await store.aclose()


async def test_many_that_wait_at_once_wait_together(replicated: Replicated) -> None:
    store = opened(replicated.primary.url)
    keys = [b"%b:%d" % (KEY, number) for number in range(60)]
    leases = [
        (key, lease.token) for key, lease in zip(keys, await store.acquire(keys), strict=True)
    ]
    replicated.replica.freeze()

    async def invalidate(key: bytes) -> str:
        try:
            await store.invalidate([key])
        except ReplicasMissing:
            return "missing"
        return "confirmed"

    assert set(await all_of(*[partial(invalidate, key) for key in keys])) == {"missing"}
    assert not any(await store.beat(leases))
    await store.aclose()


async def test_a_script_that_the_primary_lacks_is_waited_for_once(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, 60_000)
    lease = (await store.acquire([KEY]))[0]
    replicated.primary.ask("SCRIPT", "FLUSH", "SYNC")
    replicated.replica.freeze()
    waiting = await start(partial(store.invalidate, [KEY]))
    await until(lambda: waits(replicated.primary), "it waits")
    assert await store.beat([(KEY, lease.token)]) == [False]
    assert not waiting.done
    replicated.replica.thaw()
    await waiting.result()
    await store.aclose()


async def test_each_gets_the_replies_to_its_own_writes(replicated: Replicated) -> None:
    own = waited(replicated.primary.url, 10_000)

    async def write(number: int) -> object:
        commands = [("SET", f"k:{number}", "v"), ("APPEND", f"k:{number}", "x" * number)]
        return await own.batch_waited(commands, 1, 10_000)

    answers = await all_of(*[partial(write, number) for number in range(40)])
    assert answers == [([b"OK", 1 + number], 1) for number in range(40)]
    await own.aclose()


async def test_errors_stand_in_their_place(replicated: Replicated) -> None:
    own = waited(replicated.primary.url)
    replies, confirmed = await own.batch_waited([("SET", "k", "v"), ("LPUSH", "k", "x")], 0, 1)
    assert replies[0] == b"OK"
    assert isinstance(replies[1], ServerReplied)
    assert confirmed >= 0
    await own.aclose()


async def test_a_replica_that_is_asked_to_write_says_so(replicated: Replicated) -> None:
    own = waited(replicated.replica.url)
    with pytest.raises(ServerReplied, match="READONLY"):
        await own.batch_waited([("SET", "k", "v")], 1, 10)
    await own.aclose()


async def test_a_server_that_is_lost_is_told_to_all_who_wait() -> None:
    with impostor(lambda command: CUT if command[0] == b"WAIT" else b"+OK\r\n") as server:
        own = waited(server.url)
        with pytest.raises(LinkLost):
            await own.batch_waited([("SET", "k", "v")], 1, 10)
        await own.aclose()
        with pytest.raises(LinkLost, match="closed"):
            await own.batch_waited([("SET", "k", "v")], 1, 10)


async def test_a_server_that_is_silent_is_given_up_on_and_those_behind_too() -> None:
    with impostor(lambda command: SILENCE) as server:
        silent = Link(Endpoint.of(server.url), command_timeout_s=0.2)
        own = WaitedLink(silent, patience_s=2)
        errors = await all_of(*[partial(failure, own)] * 20)
        assert None not in errors
        await own.aclose()


async def failure(own: WaitedLink) -> StoreUnavailable | None:
    try:
        await own.batch_waited([("SET", "k", "v")], 1, 10)
    except StoreUnavailable as error:
        return error
    return None


@pytest.mark.slow
async def test_under_sentinels_it_waits_for_the_replicas_of_whoever_is_primary(
    sentinels: Sentinels,
) -> None:
    place = place_of(sentinels.url)
    assert isinstance(place, SentinelPlace)
    own = SentinelLink(place, command_timeout_s=5, replica_wait_ms=10_000)
    store = RedisStore(
        own,
        lease_ms=5_000,
        new_token=lambda: b"token001",
        min_replicas=2,
        replica_wait_ms=10_000,
        sure_link=own,
    )
    for _ in range(2):
        before = await leased(store, sentinels.primary)
        await store.invalidate([KEY])
        assert before not in [server.ask("GET", KEY) for server in sentinels.servers]
        old, _ = sentinels.failover()
        sentinels.settle()
        assert old.ask("ROLE")[0] == b"slave"
        await own.survey()
    await store.aclose()
