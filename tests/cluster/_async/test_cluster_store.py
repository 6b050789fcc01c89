"""The store over a cluster does what it does over one server, wherever its keys are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from freshwell._async.stores.base import Grant
from freshwell._async.stores.cluster import ClusterLink
from freshwell._async.stores.redis import RedisStore
from freshwell._kit.link_errors import LinkLost, ServerReplied
from freshwell._kit.places import ClusterPlace, place_of
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import Frame, State, decode
from freshwell.ground.keys import digest8
from freshwell.testing.conformance import AsyncStoreConformance
from tests.cluster._async.parts import KEYS, opened, store_over, value
from tests.support.aio import all_of
from tests.support.cluster import Cluster


def state_of(key: bytes, blob: bytes | None) -> State:
    assert blob is not None
    frame = decode(blob, digest8(key))
    assert isinstance(frame, Frame)
    return frame.state


def calls_of(cluster: Cluster, command: str) -> int:
    """Return how often a command was run, on all nodes together."""
    told = [node.info("commandstats").get(f"cmdstat_{command}", "calls=0,") for node in cluster.up]
    return sum(int(one.partition("=")[2].partition(",")[0]) for one in told)


class TestOnACluster(AsyncStoreConformance):
    @pytest.fixture
    def make(self, cluster_url: str) -> Callable[..., RedisStore]:
        def over(lease_ms: int = 5_000) -> RedisStore:
            place = place_of(cluster_url)
            assert isinstance(place, ClusterPlace)
            link = ClusterLink(place, connect_timeout_s=5.0, command_timeout_s=5.0)
            return store_over(link, lease_ms)

        return over


async def test_the_keys_of_these_tests_lie_on_every_node(redis_cluster: Cluster) -> None:
    assert {redis_cluster.primary_of(key) for key in KEYS} == set(redis_cluster.primaries)


async def test_leases_and_fills_of_many_keys(cluster_url: str) -> None:
    async with opened(cluster_url) as link:
        store = store_over(link)
        leases = await store.acquire(KEYS)
        assert {lease.grant for lease in leases} == {Grant.GRANTED}
        assert {one.grant for one in await store.acquire(KEYS)} == {Grant.HELD}
        held = [(key, lease.token) for key, lease in zip(KEYS, leases, strict=True)]
        assert await store.beat(held) == [True] * len(KEYS)
        fills = [value(key, token, key) for key, token in held]
        assert await store.fill(fills) == [True] * len(KEYS)
        assert await store.fetch_many(KEYS) == [
            frame.frame if one.frame is None else one.frame
            for frame, one in zip(fills, await store.acquire(KEYS), strict=True)
        ]
        assert {one.grant for one in await store.acquire(KEYS)} == {Grant.FRESH}


async def test_released_leases_are_granted_at_once(cluster_url: str) -> None:
    async with opened(cluster_url) as link:
        store = store_over(link)
        leases = await store.acquire(KEYS)
        await store.release([(k, lease.token) for k, lease in zip(KEYS, leases, strict=True)])
        assert {one.grant for one in await store.acquire(KEYS)} == {Grant.GRANTED}


async def test_an_invalidation_voids_the_leases_on_every_node(cluster_url: str) -> None:
    async with opened(cluster_url) as link:
        store = store_over(link)
        leases = await store.acquire(KEYS)
        await store.invalidate(KEYS)
        found = await store.fetch_many(KEYS)
        assert {state_of(*pair) for pair in zip(KEYS, found, strict=True)} == {State.TOMBSTONE}
        fills = [value(key, lease.token) for key, lease in zip(KEYS, leases, strict=True)]
        assert await store.fill(fills) == [False] * len(KEYS)


async def test_expiring_keeps_the_bodies(cluster_url: str) -> None:
    async with opened(cluster_url) as link:
        store = store_over(link)
        assert await store.fill([value(key) for key in KEYS]) == [True] * len(KEYS)
        await store.expire(KEYS)
        for key in KEYS:
            assert state_of(key, await store.fetch(key)) is State.VALUE
        assert {one.grant for one in await store.acquire(KEYS)} == {Grant.GRANTED}


async def test_scripts_that_the_nodes_forgot_are_sent_again(
    cluster_url: str, redis_cluster: Cluster
) -> None:
    async with opened(cluster_url) as link:
        store = store_over(link)
        leases = await store.acquire(KEYS)
        for node in redis_cluster.primaries:
            node.ask("SCRIPT", "FLUSH", "SYNC")
        fills = [value(key, lease.token) for key, lease in zip(KEYS, leases, strict=True)]
        assert await store.fill(fills) == [True] * len(KEYS)


async def test_a_thousand_keys_come_over_one_connection_for_each_node(
    cluster_url: str, redis_cluster: Cluster
) -> None:
    keys = [b"k:%d" % number for number in range(1_000)]
    async with opened(cluster_url) as link:
        await link.batch([(b"SET", key, key) for key in keys[::2]])
        connects = link.connects
        seen, reads = calls_of(redis_cluster, "get"), reads_of(redis_cluster)
        found = await link.get_many(keys)
        assert found == [None if n % 2 else key for n, key in enumerate(keys)]
        assert calls_of(redis_cluster, "get") - seen == 1_000
        assert link.connects == connects == 3
        # One write may be read in pieces; a round trip for each key would be 1,000.
        assert reads_of(redis_cluster) - reads < 100


def reads_of(cluster: Cluster) -> int:
    """Return how often the primaries have read from their sockets."""
    return sum(int(node.info("stats")["total_reads_processed"]) for node in cluster.primaries)


async def test_callers_at_the_same_time_get_their_own_replies(cluster_url: str) -> None:
    async with opened(cluster_url) as link:
        await link.batch([(b"SET", key, key) for key in KEYS])
        assert await all_of(*[partial(link.get, key) for key in KEYS]) == KEYS


async def test_the_first_callers_share_one_look_at_the_map(
    cluster_url: str, redis_cluster: Cluster
) -> None:
    before = calls_of(redis_cluster, "cluster|slots")
    async with opened(cluster_url) as link:
        await all_of(*[partial(link.get, key) for key in KEYS[:20]])
    assert calls_of(redis_cluster, "cluster|slots") - before <= 2


async def test_errors_stand_in_their_place_and_a_foreign_type_is_empty(cluster_url: str) -> None:
    async with opened(cluster_url) as link:
        commands: list[tuple[bytes, ...]] = [(b"SET", key, b"v") for key in KEYS]
        commands.insert(7, (b"LPUSH", b"list", b"x"))
        commands.append((b"INCR", b"list"))
        replies = await link.batch(commands)
        assert replies[:-1] == [b"OK"] * 7 + [1] + [b"OK"] * (len(KEYS) - 7)
        assert isinstance(replies[-1], ServerReplied)
        assert replies[-1].code == "WRONGTYPE"
        assert await link.get(b"list") == b""
        assert await link.get_many([b"list", KEYS[0]]) == [b"", b"v"]
        assert await link.batch([]) == []
        assert await link.get_many([]) == []


async def test_the_clock_is_that_of_the_keys_own_node(
    cluster_url: str, redis_cluster: Cluster
) -> None:
    async with opened(cluster_url) as link:
        assert link.server_ms(KEYS[0]) == 0
        await link.get_many(KEYS)
        for key in KEYS[:5]:
            await link.get(key)
            seconds, us = redis_cluster.primary_of(key).ask("TIME")
            assert abs(link.server_ms(key) - int(seconds) * 1_000 - int(us) // 1_000) < 5_000


async def test_a_cluster_that_is_not_there_is_unavailable() -> None:
    async with opened("redis+cluster://:hunter2@127.0.0.1:1,127.0.0.1:2") as link:
        for _ in range(2):
            with pytest.raises(LinkLost) as caught:
                await link.get(b"k")
            assert "hunter2" not in str(caught.value)
        with pytest.raises(StoreUnavailable):
            await link.batch([(b"SET", b"k", b"v")], repeat=True)
        with pytest.raises(StoreUnavailable):
            await link.survey()


async def test_a_server_without_a_cluster_is_unavailable(redis_url: str) -> None:
    url = redis_url.replace("redis://", "redis+cluster://").removesuffix("/0")
    async with opened(url) as link:
        with pytest.raises(StoreUnavailable):
            await link.get(b"k")


async def test_a_closed_link_refuses_and_closing_it_again_is_no_fault(cluster_url: str) -> None:
    async with opened(cluster_url) as link:
        await link.get_many(KEYS)
        await link.aclose()
        await link.aclose()
        with pytest.raises(StoreUnavailable):
            await link.get(KEYS[0])
        with pytest.raises(StoreUnavailable):
            await link.batch([(b"SET", KEYS[0], b"v")], repeat=True)
