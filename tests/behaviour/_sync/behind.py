"""The kinds of cache and journal that write-behind is tested with."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from freshwell import Cache, WriteBehind

__all__ = ["WAYS", "Way", "way_of"]

WAYS = ("memory", "file", "file and L2", "beside", "apart", "apart without L2")


class Way(NamedTuple):
    """A kind of cache and journal. `make` returns what shares its entries and its journal."""

    make: Callable[[], Cache]
    journal: str
    fleet: bool
    """Whether other processes read what this one has accepted."""

    def behind(self, cache: Cache, source: Any, **given: Any) -> WriteBehind[Any]:
        options: dict[str, Any] = {
            "flush_every": "10ms",
            "assume_durable": True,
            "shards": 2,
            **given,
        }
        return cache.write_behind(source, key="row:{}", journal=self.journal, **options)


def way_of(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Return the way that is asked for."""
    file = f"sqlite:///{tmp_path / 'pending.db'}"
    if request.param == "memory":
        return Way(Cache, "memory", fleet=False)
    if request.param == "file":
        return Way(Cache, file, fleet=False)
    url = request.getfixturevalue("redis_url")
    shared = partial(Cache, url, command_timeout=2, connect_timeout=2)
    if request.param == "file and L2":
        return Way(shared, file, fleet=False)
    if request.param == "beside":
        return Way(shared, "redis", fleet=True)
    if request.param == "apart":
        return Way(shared, url, fleet=True)
    return Way(Cache, url, fleet=True)
