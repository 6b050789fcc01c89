"""A cluster changes under its callers: slots move, replicas take over, primaries die."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial

import pytest

from freshwell._sync.stores.cluster import ClusterLink
from freshwell._kit.threads import sleep
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import ServerReplied
from freshwell._kit.resp import unerring
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import Frame, State, decode
from freshwell.ground.keys import digest8
from tests.cluster._sync.parts import KEYS, another, opened, store_over, value
from tests.support.threads import start, until
from tests.support.cluster import Cluster

pytestmark = pytest.mark.slow


def test_a_moved_slot_is_followed_and_learnt(own_cluster: Cluster) -> None:
    with opened(own_cluster.url) as link:
        link.batch([(b"SET", key, key) for key in KEYS])
        first = own_cluster.primary_of(KEYS[0])
        own_cluster.failover(first)
        assert link.get(KEYS[0]) == KEYS[0]
        assert link.get_many(KEYS) == KEYS
        redirected = errors_of(own_cluster)
        assert link.get_many(KEYS) == KEYS
        assert errors_of(own_cluster) == redirected


def errors_of(cluster: Cluster) -> int:
    """Return how often callers were sent elsewhere."""
    told = [node.info("errorstats").get("errorstat_MOVED", "count=0") for node in cluster.up]
    return sum(int(one.partition("=")[2]) for one in told)


def test_a_link_to_one_node_cannot_do_so(own_cluster: Cluster) -> None:
    """Control: this is what happens to who does not follow."""
    first = own_cluster.primary_of(b"k")
    link = Link(Endpoint.of(first.url), command_timeout_s=5)
    assert link.batch([(b"SET", b"k", b"v")]) == [b"OK"]
    own_cluster.failover(first)
    with pytest.raises(ServerReplied, match="MOVED"):
        link.get(b"k")
    link.close()


def test_leases_outlive_a_failover_and_invalidations_void_them(own_cluster: Cluster) -> None:
    with opened(own_cluster.url) as link:
        store = store_over(link)
        leases = store.acquire(KEYS)
        for primary in own_cluster.primaries:
            own_cluster.failover(primary)
        store.invalidate(KEYS[::2])
        fills = [value(key, lease.token) for key, lease in zip(KEYS, leases, strict=True)]
        assert store.fill(fills) == [False, True] * (len(KEYS) // 2)


def test_a_slot_on_its_way_is_asked_for_at_both_ends(own_cluster: Cluster) -> None:
    keys = [b"{k}%d" % number for number in range(6)]
    source = own_cluster.primary_of(b"k")
    target = another(own_cluster, source)
    with opened(own_cluster.url) as link:
        store = store_over(link)
        link.batch([(b"SET", key, key) for key in keys[:4]])
        with own_cluster.moving(own_cluster.slot_of(b"k"), target) as move:
            assert move.carry(2) == 2
            assert link.get_many(keys) == [*keys[:4], None, None]
            assert [link.get(key) for key in keys] == [*keys[:4], None, None]
            lease = store.acquire([keys[5]])[0]
            assert store.fill([value(keys[5], lease.token)]) == [True]
            assert target.ask("CLUSTER", "COUNTKEYSINSLOT", move.slot) == 3
        assert link.get_many(keys[:5]) == [*keys[:4], None]
        assert store.fetch(keys[5]) is not None


def test_who_does_not_ask_is_refused_at_both_ends(own_cluster: Cluster) -> None:
    """Control: the new owner takes nothing without ASKING."""
    source = own_cluster.primary_of(b"k")
    target = another(own_cluster, source)
    with own_cluster.moving(own_cluster.slot_of(b"k"), target):
        for node, code in ((source, "ASK"), (target, "MOVED")):
            link = Link(Endpoint.of(node.url))
            with pytest.raises(ServerReplied, match=code):
                link.get(b"{k}absent")
            link.close()


def test_slots_move_under_load_without_an_error_and_without_a_lost_write(
    own_cluster: Cluster,
) -> None:
    stop: list[bool] = []
    keys = [b"{%d}" % number for number in range(60)]
    with opened(own_cluster.url) as link:
        load = [start(partial(write_on, link, keys[n::3], stop)) for n in range(3)]
        for key in keys[:12]:
            own_cluster.migrate_slot(
                own_cluster.slot_of(key), another(own_cluster, own_cluster.primary_of(key))
            )
            sleep(0)
        stop.append(True)
        written = {key: n for one in load for key, n in one.result().items()}
        assert min(written.values()) > 0
        found = link.get_many(keys)
        assert found == [b"%d" % written[key] for key in keys]
    for key in keys:
        assert own_cluster.primary_of(key).ask("GET", key) == b"%d" % written[key]


def write_on(link: ClusterLink, keys: list[bytes], stop: list[bool]) -> dict[bytes, int]:
    """Count up under each key until told to stop; return what was acknowledged last."""
    count = 0
    while not stop or count < 3:
        count += 1
        for reply in link.batch([(b"SET", key, count) for key in keys], repeat=True):
            assert unerring(reply) == b"OK"
        for key in keys[:2]:
            assert link.get(key) == b"%d" % count
    return dict.fromkeys(keys, count)


def test_a_killed_primary_is_an_error_until_its_replica_took_over(
    own_cluster: Cluster,
) -> None:
    with opened(own_cluster.url, timeout_s=1) as link:
        store = store_over(link)
        leases = store.acquire(KEYS)
        victim = own_cluster.primary_of(KEYS[0])
        victim.kill()
        with pytest.raises(StoreUnavailable):
            store.fetch(KEYS[0])
        with pytest.raises(StoreUnavailable):
            store.invalidate(KEYS)
        works_again(partial(store.invalidate, KEYS))
        fills = [value(key, lease.token) for key, lease in zip(KEYS, leases, strict=True)]
        assert store.fill(fills) == [False] * len(KEYS)
        for key, blob in zip(KEYS, store.fetch_many(KEYS), strict=True):
            frame = None if blob is None else decode(blob, digest8(key))
            assert frame is None or (isinstance(frame, Frame) and frame.state is State.TOMBSTONE)


def test_a_frozen_primary_is_an_error_until_its_replica_took_over(
    own_cluster: Cluster,
) -> None:
    with opened(own_cluster.url, timeout_s=0.3) as link:
        works_again(partial(link.get_many, KEYS))
        victim = own_cluster.primary_of(KEYS[0])
        victim.freeze()
        with pytest.raises(StoreUnavailable):
            link.get(KEYS[0])
        works_again(partial(link.get, KEYS[0]))
        until(
            lambda: own_cluster.primary_of(KEYS[0]) is not victim
        )  # as the first node sees it


def works_again(call: Callable[[], object]) -> None:
    """Call until it works. What it raises till then says that the store is unavailable."""
    for _ in range(400):
        try:
            call()
        except StoreUnavailable:
            sleep(0.05)
        else:
            return
    raise AssertionError("it does not work again")
