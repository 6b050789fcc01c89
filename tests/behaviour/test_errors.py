"""Errors tell no secrets, and a cache used from the wrong place says so."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest
import redis

import freshwell
from freshwell import AsyncCache, BacklogLeft, Cache, ConfigurationError

SECRETS = [
    "redis://:hush/tail@localhost:1/0",
    "redis://:hush#tail@localhost/0",
    "redis://:hush?tail@localhost/0",
    "redis://:hush@[bad",
    "user:hush@localhost:6379",
    "redis:/:hush@localhost/0",
    "http://user:hush@localhost/0",
    "redis://localhost/0?password=hush&db=hush",
]


@pytest.mark.parametrize("url", SECRETS)
def test_the_error_for_a_url_tells_nothing_that_may_be_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used: write redis://") as caught:
        Cache(url)
    assert "hush" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hu@sh@localhost:7000/3", "redis://***@localhost:7000/3"),
        ("valkey://localhost/0?password=hush", "valkey://localhost/0"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock"),
    ],
)
def test_a_cache_shows_where_it_is_without_credentials(url: str, shown: str) -> None:
    with Cache(url) as cache:
        assert repr(cache) == f"<Cache 'default' {shown}>"


def test_a_cache_of_a_client_shows_where_that_is() -> None:
    with Cache(redis.Redis("localhost", 7000, 3, password="hush")) as cache:
        assert repr(cache) == "<Cache 'default' redis://localhost:7000/3>"
    with Cache(redis.Redis(unix_socket_path="/run/redis.sock")) as cache:
        assert repr(cache) == "<Cache 'default' unix:///run/redis.sock?db=0>"


def test_a_url_that_is_no_text_is_refused_by_its_type() -> None:
    with pytest.raises(ConfigurationError, match="url is an object of type bytes"):
        Cache(b"redis://localhost")


def test_a_source_whose_writes_nobody_could_await_is_refused_when_it_is_given() -> None:
    class Source:
        async def save(self, id: int, value: int, /) -> None:
            pytest.fail("it must not be called")

        def load(self, id: int, /) -> int | None:
            return None

    with Cache() as cache, pytest.raises(ConfigurationError, match=r"Source\.save is an async"):
        cache.write_through(Source(), key="row:{}")
    assert AsyncCache().write_through(Source(), key="row:{}").key(1) == "row:1"  # type: ignore[arg-type]


def test_a_second_event_loop_is_told_to_build_a_cache_of_its_own() -> None:
    cache = AsyncCache()
    said: list[str] = []

    def elsewhere() -> None:
        with pytest.raises(ConfigurationError) as caught:
            asyncio.run(cache.get("a"))
        said.append(str(caught.value))

    async def use() -> None:
        await cache.set("a", 1)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        await cache.aclose()

    asyncio.run(use())
    assert "another running event loop: build one cache for each loop" in said[0]


ERRORS = [
    found
    for found in map(vars(freshwell).__getitem__, freshwell.__all__)
    if isinstance(found, type) and issubclass(found, Exception)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_reaches_another_process(kind: type[Exception]) -> None:
    """A pool whose worker's exception cannot be read breaks down, and says nothing of it."""
    there = pickle.loads(pickle.dumps(kind("said")))
    assert (type(there), str(there)) == (kind, "said")


def test_an_error_keeps_its_facts_on_the_way() -> None:
    left = pickle.loads(pickle.dumps(BacklogLeft("said", 7, 2)))
    assert (left.records, left.dead) == (7, 2)
