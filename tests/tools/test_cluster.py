"""The clusters of the test kit."""

from __future__ import annotations

import pytest

from tests.support.cluster import SLOTS, Cluster
from tests.support.resp import ServerError
from tests.support.servers import Server
from tests.support.threads import until


def refusal(node: Server, key: bytes) -> str:
    """Return what a node that does not hold a key answers to a read of it."""
    with pytest.raises(ServerError) as caught:
        node.ask("GET", key)
    return str(caught.value)


def test_the_shared_cluster_is_empty_for_every_test(
    cluster_url: str, redis_cluster: Cluster
) -> None:
    assert cluster_url == redis_cluster.url
    assert [node.ask("DBSIZE") for node in redis_cluster.primaries] == [0, 0, 0]
    for number in range(50):
        key = b"k:%d" % number
        redis_cluster.primary_of(key).ask("SET", key, number)
    assert all(node.ask("DBSIZE") for node in redis_cluster.primaries)
    redis_cluster.wipe()
    assert not any(node.ask("DBSIZE") for node in redis_cluster.primaries)


def test_every_slot_has_an_owner_and_every_owner_a_replica(redis_cluster: Cluster) -> None:
    owners = {redis_cluster.owner(slot) for slot in range(0, SLOTS, 1000)}
    assert owners == set(redis_cluster.primaries)
    followers = {redis_cluster.replica_of(primary) for primary in owners}
    assert followers == set(redis_cluster.replicas)
    assert len(owners) == len(followers) == 3


def test_another_node_than_the_owner_sends_elsewhere(redis_cluster: Cluster) -> None:
    owner = redis_cluster.primary_of(b"k")
    other = next(node for node in redis_cluster.primaries if node is not owner)
    slot = redis_cluster.slot_of(b"k")
    assert refusal(other, b"k") == f"MOVED {slot} 127.0.0.1:{owner.port}"


@pytest.mark.slow
def test_a_replica_takes_over_when_it_is_told_to_and_keeps_the_data(own_cluster: Cluster) -> None:
    first = own_cluster.primary_of(b"k")
    first.ask("SET", b"k", b"v")
    second = own_cluster.failover(first)
    assert own_cluster.primary_of(b"k") is second
    assert second.ask("GET", b"k") == b"v"
    assert first in own_cluster.replicas
    assert refusal(first, b"k").startswith("MOVED")


@pytest.mark.slow
def test_a_slot_moves_with_its_keys_and_asks_in_the_middle(own_cluster: Cluster) -> None:
    keys = [b"{k}%d" % number for number in range(3)]
    source = own_cluster.primary_of(b"k")
    target = next(node for node in own_cluster.primaries if node is not source)
    for key in keys:
        source.ask("SET", key, key)
    slot = own_cluster.slot_of(b"k")
    with own_cluster.moving(slot, target) as move:
        assert [source.ask("GET", key) for key in keys] == keys
        assert refusal(source, b"{k}none") == f"ASK {slot} 127.0.0.1:{target.port}"
        assert move.carry(1) == 1
        assert source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 2
    assert [target.ask("GET", key) for key in keys] == keys
    assert own_cluster.owner(slot) is target
    assert refusal(source, keys[0]) == f"MOVED {slot} 127.0.0.1:{target.port}"


@pytest.mark.slow
def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(own_cluster: Cluster) -> None:
    first = own_cluster.primary_of(b"k")
    second = own_cluster.replica_of(first)
    first.kill()
    assert first not in own_cluster.up
    until(lambda: second in own_cluster.primaries, "the replica took over")
    own_cluster.settle()
    assert own_cluster.primary_of(b"k") is second
    first.start()
    until(lambda: first in own_cluster.replicas, "it follows")


@pytest.mark.server
async def test_a_cluster_may_be_small_and_leaves_nothing() -> None:
    with Cluster(primaries=1, replicas=0) as cluster:
        (node,) = cluster.primaries
        assert cluster.url == f"redis+cluster://127.0.0.1:{node.port}"
        node.freeze()
        assert cluster.up == []
        node.thaw()
        assert cluster.primary_of(b"k") is node
    assert not node.running
