"""Fixtures of the tests of what a cache does, whatever its tiers."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache
from tests.behaviour._async.parts import Make

KINDS = ("in process", "shared", "shared without L1")


@pytest.fixture(params=KINDS, ids=str)
def make(request: pytest.FixtureRequest) -> Make:
    """Give a function that makes caches of one kind; those that are shared share entries."""
    if request.param == "in process":
        return AsyncCache
    url = request.getfixturevalue("redis_url")
    return partial(AsyncCache, url, l1=request.param == "shared")
