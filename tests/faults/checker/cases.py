"""The cases that are run, and the controls that show what each kind of case finds."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.checker.director import Case
from tests.faults.checker.orders import Orders

__all__ = ["CASES", "CONTROL_CASES", "case_of"]

_NETWORK = (
    *("feed cut", "feed held", "feed late", "data cut", "data late", "answers late"),
    *("partition", "refused", "process frozen"),
)
_SERVER = ("server frozen", "server killed", "flushed", "versions lost", "crowded")

_BY_KEY = Orders(way="key", cells=40, width=4, bound_s=0.25)
_BY_TAG = Orders(way="tag", cells=24, width=12)
_MIXED = Orders(way="mixed", width=6)
_ANNOUNCED = Orders(way="writing")
_KILLED = Orders(
    way="writing", cells=80, rest_s=0.3, ttl_s=60, width=1, kill_share=0.05, promises=True
)

CASES: tuple[Case, ...] = (
    Case("keys, network", _BY_KEY, _NETWORK),
    Case("keys, server", _BY_KEY, _SERVER),
    Case("tags, network", _BY_TAG, _NETWORK),
    Case("tags, server", _BY_TAG, _SERVER),
    Case("announced, network", _ANNOUNCED, _NETWORK),
    Case("announced, server", _ANNOUNCED, _SERVER),
    Case("announced, writers killed", _KILLED, ("process frozen", "data late", "partition")),
    Case("all ways, network", _MIXED, _NETWORK),
    Case("all ways, server", _MIXED, _SERVER),
)
"""What must not show a violation.

Writers are killed where L2 keeps its data: see `Orders.promises`.
"""

CONTROL_CASES: tuple[Case, ...] = tuple(
    Case(f"without: {sabotage}", replace(orders, sabotage=sabotage), faults)
    for sabotage, orders, faults in (
        ("no fetch token", replace(_BY_KEY, bound_s=0.2), ("data late",)),
        ("no session bound", _BY_KEY, ("feed held", "partition", "refused")),
        ("delete without tombstone", _BY_KEY, ()),
        ("stamps after load", _BY_TAG, ()),
        ("counter for stamp", _BY_TAG, ("versions lost",)),
        ("no write intent", _KILLED, ()),
    )
)
"""What must show one: each of them lacks one mechanism."""


def case_of(name: str) -> Case:
    return next(case for case in (*CASES, *CONTROL_CASES) if case.name == name)
