"""Fixtures of the tests of what a cache does, whatever its tiers."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache
from tests.behaviour._sync.parts import Make

KINDS = ("in process", "shared", "shared without L1")


@pytest.fixture(params=KINDS, ids=str)
def make(request: pytest.FixtureRequest) -> Make:
    """Give a function that makes caches of one kind; those that are shared share entries."""
    if request.param == "in process":
        return Cache
    url = request.getfixturevalue("redis_url")
    return partial(Cache, url, l1=request.param == "shared")
