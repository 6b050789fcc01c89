"""A cache on the primary of a service: what a failover by hand does to L1 and to invalidations."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache, StoreUnavailable
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Loader, leaves, listening, of, rests, until_so
from tests.support.threads import until
from tests.support.sentinels import Sentinels


def test_everything_works_on_the_primary(sentinel_url: str) -> None:
    with of(sentinel_url) as one, of(sentinel_url, min_replicas=1) as other:
        listening(one, other)
        one.set("a", 1, tags=["x"])
        rests(other, "a")
        one.invalidate_tags("x")
        leaves(other, "a")
        one.namespace("n").set_many({str(n): n for n in range(50)})
        assert other.namespace("n").invalidate_pattern("*") == 50
        with other.writing("a", tags=["x"]):
            one.set("a", 2)
            assert one.get("a", read="fresh") is None
        assert one.stats().coherence == "feed"


@pytest.mark.slow
def test_a_failover_by_hand_empties_l1_and_later_invalidations_arrive(
    sentinels: Sentinels,
) -> None:
    with of(sentinels.url) as one, of(sentinels.url) as other:
        listening(one, other)
        one.set("a", 1)
        rests(other, "a")
        old, new = sentinels.failover()
        for cache in (one, other):
            until(lambda c=cache: new.port in ports(c), "it listens to the new primary")  # type: ignore[misc]
        one.invalidate("a")
        leaves(other, "a")
        listening(one, other)
        one.set("a", 2)
        rests(other, "a")
        one.invalidate("a")
        leaves(other, "a")
        assert old.port not in ports(other)


def ports(cache: Cache) -> list[int]:
    """Return where a cache's feeds listen."""
    listening: Any = cache._core.engine()._listening
    return [port for _, port in listening._running]


@pytest.mark.slow
def test_what_was_invalidated_before_a_failover_is_said_again(sentinels: Sentinels) -> None:
    with of(sentinels.url) as cache:
        listening(cache)
        for _ in range(5):
            cache.set("a", 1)
            cache.invalidate("a")
            _, new = sentinels.failover()
            # As if the new primary had not heard of it: the old value is back. Where it comes too
            # late, and it has been said again before, there is another failover.
            with of(f"redis://127.0.0.1:{new.port}/0", l1=False) as other:
                other.set("a", "old")
                if is_gone_soon(other, "a"):
                    return
        raise AssertionError("an invalidation was never said again")


def is_gone_soon(cache: Cache, key: str) -> bool:
    """Tell whether an entry becomes absent within a few seconds."""
    for _ in range(300):
        if cache.get(key, read="fresh") is None:
            return True
        sleep(0.01)
    return False


@pytest.mark.slow
def test_a_frozen_primary_is_left_alone_until_another_is_appointed(
    sentinels: Sentinels,
) -> None:
    limits: dict[str, Any] = {"connect_timeout": 0.2, "command_timeout": 0.1}
    with Cache(sentinels.url, l1=False, drain=0, **limits) as cache:
        cache.set("a", 1)
        old = sentinels.primary
        old.freeze()
        load = Loader()
        assert cache.get_or_load("a", load) == 1
        before = cache.stats()
        assert before.breaker != "closed"
        for number in range(50):
            assert cache.get_or_load("a", load) == number + 2
        counted = cache.stats()
        assert counted.l2_refused >= before.l2_refused + 100
        assert counted.l2_errors <= before.l2_errors + 20, "but for the surveys"
        until_so(partial(stores, cache))
        assert sentinels.primary is not old
        old.thaw()


def stores(cache: Cache) -> bool:
    """Tell whether L2 takes a value and has it then."""
    try:
        cache.set("a", 2)
    except StoreUnavailable:
        return False
    return cache.get("a") == 2
