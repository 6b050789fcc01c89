"""What a cache tells those who listen."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pytest

from freshwell import Cache, ConfigurationError
from freshwell.ground.events import CoherenceChanged, Degraded, Invalidated, LoadEnded
from tests.support.threads import until
from tests.support.servers import Server


def seven() -> int:
    return 7


def broken() -> int:
    raise ValueError("the password is swordfish")


def test_loads_and_invalidations_are_told_by_digests() -> None:
    with Cache(namespace="shop") as cache:
        with cache.subscribe() as heard:
            cache.get_or_load("price:tea", seven)
            with pytest.raises(ValueError, match="swordfish"):
                cache.get_or_load("price:cocoa", broken)
            cache.invalidate("price:tea")
            cache.invalidate_tags("a", "b")
            cache.expire("price:tea")
            cache.invalidate_pattern("price:*")
        first, second, *rest = heard.take()
    assert isinstance(first, LoadEnded)
    assert isinstance(second, LoadEnded)
    assert (first.error, second.error) == ("", "ValueError")
    assert first.seconds >= 0
    assert rest == [
        Invalidated("shop", "keys", 1),
        Invalidated("shop", "tags", 2),
        Invalidated("shop", "expire", 1),
        Invalidated("shop", "pattern", 0),
    ]
    assert "price" not in repr((first, second))
    assert "swordfish" not in repr(second)


def test_hits_are_not_told() -> None:
    with Cache(namespace="shop") as cache:
        cache.set("a", 1)
        with cache.subscribe() as heard:
            cache.get("a")
            assert heard.take() == []


def test_what_degrades_is_told_each_time_and_so_is_the_feed(own_redis: Server) -> None:
    with Cache(own_redis.url, namespace="shop") as cache:
        with cache.subscribe() as heard:
            cache.get("a")
            seen: list[object] = []

            def told(event: object) -> bool:
                seen.extend(heard.take())
                return event in seen

            until(lambda: told(CoherenceChanged("shop", "feed", True)))
            own_redis.stop()
            for _ in range(2):
                cache.get("a")
            until(lambda: told(None) or sum(isinstance(e, Degraded) for e in seen) >= 3)
    failures = [event for event in seen if isinstance(event, Degraded)]
    assert {event.kind for event in failures} == {"L2 failed", "L2 is left alone"}


def test_how_long_a_notice_took_is_measured(redis_url: str) -> None:
    with Cache(redis_url, namespace="shop") as cache:
        cache.get("a")
        until(lambda: cache.stats().l1_live)
        cache.invalidate("a")
        until(lambda: cache.observe().notices.times == 1)


def test_keys_that_go_beyond_memory_are_hot_and_hits_are_not() -> None:
    with Cache(namespace="shop") as cache:
        for _ in range(3):
            cache.get("absent")
        cache.set("kept", 1)
        for _ in range(9):
            cache.get("kept")
        assert [(one.key, one.reads) for one in cache.hot_keys()] == [("absent", 3)]


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "10"], ids=repr)
def test_bounds_are_checked(bound: int) -> None:
    with Cache(namespace="shop") as cache:
        with pytest.raises(ConfigurationError, match="max_events"):
            cache.subscribe(bound)
        with pytest.raises(ConfigurationError, match="limit"):
            cache.hot_keys(bound)
