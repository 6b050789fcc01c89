"""How long L2 may keep a read, and what is served of what was loaded while L2 was down."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from freshwell import Cache, InvalidationError, LoadShed
from freshwell._kit.threads import sleep
from tests.support.threads import Latch, start, until
from tests.support.proxy import DOWN, proxy
from tests.support.servers import Server


class Loader:
    """Counts its calls and returns their number."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def nothing(keys: Sequence[str]) -> dict[str, int]:
    """Load none of the entries."""
    return {}


def down(cache: Cache, server: Server) -> None:
    """Kill the server, and wait until the cache knows and L1 is silent."""
    server.kill()
    cache.get("nothing", read="fresh")
    until(lambda: cache.stats().breaker != "closed", "the cache knows")
    until(lambda: not cache.stats().l1_live, "L1 is silent")


# -- a slow L2 -------------------------------------------------------------------------------


def test_l2_that_is_slow_with_every_answer_keeps_a_read_for_a_while_only(
    own_redis: Server,
) -> None:
    with proxy(own_redis.port) as between:
        limits: dict[str, Any] = {"command_timeout": 5, "connect_timeout": 5, "l2_timeout": 0.15}
        with Cache(between.url, l1=False, drain=0, **limits) as cache:
            cache.get("a")
            between.delay(0.1, DOWN)
            # The look and the lease use it up: neither versions are captured nor a value stored.
            assert cache.get_or_load("a", Loader(), tags=["x"]) == 1
            between.heal()
            counted = cache.stats()
            assert (counted.loads, counted.fills, counted.l2_slow, counted.l2_errors) == (
                1,
                0,
                1,
                0,
            )
            assert counted.degraded == 1
            assert cache.get_or_load("a", Loader(), tags=["x"]) == 1
            assert cache.stats().fills == 1, "no lease was left behind"


def test_control_with_more_time_the_same_value_is_stored(own_redis: Server) -> None:
    with proxy(own_redis.port) as between:
        with Cache(
            between.url, l1=False, drain=0, command_timeout=5, l2_timeout=30
        ) as cache:
            cache.get("a")
            between.delay(0.1, DOWN)
            assert cache.get_or_load("a", Loader(), tags=["x"]) == 1
            assert (cache.stats().fills, cache.stats().l2_slow) == (1, 0)


# -- stale, wait, shed -----------------------------------------------------------------------


def test_where_the_source_is_full_stale_is_served_and_only_those_without_are_shed(
    own_redis: Server,
) -> None:
    options: dict[str, Any] = {"max_loads": 1, "load_wait": 0, "stale_ttl": 60, "drain": 0}
    with Cache(own_redis.url, command_timeout=5, **options) as cache:
        cache.get_or_load("stale", Loader())
        cache.expire("stale")
        occupied, let_go = Latch(), Latch()

        def hold() -> int:
            occupied.open()
            let_go.passed()
            return 1

        holding = start(lambda: cache.get_or_load("held", hold))
        occupied.passed()
        assert cache.get_or_load("stale", Loader()) == 1
        own_redis.kill()
        with pytest.raises(LoadShed):
            cache.get_or_load("other", Loader())
        let_go.open()
        assert holding.result() == 1
        assert cache.stats().stale_serves == 1


# -- the gutter ------------------------------------------------------------------------------


def test_by_default_nothing_that_was_loaded_without_l2_is_served_again(
    own_redis: Server,
) -> None:
    with Cache(own_redis.url, max_staleness=0.2, drain=0) as cache:
        down(cache, own_redis)
        load = Loader()
        assert [cache.get_or_load("a", load) for _ in range(3)] == [1, 2, 3]


def test_what_was_loaded_while_l2_is_down_is_served_as_stale_until_l2_is_back(
    own_redis: Server,
) -> None:
    with Cache(own_redis.url, max_staleness=0.2, gutter_ttl=60, drain=0) as cache:
        down(cache, own_redis)
        load = Loader()
        assert [cache.get_or_load("a", load) for _ in range(3)] == [1, 1, 1]
        assert cache.get_or_load_many(["a"], nothing) == {"a": 1}
        counted = cache.stats()
        assert (counted.gutter_serves, counted.stale_serves) == (3, 3)
        seen = cache.lookup("a")
        assert (seen.found, seen.state, seen.tier, seen.reason) == (True, "stale", "l1", "gutter")
        assert cache.get("a") is None, "which gives nothing stale"
        assert cache.get_or_load("a", load, read="fresh") == 2
        own_redis.start()
        until(lambda: cache.stats().breaker == "closed", "L2 is back")
        assert cache.get_or_load("a", load) == 3
        own_redis.kill()
        down(cache, own_redis)
        assert cache.get_or_load("a", load) == 4, "nothing is left of the outage before"


@pytest.mark.parametrize("l1", [True, False])
def test_entries_with_tags_are_served_from_it_and_nobody_waits_for_their_versions(
    own_redis: Server, l1: bool
) -> None:
    limits: dict[str, Any] = {"max_staleness": 0.2, "command_timeout": 0.2, "drain": 0}
    with Cache(own_redis.url, l1=l1, gutter_ttl=60, **limits) as cache:
        cache.get("a")
        own_redis.freeze()
        load = Loader()
        # The version is asked for beside the entry, and finds out that L2 is down.
        assert cache.get_or_load("a", load, tags=["x"], read="fresh") == 1
        assert cache.stats().breaker != "closed"
        until(lambda: not cache.stats().l1_live, "L1 is silent")
        before = cache.stats()
        for _ in range(100):
            assert cache.get_or_load("a", load, tags=["x"]) == 1
        assert cache.get_or_load_many(["a"], nothing, tags=["x"]) == {"a": 1}
        counted = cache.stats()
        assert counted.gutter_serves - before.gutter_serves == 101
        assert counted.degraded - before.degraded == 101
        assert counted.misses == before.misses


def test_it_is_served_for_its_time_only(own_redis: Server) -> None:
    with Cache(own_redis.url, max_staleness=0.2, gutter_ttl="50ms", drain=0) as cache:
        down(cache, own_redis)
        load = Loader()
        cache.get_or_load("a", load)
        sleep(0.06)
        assert cache.get_or_load("a", load) == 2


@pytest.mark.parametrize("way", ["key", "tag", "tag of the value", "expire", "namespace"])
def test_what_this_process_invalidates_is_gone_at_once(way: str, own_redis: Server) -> None:
    with Cache(own_redis.url, max_staleness=0.2, gutter_ttl=60, drain=0) as cache:
        space = cache.namespace("n")
        down(cache, own_redis)
        load = Loader()
        tags: list[Any] = ["x", lambda value: [f"value {value}"]]
        assert [space.get_or_load("a", load, tags=tags) for _ in range(2)] == [1, 1]
        ways: dict[str, Callable[[], object]] = {
            "key": partial(space.invalidate, "a"),
            "tag": partial(cache.invalidate_tags, "x"),
            "tag of the value": partial(cache.invalidate_tags, "value 1"),
            "expire": partial(space.expire, "a"),
            "namespace": space.clear,
        }
        with pytest.raises(InvalidationError):
            ways[way]()
        assert space.get_or_load("a", load, tags=tags) == 2


def test_it_serves_nobody_who_asks_for_a_tag_that_it_lacks(own_redis: Server) -> None:
    with Cache(own_redis.url, max_staleness=0.2, gutter_ttl=60, drain=0) as cache:
        down(cache, own_redis)
        load = Loader()
        assert cache.get_or_load("a", load, tags=["x"]) == 1
        assert cache.get_or_load("a", load, tags=["x", "y"]) == 2
        assert cache.get_or_load("a", load) == 2


def test_what_was_being_loaded_when_it_was_invalidated_is_not_kept(
    own_redis: Server,
) -> None:
    with Cache(own_redis.url, max_staleness=0.2, gutter_ttl=60, drain=0) as cache:
        down(cache, own_redis)
        begun, let_go, load = Latch(), Latch(), Loader()

        def old() -> str:
            begun.open()
            let_go.passed()
            return "old"

        loading = start(lambda: cache.get_or_load("a", old))
        begun.passed()
        with pytest.raises(InvalidationError):
            cache.invalidate("a")
        let_go.open()
        assert loading.result() == "old"
        assert cache.get_or_load("a", load) == 1


# -- what is said of it ----------------------------------------------------------------------


def test_an_outage_is_said_once_and_so_is_its_end(
    own_redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "freshwell")
    with Cache(own_redis.url, l1=False, drain=0) as cache:
        cache.get("a")
        own_redis.kill()
        for _ in range(20):
            cache.get("a")
        assert cache.stats().servers_down == 1
        own_redis.start()
        until(lambda: cache.stats().breaker == "closed", "L2 is back")
        assert cache.stats().servers_down == 0
        until(lambda: len(caplog.messages) >= 3, "its end is said")
        said = [message.split(": ")[1] for message in caplog.messages]
        assert sorted(said) == ["L2 failed", "L2 is back", "L2 is left alone"]


def test_an_invalidation_that_is_refused_says_so_and_works_when_l2_is_back(
    own_redis: Server,
) -> None:
    with Cache(own_redis.url, l1=False, drain=0) as cache:
        cache.set("a", 1)
        own_redis.freeze()
        with pytest.raises(InvalidationError):
            cache.invalidate("a")
        with pytest.raises(InvalidationError, match="left alone") as caught:
            cache.invalidate("a")
        assert caught.value.key_digests
        own_redis.thaw()
        until(lambda: cache.stats().breaker == "closed", "L2 is back")
        cache.invalidate("a")
        assert cache.get("a") is None
