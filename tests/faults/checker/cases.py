"""The cases that are run, and the controls that show what each kind of case finds."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.checker.director import Case
from tests.faults.checker.orders import Orders

__all__ = ["CASES", "CONTROLS", "LONG_CASES"]

_NETWORK = (
    *("feed cut", "feed held", "feed late", "data cut", "data late", "answers late"),
    *("partition", "refused", "process frozen"),
)
_SOME = ("feed held", "data late", "partition", "process frozen")
_DATA = ("data cut", "data late", "answers late", "partition", "refused", "process frozen")
_SERVER = ("server frozen", "server killed", "flushed", "versions lost", "crowded")
_SENTINEL = ("failover by hand", "primary killed", "process frozen")
_CLUSTER = (
    *("failover by hand", "primary killed", "slots moved"),
    *("process frozen", "server frozen", "flushed", "versions lost"),
)

_BY_KEY = Orders(way="key", cells=40, width=4)
_BY_TAG = Orders(way="tag", cells=24, width=12)
_MIXED = Orders(way="mixed", cells=24, width=6)
_ANNOUNCED = replace(_MIXED, way="writing")
_SCHEMAS = replace(_MIXED, schemas=True)
_SELDOM = Orders(way="key", cells=300, width=1, ttl_s=60)
_TAGS_SELDOM = Orders(way="tag", cells=150, width=6, ttl_s=60)
_KILLED = Orders(
    way="writing", cells=80, width=1, rest_s=0.3, ttl_s=60, kill_share=0.1, promises=True
)

CASES: tuple[Case, ...] = (
    Case("keys, network", _BY_KEY, _NETWORK),
    Case("keys, server", _BY_KEY, _SERVER),
    Case("tags, network", _BY_TAG, _NETWORK),
    Case("tags, server", _BY_TAG, _SERVER),
    Case("announced, network", _ANNOUNCED, _SOME),
    # Not where L2 loses data besides: see `Orders.promises`.
    Case(
        "announced, writers killed", _KILLED, ("process frozen", "data late", "feed cut"), least_s=8
    ),
    Case("all ways, server", replace(_MIXED, way="every"), _SERVER),
    Case("two schema versions", _SCHEMAS, _SOME),
    Case("no tracking", _MIXED, (*_DATA, "flushed"), "untracked"),
    Case("all ways, Sentinel", _MIXED, _SENTINEL, "sentinel"),
    Case("all ways, Cluster", _MIXED, _CLUSTER, "cluster"),
)
"""What must not show a violation."""

LONG_CASES: tuple[Case, ...] = (
    *CASES,
    Case("announced, whole network", _ANNOUNCED, _NETWORK),
    Case("two schema versions, whole network", _SCHEMAS, _NETWORK),
    Case("keys seldom, network", _SELDOM, _NETWORK),
    Case("keys seldom, server", _SELDOM, _SERVER),
    Case("tags seldom, network", _TAGS_SELDOM, _NETWORK),
    Case("tags seldom, server", _TAGS_SELDOM, _SERVER),
    Case("keys, Sentinel", _BY_KEY, _SENTINEL, "sentinel"),
    Case("tags, Sentinel", _BY_TAG, _SENTINEL, "sentinel"),
    Case("keys, Cluster", _BY_KEY, _CLUSTER, "cluster"),
    Case("tags, Cluster", _BY_TAG, _CLUSTER, "cluster"),
    Case("keys seldom, Sentinel", _SELDOM, _SENTINEL, "sentinel"),
    Case("keys seldom, Cluster", _SELDOM, _CLUSTER, "cluster"),
)
"""More of it, for those who have the time."""

CONTROLS: tuple[Case, ...] = tuple(
    Case(f"without: {sabotage}", replace(orders, sabotage=sabotage), faults, topology)
    for sabotage, orders, faults, topology in (
        ("no fetch token", replace(_BY_KEY, bound_s=0.2), ("data late",), "standalone"),
        ("no session bound", _BY_KEY, ("feed held", "partition", "refused"), "standalone"),
        ("no drop of ones own", _BY_KEY, (), "standalone"),
        ("no cap without tracking", _BY_KEY, (), "untracked"),
        ("delete without tombstone", _BY_KEY, (), "standalone"),
        ("stamps after load", _BY_TAG, (), "standalone"),
        ("counter for stamp", _BY_TAG, ("versions lost",), "standalone"),
        ("no write intent", _KILLED, (), "standalone"),
        ("no saying again", _SELDOM, ("failover by hand",), "sentinel"),
    )
)
"""What must show one: each of them lacks one mechanism."""
