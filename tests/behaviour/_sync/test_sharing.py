"""What caches of one namespace on one server do for each other, and with what others left there."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError, InvalidationError, StoreUnavailable
from freshwell._kit.threads import sleep
from freshwell.ground.frame import State, encode, tombstone_frame
from freshwell.ground.keys import digest8
from tests.support.threads import all_of, start, until
from tests.support.servers import Server

KEY = b"fw:e:default:a"


@dataclass
class Product:
    """A value that is more than plain data."""

    id: int
    tags: tuple[str, ...]


class Loader:
    """Counts its calls and returns their number, after a while."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls = 0
        self._seconds = seconds

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        sleep(self._seconds)
        return number


def listening(*caches: Cache) -> None:
    """Wait until the caches' L1 may answer."""
    for cache in caches:
        cache.get("nothing")
        until(partial(is_live, cache), "L1 is live")


def is_live(cache: Cache) -> bool:
    return cache.stats().l1_live


def test_what_one_loads_the_other_has(redis_url: str) -> None:
    load = Loader()
    with Cache(redis_url) as one, Cache(redis_url) as other:
        assert one.get_or_load("a", load) == 1
        assert other.get_or_load("a", load) == 1
        assert load.calls == 1
        assert other.stats().hits_l2 == 1


def test_namespaces_do_not_meet(redis_url: str) -> None:
    with Cache(redis_url, namespace="x") as one, Cache(redis_url) as other:
        one.set("a", 1)
        assert other.get("a") is None


def test_values_come_back_as_the_annotated_type(redis_url: str) -> None:
    with Cache(redis_url, l1=False) as cache:

        @cache.cached("p:{id}")
        def product(id: int) -> Product:
            return Product(id, ("a", "b"))

        assert product(1) == Product(1, ("a", "b"))
        again = product(1)
        assert again == Product(1, ("a", "b"))
        assert type(again) is Product
        assert cache.stats().loads == 1


def test_a_second_read_is_answered_by_l1(redis_url: str) -> None:
    with Cache(redis_url) as cache:
        listening(cache)
        cache.set("a", 1)
        until(lambda: cache.stats().notices > 0, "the own write was told")
        assert cache.get("a") == 1
        assert cache.get("a") == 1
        assert cache.stats().hits_l1 == 1


def test_an_invalidation_reaches_the_others_l1(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        listening(one, other)
        one.set("a", "old")
        until(lambda: other.stats().notices > 0, "the write was told")
        assert other.get("a") == "old"
        told = other.stats().notices
        one.invalidate("a")
        assert one.get("a") is None
        until(lambda: other.stats().notices > told, "the invalidation was told")
        assert other.get("a") is None


def test_a_load_under_way_is_not_stored_after_an_invalidation(redis_url: str) -> None:
    load = Loader(0.2)
    with Cache(redis_url) as one, Cache(redis_url) as other:
        running = start(lambda: one.get_or_load("a", load))
        until(lambda: load.calls == 1, "the load is under way")
        other.invalidate("a")
        assert running.result() == 1
        assert other.get("a") is None
        assert one.get("a") is None
        assert one.stats().fills_refused == 1


def test_many_are_loaded_by_one_call_for_those_that_are_missing(redis_url: str) -> None:
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int]:
        asked.append(sorted(keys))
        return {key: len(key) for key in keys if key != "none"}

    with Cache(redis_url) as one, Cache(redis_url) as other:
        one.set_many({"a": 1, "bb": 2})
        keys = ["a", "bb", "ccc", "dddd", "none"]
        wanted = {"a": 1, "bb": 2, "ccc": 3, "dddd": 4}
        assert other.get_or_load_many(keys, load) == wanted
        assert one.get_or_load_many(keys, load) == wanted
        assert asked == [["ccc", "dddd", "none"]]
        assert other.get_many(keys) == wanted


def test_a_stale_value_is_served_while_one_process_loads(redis_url: str) -> None:
    load = Loader(0.05)
    with Cache(redis_url) as one, Cache(redis_url) as other:
        assert one.get_or_load("a", load, stale_ttl=60) == 1
        one.expire("a")
        ask: Callable[[], Any] = lambda: other.get_or_load("a", load, stale_ttl=60)  # noqa: E731
        assert all_of(ask, ask, lambda: one.get_or_load("a", load, stale_ttl=60)) == [1] * 3
        until(lambda: load.calls == 2, "the refresh began")
        until(lambda: one.stats().fills + other.stats().fills == 2, "the refresh is stored")
        assert one.get("a", read="fresh") == 2
        assert load.calls == 2


def test_an_entry_is_refreshed_before_its_end(redis_url: str) -> None:
    load = Loader(0.05)
    with Cache(redis_url, l1=False) as cache:
        # So eager that in the window of early refreshes, half the TTL, no draw is against one.
        ask: Callable[[], Any] = lambda: cache.get_or_load(  # noqa: E731
            "a", load, ttl=2, beta=999_999, jitter=0
        )
        assert ask() == 1
        sleep(1.1)
        assert ask() == 1
        until(lambda: load.calls == 2, "the early refresh began")
        until(lambda: cache.stats().fills == 2, "the refresh is stored")
        assert cache.get("a") == 2
        assert cache.stats().early_refreshes >= 1


def test_a_source_that_has_nothing_is_asked_once(redis_url: str) -> None:
    with Cache(redis_url, negative_ttl=60) as one, Cache(redis_url) as other:
        calls: list[int] = []

        def nothing() -> int | None:
            calls.append(1)
            return None

        assert one.get_or_load("a", nothing) is None
        assert other.get_or_load("a", nothing) is None
        assert len(calls) == 1
        seen = other.lookup("a")
        assert (seen.found, seen.negative, seen.value) == (True, True, None)


def test_lookup_names_the_tier(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url, l1=False) as other:
        one.set("a", 1, ttl=100, jitter=0)
        seen = other.lookup("a")
        assert (seen.found, seen.state, seen.tier, seen.value) == (True, "fresh", "l2", 1)


# -- what others left under our keys -------------------------------------------------------------

GOOD = encode(
    state=State.VALUE, codec=1, digest=digest8(KEY), payload=b"1", fresh_until_ms=2**60, born_ms=1
)
BAD = {
    "foreign": b"somebody else's bytes",
    "empty": b"",
    "truncated in the head": GOOD[:30],
    "truncated payload": GOOD[:-1],
    "newer version": GOOD[:2] + b"\x09" + GOOD[3:],
    "another key's": encode(
        state=State.VALUE, codec=1, digest=digest8(b"other"), payload=b"1", fresh_until_ms=2**60
    ),
    "another codec's": encode(
        state=State.VALUE, codec=2, digest=digest8(KEY), payload=b"\x01", fresh_until_ms=2**60
    ),
    "unknown state": GOOD[:3] + b"?" + GOOD[4:],
    "unknown flags": GOOD[:4] + b"\xf0" + GOOD[5:],
    "sealed without a key": GOOD[:4] + b"\x04" + GOOD[5:],
    "torn": GOOD[:-1] + b"2",
    "payload that is no json": encode(
        state=State.VALUE, codec=1, digest=digest8(KEY), payload=b"{", fresh_until_ms=2**60
    ),
}


def test_a_good_frame_is_a_hit(redis_url: str, redis_server: Server) -> None:
    redis_server.ask("SET", KEY, GOOD)
    with Cache(redis_url) as cache:
        assert cache.get("a") == 1
        assert cache.stats().rejected_frames == 0


@pytest.mark.parametrize("what", list(BAD))
@pytest.mark.parametrize("l1", [True, False])
def test_bytes_that_are_no_entry_are_a_counted_miss(
    redis_url: str, redis_server: Server, what: str, l1: bool
) -> None:
    redis_server.ask("SET", KEY, BAD[what])
    with Cache(redis_url, l1=l1) as cache:
        assert cache.get("a", "missed") == "missed"
        stats = cache.stats()
        assert stats.rejected_frames + stats.codec_errors == 1
        assert stats.misses == 1
        assert cache.get_many(["a", "b"]) == {}
        assert cache.get_or_load("a", Loader()) == 1
        assert cache.get("a") == 1, "it was replaced"


def test_a_key_of_another_type_is_a_counted_miss(
    redis_url: str, redis_server: Server
) -> None:
    redis_server.ask("RPUSH", KEY, "x")
    with Cache(redis_url) as cache:
        assert cache.get("a", "missed") == "missed"
        assert cache.stats().rejected_frames == 1
        assert cache.get_or_load("a", Loader()) == 1
        assert cache.get("a") == 1


def test_a_tombstone_is_a_miss_and_no_fault(redis_url: str, redis_server: Server) -> None:
    redis_server.ask("SET", KEY, tombstone_frame(KEY))
    with Cache(redis_url) as cache:
        assert cache.get("a") is None
        assert cache.stats().rejected_frames == 0


def test_a_value_larger_than_allowed_is_returned_and_not_stored(redis_url: str) -> None:
    with Cache(redis_url, max_value_bytes=100) as cache:

        def large() -> str:
            return "x" * 200

        assert cache.get_or_load("a", large) == "x" * 200
        assert cache.get("a") is None
        assert cache.stats().oversize == 1


# -- a server that is not well -------------------------------------------------------------------


def test_without_the_server_values_are_loaded(own_redis: Server) -> None:
    load = Loader()
    with Cache(own_redis.url) as cache:
        cache.set("a", 0)
        own_redis.kill()
        assert cache.get_or_load("b", load) == 1
        assert cache.get_or_load("b", load) == 2, "what cannot be coherent is not kept"
        assert cache.get("b", "missed") == "missed"
        assert cache.stats().l2_errors > 0
        with pytest.raises(InvalidationError) as caught:
            cache.invalidate("a", "secret-name")
        assert len(caught.value.key_digests) == 2
        assert "secret-name" not in str(caught.value)
        with pytest.raises(StoreUnavailable):
            cache.set("a", 1)


def test_after_its_return_the_server_is_used_again(own_redis: Server) -> None:
    load = Loader()
    with Cache(own_redis.url) as cache:
        listening(cache)
        cache.get_or_load("b", load)
        sleep(0.2)  # the own write is told, and drops it from L1
        assert cache.get("b") == 1
        assert cache.stats().entries == 1
        own_redis.restart()
        until(lambda: cache.stats().entries == 0, "the feed began anew")
        until(lambda: cache.stats().l1_live, "the feed is back")
        cache.get_or_load("a", load)
        cache.get_or_load("a", load)
        assert load.calls == 2


def test_a_frozen_server_silences_l1_within_the_bound(own_redis: Server) -> None:
    load = Loader()
    with Cache(own_redis.url, max_staleness=0.3) as cache:
        listening(cache)
        cache.get_or_load("a", load)
        assert cache.get("a") == 1
        own_redis.freeze()
        try:
            until(lambda: not cache.stats().l1_live, "the session ended")
            assert cache.get("a", "missed") == "missed"
            assert cache.get_or_load("a", load) == 2, "loaded, though nothing answers"
        finally:
            own_redis.thaw()


def test_where_tracking_is_forbidden_l1_lives_for_the_bound_only(own_redis: Server) -> None:
    own_redis.ask("ACL", "SETUSER", "small", "on", ">word", "~*", "&*", "+@all", "-client|tracking")
    url = own_redis.url.replace("redis://", "redis://small:word@")
    with Cache(url, max_staleness=0.3) as cache:
        cache.get("a")
        until(lambda: cache.stats().coherence == "ttl-only", "the feed gave up")
        cache.get_or_load("a", Loader())
        assert cache.get("a") == 1
        assert cache.stats().hits_l1 >= 1
        own_redis.ask("SET", KEY, tombstone_frame(KEY))
        sleep(0.31)
        assert cache.get("a") is None


def test_where_tracking_is_forbidden_a_tag_that_changes_during_a_load_is_heard_in_time(
    own_redis: Server,
) -> None:
    own_redis.ask("ACL", "SETUSER", "small", "on", ">word", "~*", "&*", "+@all", "-client|tracking")
    url = own_redis.url.replace("redis://", "redis://small:word@")
    with Cache(url, max_staleness=0.4) as cache, Cache(url) as other:
        cache.get("a")
        until(lambda: cache.stats().coherence == "ttl-only", "the feed gave up")
        changed_s = 0.0

        def load() -> int:
            nonlocal changed_s
            other.invalidate_tags("x")
            changed_s = monotonic()
            sleep(0.3)
            return 1

        read = partial(cache.get_or_load, "a", load, tags=["x"])
        read()
        loads = cache.stats().loads
        sleep(changed_s + 0.41 - monotonic())
        read()
        assert cache.stats().loads == loads + 1


def test_secrets_of_the_url_are_in_no_repr() -> None:
    cache = Cache("redis://user:hunter2@localhost:1/0?password=hunter3")
    assert "hunter" not in repr(cache)


def test_a_url_that_cannot_be_is_refused_when_the_cache_is_built() -> None:
    with pytest.raises(ConfigurationError, match="redis://"):
        Cache("localhost:6379")


def test_while_the_servers_clock_is_not_known_nothing_counts_as_fresh(redis_url: str) -> None:
    with Cache(redis_url, l1=False) as cache:
        cache.set("a", 1)
        store = cache._core.engine().tiers.store
        assert cache.get("a") == 1
        store.server_ms = lambda key=b"": 0  # type: ignore[method-assign]
        assert cache.get("a") is None
        assert cache.lookup("a").reason == "no clock"
