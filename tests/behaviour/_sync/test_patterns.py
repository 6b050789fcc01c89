"""Invalidation by pattern."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache, InvalidationError, KeyRejected, LoadTimeout
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Held, Make
from tests.support.threads import Latch, start
from tests.support.servers import Server

KEYS = ["report:1:2025", "report:1:2026", "report:2:2026", "user:1", "a*b"]


def test_what_matches_is_gone_and_the_rest_stays(make: Make) -> None:
    with make() as cache:
        for pattern, gone in {
            "report:*:2026": 2,
            "report:[12]:2025": 1,
            "report:?:202[^6]": 1,
            "a\\*b": 1,
            "*": 5,
            "nothing*": 0,
        }.items():
            cache.set_many(dict.fromkeys(KEYS, 1))
            assert cache.invalidate_pattern(pattern) == gone
            assert len(cache.get_many(KEYS)) == len(KEYS) - gone


def test_a_pattern_stays_in_its_namespace(make: Make) -> None:
    with make() as cache, make(namespace="other") as other:
        places = [cache, cache.namespace("n"), other]
        for place in places:
            place.set("a", 1)
        assert cache.namespace("n").invalidate_pattern("*") == 1
        assert [place.get("a") for place in places] == [1, None, 1]
        assert cache.invalidate_pattern("*") == 1
        assert [place.get("a") for place in places] == [None, None, 1]


def test_a_load_under_way_is_void(make: Make) -> None:
    with make() as cache:
        begun, let_go = Latch(), Latch()

        def load() -> str:
            begun.open()
            let_go.passed()
            return "old"

        reading = start(partial(cache.get_or_load, "report:1", load))
        begun.passed()
        cache.invalidate_pattern("report:*")
        let_go.open()
        assert reading.result() == "old"
        assert cache.get("report:1") is None


def test_a_load_that_nobody_joins_any_more_is_void(make: Make) -> None:
    with make() as cache:
        load = Held()
        tags = [lambda value: f"team:{value}"]
        reading = start(partial(cache.get_or_load, "report:1", load, tags=tags))
        load.begun.passed()
        cache.invalidate_tags("team:2")  # the value may have that tag, and has not
        cache.invalidate_pattern("report:*")
        load.let_go.open()
        assert reading.result() == 1
        assert cache.get("report:1") is None


def test_a_load_that_took_too_long_is_void(make: Make) -> None:
    with make() as cache:
        load = Held()
        with pytest.raises(LoadTimeout):
            cache.get_or_load("report:1", load, load_timeout=0.05)
        cache.invalidate_pattern("report:*")
        load.let_go.open()  # in a thread it goes on
        for _ in range(20):
            assert cache.get("report:1") is None
            sleep(0.005)


def test_what_a_writer_has_announced_stays(redis_url: str) -> None:
    def load() -> str:
        return "old"

    with Cache(redis_url, l1=False) as cache:
        cache.set_many(dict.fromkeys(["report:1", "report:2"], 1))
        with cache.writing("report:2"):
            assert cache.invalidate_pattern("report:*") == 1
            assert cache.get_or_load("report:1", load) == "old"
            assert cache.get_or_load("report:2", load) == "old"
            assert cache.get_many(["report:1", "report:2"]) == {"report:1": "old"}


def test_what_is_on_its_way_into_this_process_is_not_kept(redis_url: str) -> None:
    with Cache(redis_url, namespace="swept") as cache:
        since = cache._core.table.moment()
        assert cache.invalidate_pattern("of no entry that is here*") == 0
        assert cache._core.table.dropped_since(since, "of no entry that is here, yet")


def test_another_process_hears_of_it(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        one.set_many({f"report:{n}": n for n in range(3_000)})
        assert one.invalidate_pattern("report:*") == 3_000
        assert other.get_many([f"report:{n}" for n in range(3_000)], read="fresh") == {}


def test_progress_is_told_and_ends_with_the_count(redis_url: str) -> None:
    with Cache(redis_url) as cache:
        cache.set_many({str(n): n for n in range(5_000)})
        told: list[int] = []
        assert cache.invalidate_pattern("*", progress=told.append) == 5_000
        assert told == sorted(told)
        assert told[-1] == 5_000
        assert len(told) > 1


def test_what_the_server_tells_of_twice_is_counted_once(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Cache(redis_url) as cache:
        cache.set_many({str(n): n for n in range(50)})
        store = cache._core.engine().tiers.store
        scan = store.scan

        def twice(pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
            place, keys = scan(pattern, place)
            return place, keys * 2

        monkeypatch.setattr(store, "scan", twice)
        assert cache.invalidate_pattern("*") == 50


def test_every_schema_version_is_reached(redis_url: str) -> None:
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        old.set("a", 1)
        new.set("b", 1)
        new.invalidate_pattern("*")
        assert old.get("a", read="fresh") is None
        assert new.get("b", read="fresh") is None


def test_a_server_that_goes_away_in_between_is_an_error(own_redis: Server) -> None:
    with Cache(own_redis.url) as cache:
        cache.set_many({str(n): n for n in range(3_000)})

        def kill(count: int) -> None:
            own_redis.kill()

        with pytest.raises(InvalidationError, match="stopped answering after"):
            cache.invalidate_pattern("*", progress=kill)


def test_a_pattern_that_cannot_be_is_refused(make: Make) -> None:
    with make() as cache:
        for pattern in ("", "x" * 1_025, "\ud800"):
            with pytest.raises(KeyRejected, match="pattern"):
                cache.invalidate_pattern(pattern)


def test_a_pattern_means_the_same_where_there_are_schema_versions(redis_url: str) -> None:
    make = partial(Cache, redis_url, namespace="shop", l1=False)
    keys = ["b", "a:b", "é"]
    with make(version="v-3") as cache, make(version=2) as old, make() as plain:
        places = [cache, cache.namespace("n"), plain]
        for place in places:
            place.set_many(dict.fromkeys(keys, 1))
        old.set("c", 1)
        # What stands for the version in the pattern over L2's keys matches more than versions.
        assert cache.invalidate_pattern("b") == 1
        assert [list(place.get_many(keys)) for place in places] == [keys[1:], keys, keys]
        assert cache.invalidate_pattern("c") == 1
        assert cache.invalidate_pattern("??") == 1  # bytes, as without versions
        assert plain.invalidate_pattern("??") == 1
        assert cache.invalidate_pattern("*") == 1
        assert cache.namespace("n").invalidate_pattern("*b") == 2
        assert list(cache.namespace("n").get_many(keys)) == ["é"]
