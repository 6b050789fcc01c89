"""The way to L2, wherever it is: one server, a service under Sentinels, or a Cluster."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from freshwell._sync.stores.base import NullStore, Store
from freshwell._sync.stores.cluster import ClusterLink
from freshwell._sync.stores.cluster_waits import ClusterWaits
from freshwell._sync.stores.guard import Guard, GuardedLink, GuardedWaits, Guards
from freshwell._sync.stores.redis import Commands, RedisStore
from freshwell._sync.stores.sentinel import SentinelLink
from freshwell._sync.stores.topology import Topology
from freshwell._sync.stores.waited import WaitedLink, Waits
from freshwell._kit.threads import Owner
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.places import ClusterPlace, Place
from freshwell.engines.breaker import Breaker
from freshwell.engines.incidents import Incidents
from freshwell.engines.tokens import Tokens
from freshwell.ground.options import CacheOptions

__all__ = ["guards_of", "store_at"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_FIRST_PAUSE_NS = 100 * _NS_PER_MS
"""Before the first probe: a hiccup is over by then."""


def guards_of(
    options: CacheOptions,
    chores: Owner,
    incidents: Incidents,
    on_return: Callable[[int], object],
) -> Guards:
    """Return what leaves servers alone that are down. `on_return`: one is back, after so long."""

    def new_guard(probe: Callable[[], object]) -> Guard:
        return Guard(
            probe,
            breaker=Breaker(
                base_ns=min(_FIRST_PAUSE_NS, options.breaker_pause_ns),
                most_ns=options.breaker_pause_ns,
                threshold=options.breaker_failures,
            ),
            spawn=chores.spawn,
            now_ns=time.monotonic_ns,
            uniform=random.random,
            on_open=incidents.l2_left_alone,
            on_return=on_return,
        )

    return Guards(new_guard)


def store_at(
    options: CacheOptions, place: Place | None, guards: Guards, probe_key: bytes
) -> tuple[Store, Topology | None]:
    """Return the store at a place, and what tells who its primaries are where they may change."""
    if place is None:
        return NullStore(), None
    limits: dict[str, Any] = {
        "connect_timeout_s": options.connect_timeout_ns / _NS_PER_S,
        "command_timeout_s": options.command_timeout_ns / _NS_PER_S,
    }
    wait_ms = max(1, options.command_timeout_ns // _NS_PER_MS) if options.min_replicas else 0
    link: Commands
    sure_link: Waits | None
    topology: Topology | None
    if isinstance(place, ClusterPlace):
        link = topology = cluster = ClusterLink(
            place, guard_of=guards.of, probe_key=probe_key, **limits
        )
        sure_link = ClusterWaits(cluster, replica_wait_ms=wait_ms, **limits) if wait_ms else None
    else:
        if isinstance(place, Endpoint):
            link, topology = Link(place, **limits), None
            sure_link = _sure_link(place, limits, wait_ms) if wait_ms else None
        else:
            link = sure_link = topology = SentinelLink(place, replica_wait_ms=wait_ms, **limits)
        guard = guards.of("server", partial(_ask, link, probe_key))
        link = GuardedLink(link, guard)
        sure_link = None if sure_link is None else GuardedWaits(sure_link, guard)
    store = RedisStore(
        link,
        lease_ms=options.lease_ms,
        new_token=Tokens(8),
        min_replicas=options.min_replicas,
        replica_wait_ms=wait_ms,
        sure_link=sure_link,
    )
    return store, topology


def _ask(link: Commands, probe_key: bytes, name: object) -> None:
    link.get(probe_key)


def _sure_link(place: Endpoint, limits: Mapping[str, Any], wait_ms: int) -> WaitedLink:
    wait_s = wait_ms / 1_000
    longest_s = sum(limits.values()) + wait_s
    limits = {**limits, "command_timeout_s": limits["command_timeout_s"] + wait_s}
    return WaitedLink(Link(place, **limits), patience_s=2 * longest_s)
