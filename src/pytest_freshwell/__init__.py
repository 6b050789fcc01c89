"""Fixtures of freshwell for tests of code that caches. pytest finds them by itself.

They stand outside of the package, and import it only when one of them is asked for: a run of
pytest that uses none of them is no slower, and starts no machinery before the tests' own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from freshwell import AsyncCache, Cache
    from freshwell.testing import FakeClock, FaultProxy
    from freshwell.testing.servers import RedisServer

__all__ = [
    "fault_proxy",
    "freshwell_async_cache",
    "freshwell_cache",
    "freshwell_clock",
    "freshwell_redis",
]

pytest.register_assert_rewrite("freshwell.testing._async", "freshwell.testing._sync")


@pytest.fixture
def freshwell_clock() -> FakeClock:
    """Give a clock that stands still until it is told to go."""
    from freshwell.testing import FakeClock

    return FakeClock()


@pytest.fixture
def freshwell_cache(freshwell_clock: FakeClock) -> Iterator[Cache]:
    """Give an empty `Cache` in this process that goes by `freshwell_clock`. Closed afterwards."""
    from freshwell import Cache

    with Cache(clock=freshwell_clock) as cache:
        yield cache


@pytest.fixture
def freshwell_async_cache(freshwell_clock: FakeClock) -> AsyncCache:
    """Give an empty `AsyncCache` in this process that goes by `freshwell_clock`.

    It has nothing that must be closed: what it does in the background ends with the loop.
    """
    from freshwell import AsyncCache

    return AsyncCache(clock=freshwell_clock)


@pytest.fixture(scope="session")
def _freshwell_server() -> Iterator[RedisServer]:
    from freshwell.testing.servers import RedisServer, ServerMissing

    try:
        server = RedisServer()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    with server:
        yield server


@pytest.fixture
def freshwell_redis(_freshwell_server: RedisServer) -> RedisServer:
    """Give an empty Redis or Valkey server that only this run of pytest uses: `url`, `port`.

    It is started once, on a free loopback port, and keeps nothing on disk. The test is skipped
    where neither program is installed.
    """
    _freshwell_server.wipe()
    return _freshwell_server


@pytest.fixture
def fault_proxy(freshwell_redis: RedisServer) -> Iterator[FaultProxy]:
    """Give a proxy in front of `freshwell_redis`, whose network the test can break."""
    from freshwell.testing import FaultProxy

    with FaultProxy(freshwell_redis.port) as proxy:
        yield proxy
