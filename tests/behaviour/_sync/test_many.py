"""Many entries at once are answered as they are one by one."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache
from freshwell._sync.coordination import sights
from freshwell._kit.threads import sleep
from freshwell.ground.freshness import judge
from tests.behaviour._sync.parts import Held, Make, of
from tests.support.threads import start, until
from tests.support.servers import Server

_KEYS = [f"k:{i}" for i in range(12)]
_LARGE = "x" * 5_000
"""Not copied on its way to the codec."""


def giving(value: Any) -> Any:
    return value


def filled(cache: Cache, server: Server) -> None:
    """Store entries of every kind."""
    for key in _KEYS:
        cache.set(key, {"key": key})
    cache.set("k:1", 1, tags=["kept"])
    cache.set("k:2", 2, tags=["gone"])
    cache.invalidate_tags("gone")
    cache.invalidate("k:3")
    cache.invalidate("k:4")
    cache.get_or_load("k:4", partial(giving, None), negative_ttl=60)
    cache.set("k:5", 5, ttl=0.05, stale_ttl=60)
    cache.set("k:6", None)
    cache.set("k:8", _LARGE)
    server.ask("SET", "fw:e:many:k:9", b"fw\x01 garbage")
    server.ask("COPY", "fw:e:many:k:8", "fw:e:many:k:10", "REPLACE")
    server.ask("DEL", "fw:e:many:k:11")
    server.ask("LPUSH", "fw:e:many:k:11", "of another type")
    sleep(0.1)


def test_each_is_answered_as_it_is_by_itself(redis_url: str, redis_server: Server) -> None:
    with of(redis_url, namespace="many", l1=False) as cache:
        filled(cache, redis_server)
        before, nothing = cache.stats(), object()
        each = {key: cache.get(key, nothing) for key in _KEYS}
        assert [k for k, value in each.items() if value is nothing] == [
            *("k:2", "k:3", "k:5", "k:9", "k:10", "k:11")
        ]
        one_by_one = cache.stats()
        many = cache.get_many(_KEYS)
        assert many == {
            k: value for k, value in each.items() if value is not nothing and k != "k:4"
        }
        assert list(many) == [key for key in _KEYS if key in many]
        together = cache.stats()
        for name in ("hits_l2", "misses", "negative_hits", "outdated"):
            first, second, third = (getattr(s, name) for s in (before, one_by_one, together))
            assert third - second == second - first > 0, name


def test_what_is_missing_is_loaded_and_nothing_else(
    redis_url: str, redis_server: Server
) -> None:
    with of(redis_url, namespace="many", l1=False) as cache:
        filled(cache, redis_server)
        asked: list[str] = []

        def load(keys: list[str]) -> dict[str, Any]:
            asked.extend(keys)
            return dict.fromkeys(keys, "loaded")

        found = cache.get_or_load_many(_KEYS, load)
        assert sorted(asked) == ["k:10", "k:11", "k:2", "k:3", "k:5", "k:9"]
        assert list(found) == [key for key in _KEYS if key != "k:4"]
        assert [key for key, value in found.items() if value == "loaded"] == [
            *("k:2", "k:3", "k:5", "k:9", "k:10", "k:11")
        ]
        assert found["k:8"] == _LARGE


@pytest.mark.parametrize("traced", [False, True])
def test_a_trace_is_told_of_each(redis_url: str, traced: bool) -> None:
    with of(redis_url, l1=False) as cache:
        for key in _KEYS[:3]:
            cache.set(key, key)
        if not traced:
            assert len(cache.get_many(_KEYS[:4])) == 3
            return
        with cache.trace() as trace:
            assert len(cache.get_many(_KEYS[:4])) == 3
        told = {served.key: served.source for served in trace.served}
        assert told == {"k:0": "l2", "k:1": "l2", "k:2": "l2", "k:3": None}


def test_the_same_key_twice_is_one_entry(make: Make) -> None:
    with make() as cache:
        cache.set("a", 1)
        assert cache.get_many(["a", "b", "a"]) == {"a": 1}


def test_entries_without_a_tag_that_their_caller_gives_are_absent(redis_url: str) -> None:
    with of(redis_url, l1=False) as cache:
        cache.set_many({"a": 1, "b": 2}, tags=["t", "other"])
        cache.set_many({"c": 3}, tags=["other"])
        cache.set_many({"d": 4})

        def load(keys: list[str]) -> dict[str, Any]:
            return dict.fromkeys(keys, "loaded")

        keys = ["a", "b", "c", "d"]
        found = cache.get_or_load_many(keys, load, tags=["t"])
        assert found == {"a": 1, "b": 2, "c": "loaded", "d": "loaded"}
        cache.invalidate_tags("other")
        found = cache.get_or_load_many(keys, load, tags=["t"])
        assert found == dict.fromkeys(keys, "loaded")


def test_each_call_of_many_has_tags_of_its_own(redis_url: str) -> None:
    with of(redis_url, l1=False) as cache:
        loaded: list[int] = []

        @cache.cached("t:{n}", tags=["all", "one:{n}"])
        def product(n: int) -> int:
            loaded.append(n)
            return n

        assert product.many(range(5)) == list(range(5))
        cache.invalidate_tags("one:3")
        loaded.clear()
        assert product.many(range(5)) == list(range(5))
        assert loaded == [3]
        cache.invalidate_tags("all")
        assert product.many(range(5)) == list(range(5))
        assert sorted(loaded) == [0, 1, 2, 3, 3, 4]
        assert cache.stats().outdated == 6


def test_who_joins_a_load_of_many_takes_of_it_what_has_not_been_invalidated_since(
    make: Make,
) -> None:
    with make() as cache:
        held, version = Held(), 1

        def old(keys: list[str]) -> dict[str, int]:
            return dict.fromkeys(keys, held())

        def new(keys: list[str]) -> dict[str, int]:
            return dict.fromkeys(keys, version)

        first = start(partial(cache.get_or_load_many, ["a", "b"], old))
        held.begun.passed()
        version = 2
        cache.invalidate("a")
        second = start(partial(cache.get_or_load_many, ["a", "b"], new))
        until(lambda: cache.stats().misses == 4, "it waits")
        held.let_go.open()
        assert first.result() == {"a": 1, "b": 1}
        assert second.result() == {"a": 2, "b": 1}
        assert cache.get("a") in (None, 2)


def test_values_of_both_tiers_come_in_the_order_in_which_they_were_asked_for(
    redis_url: str,
) -> None:
    with (
        Cache(redis_url, namespace="both") as cache,
        Cache(redis_url, namespace="both", l1=False) as other,
    ):
        other.set_many({key: key for key in _KEYS})
        cache.get(_KEYS[0])
        until(lambda: cache.stats().l1_live, "the feed is proven")
        assert list(cache.get_many(_KEYS[::3])) == _KEYS[::3]
        before = cache.stats()
        found = cache.get_many([*_KEYS, *_KEYS])
        assert list(found.items()) == [(key, key) for key in _KEYS]
        after = cache.stats()
        assert after.hits_l1 - before.hits_l1 == len(_KEYS[::3])
        assert after.hits_l2 - before.hits_l2 == len(_KEYS) - len(_KEYS[::3])
        again = cache.get_many(_KEYS)
        assert list(again.items()) == [(key, key) for key in _KEYS]
        assert cache.stats().hits_l1 - after.hits_l1 == len(_KEYS)


def test_of_many_that_are_kept_each_can_be_overtaken(redis_url: str) -> None:
    with Cache(redis_url, namespace="both") as cache:
        cache.set_many({key: key for key in _KEYS}, tags=["all"])
        until(lambda: cache.stats().l1_live, "the feed is proven")
        assert len(cache.get_many(_KEYS)) == len(_KEYS)
        assert len(cache.get_many(_KEYS)) == len(_KEYS)
        cache.invalidate(_KEYS[0])
        assert list(cache.get_many(_KEYS)) == _KEYS[1:]
        cache.invalidate_tags("all")
        assert cache.get_many(_KEYS) == {}


def test_ids_that_are_equal_and_of_different_types_are_not_mixed_up(make: Make) -> None:
    def load(id: Any) -> Any:
        return repr(id)

    with make() as cache:
        reader = cache.read_through(load, key="r:{}", tags=["of:{}"])
        for _ in range(2):
            assert reader.get_many([1, 2]) == {1: "1", 2: "2"}
            assert reader.get_many([True]) == {True: "True"}
            assert reader.get_many([1.0, 3.5]) == {1.0: "1.0", 3.5: "3.5"}
        cache.invalidate_tags("of:1")
        assert cache.stats().invalidations == 1
        many = list(range(5_000))
        assert reader.get_many(many) == {id: repr(id) for id in many}
        assert reader.get_many(many) == {id: repr(id) for id in many}


def test_what_leaves_memory_while_it_is_judged_is_still_known_to_be_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Cache() as cache:

        def dropping(*args: Any, **kwargs: Any) -> Any:
            verdict = judge(*args, **kwargs)
            cache._core.table.drop("a")  # as another thread may
            return verdict

        def nothing(keys: list[str]) -> dict[str, int]:
            return {}

        read = partial(cache.get_or_load_many, ["a"], nothing)
        assert read() == {}
        monkeypatch.setattr(sights, "judge", dropping)
        assert read() == {}
        assert cache.stats().hits_l1 == 1
