"""A node of a Cluster that is down: its own entries cost one time limit, the others nothing."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache, InvalidationError
from freshwell.errors import StoreUnavailable
from tests.behaviour._sync.parts import Loader, until_so
from tests.support.threads import all_of, until
from tests.support.cluster import Cluster

KEYS = [f"k{n}" for n in range(60)]


@pytest.mark.slow
def test_nodes_that_are_down_are_left_alone_one_or_all(own_cluster: Cluster) -> None:
    one_node_is_left_alone_and_the_others_serve(own_cluster)
    a_cluster_of_which_no_node_answers_costs_its_callers_little(own_cluster)


def one_node_is_left_alone_and_the_others_serve(own_cluster: Cluster) -> None:
    with Cache(own_cluster.url, l1=False, drain=0) as cache:
        cache.set_many(dict.fromkeys(KEYS, 1))
        victim = own_cluster.primary_of(b"fw:e:default:k0")
        lost = [
            key
            for key in KEYS
            if own_cluster.primary_of(b"fw:e:default:%s" % key.encode()) is victim
        ]
        kept = [key for key in KEYS if key not in lost]
        victim.freeze()
        load = Loader()
        cache.get_or_load(lost[0], load)
        before = cache.stats()
        assert (before.breaker, before.servers_down) == ("open", 1) or before.breaker == "half-open"
        for key in lost:
            cache.get_or_load(key, load)
        with pytest.raises(InvalidationError):
            cache.invalidate(lost[0])
        for key in kept:
            assert cache.get(key) == 1
        counted = cache.stats()
        assert load.calls == 1 + len(lost)
        assert counted.l2_refused >= 2 * len(lost), "each look, and each lease"
        assert counted.l2_openings == 1
        assert counted.hits_l2 - before.hits_l2 == len(kept)
        # The replica takes over, or the node comes back: nobody does anything for it here.
        victim.thaw()
        until(lambda: cache.stats().servers_down == 0, "all nodes are asked again")
        until_so(partial(serves, cache, lost[0]))


def serves(cache: Cache, key: str) -> bool:
    """Tell whether L2 has an entry again, once it was loaded."""
    cache.get_or_load(key, Loader())
    return cache.get(key, read="fresh") is not None


def a_cluster_of_which_no_node_answers_costs_its_callers_little(
    own_cluster: Cluster,
) -> None:
    limits: dict[str, Any] = {"connect_timeout": 0.2, "command_timeout": 0.1}
    with Cache(own_cluster.url, l1=False, drain=0, **limits) as known:
        known.get("k0")
        nodes = own_cluster.up
        for node in nodes:
            node.freeze()
        with Cache(own_cluster.url, l1=False, drain=0, **limits) as unknown:
            for cache in (known, unknown):
                load = Loader()
                reads = [partial(cache.get_or_load, key, load) for key in KEYS]
                all_of(*reads)
                first = cache.stats()
                assert first.breaker != "closed"
                all_of(*reads)
                counted = cache.stats()
                assert load.calls == 2 * len(KEYS)
                assert counted.l2_errors - first.l2_errors <= 20, "but for the surveys"
            for node in nodes:
                node.thaw()
            for cache in (known, unknown):
                until_so(partial(stores, cache))


def stores(cache: Cache) -> bool:
    try:
        cache.set("k0", 1)
    except StoreUnavailable:
        return False
    return cache.get("k0") == 1
