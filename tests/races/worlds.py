"""What random runs are made of: see `races._async.anything`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["BOUND_S", "WORLDS", "World"]

BOUND_S = 0.3
_GUTTER_S = 0.2
_FEW = {"max_loads": 2, "load_wait": 0.05}
_BROKEN = {"command_timeout": 0.1, "connect_timeout": 0.2, "breaker_pause": 0.1}
_SPOOLED = {"spool": "memory", **_BROKEN}


class World(NamedTuple):
    """One cache in process, or two that share an L2.

    `tracked`: L2 tells of changes. `breaks`: the way to it does, now and then. `lag_s`: how long
    another cache's memory may lag behind.
    """

    shared: bool = True
    options: Mapping[str, Any] = {}
    versions: tuple[str | None, str | None] = (None, None)
    tracked: bool = True
    breaks: bool = False
    lag_s: float = BOUND_S


WORLDS: Mapping[str, World] = {
    "in process": World(shared=False),
    "in process, schema version": World(shared=False, versions=("v1", "v2")),
    "in process, few loads": World(shared=False, options=_FEW),
    "shared": World(),
    "shared, no L1": World(options={"l1": False}),
    "shared, schema versions": World(versions=("v1", "v2")),
    "shared, few entries": World(options={"max_entries": 4}),
    "shared, few loads": World(options=_FEW),
    "untracked": World(tracked=False),
    "broken ways": World(options=_BROKEN, breaks=True),
    "broken ways, spool": World(options=_SPOOLED, breaks=True),
    "broken ways, untracked": World(options=_SPOOLED, breaks=True, tracked=False),
    "broken ways, gutter": World(
        options={"gutter_ttl": _GUTTER_S, **_SPOOLED}, breaks=True, lag_s=BOUND_S + _GUTTER_S
    ),
}
