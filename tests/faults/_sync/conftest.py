"""Fixtures of the tests of caches whose L2 fails."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Iterator

import pytest

from tests.faults._sync.spools import Held, hold_replays
from tests.support.proxy import Proxy, proxy
from tests.support.servers import Server


@pytest.fixture
def between(own_redis: Server) -> Iterator[Proxy]:
    """Give the way to a server of the test's own."""
    with proxy(own_redis.port) as between:
        yield between


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Give replays that wait until they are let go."""
    held = hold_replays(monkeypatch)
    yield held
    held.let_go()
