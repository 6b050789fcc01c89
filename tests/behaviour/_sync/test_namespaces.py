"""Namespaces that are cleared at once, and schema versions that live side by side."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache, CacheClosed, ConfigurationError
from tests.behaviour._sync.parts import Loader, Make
from tests.support.threads import Latch, start
from tests.support.servers import Server


def test_a_namespace_has_keys_of_its_own(make: Make) -> None:
    with make() as cache:
        reports = cache.namespace("reports")
        cache.set("a", "outside")
        reports.set("a", "inside")
        assert cache.get("a") == "outside"
        assert reports.get("a") == "inside"
        assert cache.namespace("reports").get("a") == "inside"
        cache.invalidate("a")
        assert reports.get_many(["a"]) == {"a": "inside"}
        reports.invalidate("a")
        assert reports.get("a") is None


def test_clear_empties_a_namespace_and_nothing_else(make: Make) -> None:
    with make() as cache:
        reports, others = cache.namespace("reports"), cache.namespace("others")
        for place in (cache, reports, others):
            place.set_many({"a": 1, "b": 2})
        reports.clear()
        assert reports.get_many(["a", "b"]) == {}
        for place in (cache, others):
            assert place.get_many(["a", "b"]) == {"a": 1, "b": 2}
        load = Loader()
        assert reports.get_or_load("a", load) == 1
        assert reports.get_or_load("a", load) == 1


def test_clear_costs_one_write_whatever_there_is(
    redis_url: str, redis_server: Server
) -> None:
    with Cache(redis_url) as cache:
        reports = cache.namespace("reports")
        reports.set_many({str(n): n for n in range(2_000)})
        redis_server.ask("CONFIG", "RESETSTAT")
        reports.clear()
        stats = redis_server.info("commandstats")
        assert stats["cmdstat_evalsha"].startswith("calls=1,")
        assert stats["cmdstat_set"].startswith("calls=1,")
        assert reports.get_many([str(n) for n in range(2_000)]) == {}


def test_clearing_a_namespace_clears_those_inside(make: Make) -> None:
    with make() as cache:
        outer = cache.namespace("outer")
        inner = outer.namespace("inner")
        for place in (outer, inner):
            place.set("a", 1)
        inner.clear()
        assert (outer.get("a"), inner.get("a")) == (1, None)
        inner.set("a", 1)
        outer.clear()
        assert (outer.get("a"), inner.get("a")) == (None, None)


def test_a_load_from_before_the_clear_is_not_stored(make: Make) -> None:
    with make() as cache:
        reports = cache.namespace("reports")
        begun, let_go = Latch(), Latch()

        def load() -> str:
            begun.open()
            let_go.passed()
            return "old"

        reading = start(partial(reports.get_or_load, "a", load))
        begun.passed()
        reports.clear()
        let_go.open()
        assert reading.result() == "old"
        assert reports.get("a") is None


def test_functions_and_readers_live_in_namespaces(make: Make) -> None:
    with make() as cache:
        reports = cache.namespace("reports")
        calls: list[int] = []

        @reports.cached("a:{n}", tags=["all"])
        def square(n: int) -> int:
            calls.append(n)
            return n * n

        def load(id: int) -> int:
            calls.append(id)
            return id

        reader = reports.read_through(load, key="r:{}")
        for _ in range(2):
            assert (square(2), reader.get(7)) == (4, 7)
        assert calls == [2, 7]
        assert square.key(2) == "a:2"
        assert reports.get("a:2") == 4
        assert cache.get("a:2") is None
        square.invalidate(2)
        square(2)
        reports.clear()
        square.many([2])
        reader.get_many([7])
        cache.invalidate_tags("all")
        square(2)
        assert calls == [2, 7, 2, 2, 7, 2]


def test_a_namespace_ends_with_its_cache() -> None:
    cache = Cache()
    reports = cache.namespace("reports")
    cache.close()
    with pytest.raises(CacheClosed):
        reports.get("a")


def test_a_namespace_needs_a_name() -> None:
    for name in ("", "a/b", "a:b", "x" * 65):
        with pytest.raises(ConfigurationError, match="namespace is"):
            Cache().namespace(name)


def test_a_namespace_shows_where_it_is() -> None:
    cache = Cache(namespace="shop")
    inner = cache.namespace("a").namespace("b")
    assert repr(inner) == f"<{type(inner).__name__} 'a/b' of {cache!r}>"


# -- schema versions -------------------------------------------------------------------------


def test_schema_versions_do_not_read_each_other(make: Make) -> None:
    with make(version=1) as old, make(version=2) as new:
        old.set("a", "old form")
        assert new.get("a") is None
        load = Loader()
        assert new.get_or_load("a", load) == 1
        assert old.get("a") == "old form"


def test_an_invalidation_reaches_every_schema_version(redis_url: str) -> None:
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        for writer in (old, new):
            for cache in (old, new):
                cache.get_or_load("a", Loader())
                cache.namespace("n").get_or_load("a", Loader())
            writer.invalidate("a")
            writer.namespace("n").invalidate("a")
            for cache in (old, new):
                assert cache.get("a", read="fresh") is None
                assert cache.namespace("n").get("a", read="fresh") is None


def test_without_a_common_tag_the_other_version_would_stay(redis_url: str) -> None:
    """The control: what a version in the key alone would do."""
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        old.get_or_load("a", Loader())
        new._core.names.versioned = False
        new.invalidate("a")
        assert old.get("a", read="fresh") == 1


def test_a_value_that_is_set_outdates_the_other_versions(redis_url: str) -> None:
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        old.set("a", "old")
        new.set("a", "new")
        assert old.get("a", read="fresh") is None
        assert new.get("a", read="fresh") == "new"


def test_a_writer_of_one_version_makes_the_others_absent(redis_url: str) -> None:
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        load = Loader()
        old.get_or_load("a", load)
        with new.writing("a"):
            assert old.get("a", read="fresh") is None
            assert old.get_or_load("a", load, read="fresh") == 2
            assert old.get("a", read="fresh") is None, "nothing is stored meanwhile"
        assert old.get_or_load("a", load, read="fresh") == 3
        assert old.get_or_load("a", load, read="fresh") == 3


def test_a_cache_shows_its_version() -> None:
    assert "version '3'" in repr(Cache(version=3))
