"""Fixtures of the tests of what a cache does, whatever its tiers."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from pathlib import Path

import pytest

from freshwell import Cache
from tests.behaviour._sync.behind import WAYS, Way, way_of
from tests.behaviour._sync.parts import Make
from tests.support.plugin import served

KINDS = ("in process", "shared", "shared without L1")


@pytest.fixture(params=[served(kind, "shared" in kind) for kind in KINDS])
def make(request: pytest.FixtureRequest) -> Make:
    """Give a function that makes caches of one kind; those that are shared share entries."""
    if request.param == "in process":
        return Cache
    url = request.getfixturevalue("redis_url")
    return partial(Cache, url, l1=request.param == "shared")


@pytest.fixture(params=[served(way, way not in ("memory", "file")) for way in WAYS])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Give each way that a journal can be used."""
    return way_of(request, tmp_path)
