"""The pytest side of the test kit: fixtures, markers set by themselves, checks of every test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import uvloop
from _pytest.mark import ParameterSet

from tests.support import (
    blocking,
    examples,  # noqa: F401  # registers its profiles before options name one
    tables,
)
from tests.support.cluster import Cluster
from tests.support.postgres import Postgres
from tests.support.sentinels import Replicated, Sentinels
from tests.support.servers import Server, ServerMissing

if TYPE_CHECKING:  # the library is imported when what blocks has been replaced: see `blocking`
    from freshwell.testing import FakeClock

__all__ = ["MakeServer", "served"]

# Suites that are tests of ours too. Installed, the library's own plugin does the same.
pytest.register_assert_rewrite("freshwell.testing._async", "freshwell.testing._sync")

_SERVER_FIXTURES = frozenset(
    {
        *("make_redis", "own_redis", "redis_server", "redis_url"),
        *("cluster_url", "own_cluster", "redis_cluster"),
        *("replicated", "sentinel_url", "sentinels"),
        *("own_postgres", "postgres_server", "postgres_url"),
    }
)


def served(kind: str, needed: bool) -> ParameterSet:
    """Return a parameter that marks its tests where it makes them need a server."""
    return pytest.param(kind, id=kind, marks=[pytest.mark.server] if needed else [])


class MakeServer(Protocol):
    """What the fixture `make_redis` gives."""

    def __call__(self, *, aof: bool = False, arguments: tuple[str, ...] = ()) -> Server:
        """Start one more server of the test's own."""


# -- servers --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """Give the server that all tests share. Change nothing of it that `redis_url` leaves."""
    with _started() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """Give the URL of an empty database of the shared server."""
    redis_server.wipe()
    return redis_server.url


@pytest.fixture
def own_redis(make_redis: MakeServer) -> Server:
    """Give a server of the test's own, to be killed, frozen or configured at will."""
    return make_redis()


@pytest.fixture
def make_redis() -> Iterator[MakeServer]:
    """Give a function that starts servers of the test's own; they end with the test."""
    with ExitStack() as stack:

        def make(*, aof: bool = False, arguments: tuple[str, ...] = ()) -> Server:
            return stack.enter_context(_started(aof=aof, arguments=arguments))

        yield make


@contextmanager
def _started(*, aof: bool = False, arguments: tuple[str, ...] = ()) -> Iterator[Server]:
    with _or_what_to_do(), Server(aof=aof, arguments=arguments) as server:
        yield server


@contextmanager
def _or_what_to_do() -> Iterator[None]:
    try:
        yield
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def _replicated() -> Iterator[Replicated]:
    with _or_what_to_do(), Replicated() as pair:
        yield pair


@pytest.fixture
def replicated(_replicated: Replicated) -> Replicated:
    """Give a primary with one replica, in step and empty, whatever a test has frozen."""
    _replicated.settle()
    _replicated.wipe()
    return _replicated


@pytest.fixture(scope="session")
def _sentinels() -> Iterator[Sentinels]:
    with _or_what_to_do(), Sentinels() as watched:
        yield watched


@pytest.fixture
def sentinels(_sentinels: Sentinels) -> Sentinels:
    """Give servers watched over by Sentinels, settled and empty, whatever a test did to them."""
    _sentinels.settle()
    _sentinels.wipe()
    return _sentinels


@pytest.fixture
def sentinel_url(sentinels: Sentinels) -> str:
    """Give the URL of an empty database of the service that the Sentinels watch over."""
    return sentinels.url


# -- clusters -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[Cluster]:
    """Give the cluster that all tests share. Move and kill nothing in it."""
    with _joined(Cluster()) as cluster:
        cluster.bear_with_each_other()
        yield cluster


@pytest.fixture
def cluster_url(redis_cluster: Cluster) -> str:
    """Give the URL of the shared cluster, which is empty."""
    redis_cluster.wipe()
    return redis_cluster.url


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Give a cluster of the test's own, whose nodes and slots it may kill and move."""
    with _joined(Cluster()) as cluster:
        yield cluster


@contextmanager
def _joined(cluster: Cluster) -> Iterator[Cluster]:
    try:
        cluster.start()
        yield cluster
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    finally:
        cluster.dispose()


# -- PostgreSQL -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Give the PostgreSQL server that all tests share. Change nothing that `postgres_url` keeps."""
    with _or_what_to_do(), Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """Give the URL of an empty database of the shared PostgreSQL server."""
    postgres_server.wipe()
    return postgres_server.url


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Give a PostgreSQL server of the test's own, to be killed or frozen at will."""
    with _or_what_to_do(), Postgres() as server:
        yield server


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that ask for a server, so that nobody has to remember it."""
    if _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("server")


# -- time -----------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still until it is told to go."""
    from freshwell.testing import FakeClock

    return FakeClock()


# -- every test -----------------------------------------------------------------------------


if os.environ.get("FRESHWELL_TEST_LOOP") == "uvloop":

    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
        """Run every async test in one of uvloop's event loops."""
        return {"uvloop": uvloop.new_event_loop}


def pytest_configure() -> None:
    blocking.install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    tables.watch()
    return (yield from _without_blocking())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    tables.watch()
    try:
        return (yield from _without_blocking())
    finally:
        tables.check_made()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    return (yield from _without_blocking())


def _without_blocking() -> Generator[None, Any, Any]:
    """Fail a phase of a test in which an event loop was, or would have been, blocked."""
    blocking.take()
    result = yield
    found = blocking.take()
    if found:
        raise blocking.BlockingCall("\n".join(found))
    return result
