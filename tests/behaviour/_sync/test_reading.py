"""What reading through a cache does, in one process with nothing installed."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from typing import Any

import pytest

from freshwell import (
    Cache,
    CacheClosed,
    ConfigurationError,
    KeyRejected,
    LoadShed,
    NestedLoadError,
)
from freshwell._kit.threads import sleep


class Loader:
    """Counts its calls and returns their number."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def giving(value: Any) -> Callable[[], Any]:
    """Return a loader of `value`."""

    def load() -> Any:
        return value

    return load


def test_a_value_is_loaded_once_and_served_from_then_on() -> None:
    with Cache() as cache:
        loader = Loader()
        assert cache.get_or_load("a", loader) == 1
        assert cache.get_or_load("a", loader) == 1
        assert cache.get("a") == 1
        assert cache.stats().hits_l1 == 2
        assert cache.stats().loads == 1


def test_an_absent_entry_is_the_default() -> None:
    with Cache() as cache:
        assert cache.get("a") is None
        assert cache.get("a", "default") == "default"


def test_none_is_a_value() -> None:
    with Cache() as cache:
        calls: list[int] = []

        def nothing() -> int | None:
            calls.append(1)
            return None

        assert cache.get_or_load("a", nothing) is None
        assert cache.get_or_load("a", nothing) is None
        assert len(calls) == 1
        assert cache.get("a", "default") is None


def test_none_is_not_stored_where_negative_ttl_is_zero() -> None:
    with Cache(negative_ttl=0) as cache:
        calls: list[int] = []

        def nothing() -> int | None:
            calls.append(1)
            return None

        cache.get_or_load("a", nothing)
        cache.get_or_load("a", nothing)
        assert len(calls) == 2


def test_an_exception_reaches_the_caller_as_it_is_and_nothing_is_stored() -> None:
    with Cache() as cache:
        boom = LookupError("boom")

        def broken() -> int:
            raise boom

        with pytest.raises(LookupError) as caught:
            cache.get_or_load("a", broken)
        assert caught.value is boom
        assert cache.get_or_load("a", Loader()) == 1
        assert cache.stats().load_errors == 1


def test_many_are_loaded_by_one_call_with_the_missing_ones() -> None:
    with Cache() as cache:
        asked: list[list[str]] = []

        def load(keys: list[str]) -> dict[str, str]:
            asked.append(keys)
            return {key: key.upper() for key in keys if key != "c"}

        cache.set("a", "A")
        assert cache.get_or_load_many(["a", "b", "c"], load) == {"a": "A", "b": "B"}
        assert asked == [["b", "c"]]
        assert cache.get_or_load_many(["c", "b", "a"], load) == {"b": "B", "a": "A"}
        assert asked == [["b", "c"]]


def test_get_many_returns_what_is_there() -> None:
    with Cache() as cache:
        cache.set_many({"a": 1, "b": None})
        assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": None}


def test_what_was_set_is_read_and_what_was_invalidated_is_not() -> None:
    with Cache() as cache:
        cache.set("a", 1)
        cache.invalidate("a")
        assert cache.get("a") is None
        assert cache.stats().invalidations == 1


def test_the_source_level_loads_although_there_is_a_fresh_value() -> None:
    with Cache() as cache:
        loader = Loader()
        cache.get_or_load("a", loader)
        assert cache.get_or_load("a", loader, read="source") == 2
        assert cache.get("a") == 2


def test_a_value_invalidated_while_it_loads_is_returned_and_not_stored() -> None:
    with Cache() as cache:

        def load() -> str:
            cache.invalidate("a")
            return "old"

        assert cache.get_or_load("a", load) == "old"
        assert cache.get("a") is None


def test_a_value_set_while_another_loads_stays() -> None:
    with Cache() as cache:

        def load() -> str:
            cache.set("a", "set")
            return "loaded"

        assert cache.get_or_load("a", load) == "loaded"
        assert cache.get("a") == "set"


def test_lookup_says_what_is_there_and_loads_nothing() -> None:
    with Cache() as cache:
        absent = cache.lookup("a")
        assert (absent.found, absent.state, absent.tier) == (False, "absent", None)
        cache.set("a", 1, ttl=100, jitter=0)
        there = cache.lookup("a")
        assert (there.found, there.state, there.tier, there.value) == (True, "fresh", "l1", 1)
        assert there.age_s is not None
        assert 0 <= there.age_s < 50
        assert there.ttl_left_s is not None
        assert 50 < there.ttl_left_s <= 100
        assert "1" not in repr(there).replace("l1", "").split("ttl_left_s")[0].split("age_s")[0]


def test_an_expired_entry_is_served_stale_only_to_those_who_accept_it() -> None:
    with Cache() as cache:
        cache.set("a", "old", stale_ttl=60)
        cache.expire("a")
        assert cache.get("a") is None
        assert cache.lookup("a", stale_ttl=60).state == "stale"
        assert cache.lookup("a").state == "expired"
        assert cache.get_or_load("a", giving("new"), stale_ttl=60) == "old"
        assert cache.stats().stale_serves == 1


def test_a_source_that_fails_is_left_alone_for_a_while_by_refreshes() -> None:
    calls: list[int] = []

    def fail() -> str:
        calls.append(1)
        raise LookupError("the source is down")

    with Cache() as cache:
        cache.set("a", "old", stale_ttl=60)
        cache.expire("a")
        for _ in range(50):
            assert cache.get_or_load("a", fail, stale_ttl=60) == "old"
            sleep(0.001)
        assert len(calls) == 1
        assert cache.stats().refresh_errors == 1
        assert cache.stats().stale_serves == 50


def test_an_invalidated_entry_is_not_served_stale() -> None:
    with Cache() as cache:
        cache.set("a", "old", stale_ttl=60)
        cache.invalidate("a")
        assert cache.get_or_load("a", giving("new"), stale_ttl=60) == "new"


def test_a_loader_that_waits_for_its_own_entry_is_told_so() -> None:
    with Cache() as cache:

        def load() -> Any:
            return cache.get_or_load("a", load)

        with pytest.raises(NestedLoadError):
            cache.get_or_load("a", load)


def test_a_nested_load_needs_no_slot_of_its_own() -> None:
    with Cache(max_loads=1, load_wait=0) as cache:

        def outer() -> int:
            inner: int = cache.get_or_load("inner", giving(1))
            return inner + 1

        assert cache.get_or_load("outer", outer) == 2


def test_a_load_without_a_slot_is_shed() -> None:
    with Cache(max_loads=1, load_wait=0) as cache:
        gate = cache._core.engine().tiers.gate
        assert gate.enter(0)
        with pytest.raises(LoadShed):
            cache.get_or_load("a", Loader())
        gate.leave()
        assert cache.get_or_load("a", Loader()) == 1
        assert cache.stats().shed == 1


@pytest.mark.parametrize(
    "key", ["", "x" * 1025, "a\nb", "\ud800"], ids=["empty", "long", "control", "surrogate"]
)
def test_a_key_that_cannot_name_an_entry_is_refused(key: str) -> None:
    with Cache() as cache:
        with pytest.raises(KeyRejected):
            cache.get(key)
        with pytest.raises(KeyRejected):
            cache.invalidate("good", key)


def test_keys_are_text() -> None:
    with Cache() as cache:
        with pytest.raises(KeyRejected, match="int"):
            cache.get(1)  # type: ignore[arg-type]


def test_a_closed_cache_says_so() -> None:
    cache = Cache()
    cache.set("a", 1)
    cache.close()
    cache.close()
    with pytest.raises(CacheClosed):
        cache.get("a")
    assert "closed" in repr(cache)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ttl", 0),
        ("ttl", -1),
        ("ttl", "soon"),
        ("ttl", float("inf")),
        ("ttl", True),
        ("ttl", None),
        ("ttl", "31d"),
        ("max_ttl", 0),
        ("stale_ttl", "31d"),
        ("jitter", 1),
        ("jitter", -0.1),
        ("beta", -1),
        ("namespace", "a:b"),
        ("namespace", ""),
        ("read", "stale"),
        ("max_entries", 0),
        ("max_bytes", 1.5),
        ("max_loads", 0),
        ("lease", 0),
    ],
)
def test_a_wrong_option_is_refused_when_the_cache_is_built(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        Cache(**{option: value})


@pytest.mark.parametrize("ttl", [0, "31d", -5])
def test_a_wrong_ttl_is_refused_at_the_call(ttl: Any) -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="ttl"):
            cache.get_or_load("a", Loader(), ttl=ttl)


def test_read_through_owns_its_loader() -> None:
    class Users:
        def __init__(self) -> None:
            self.asked: list[Any] = []

        def load(self, id: int) -> str | None:
            self.asked.append(id)
            return None if id == 9 else f"user {id}"

        def load_many(self, ids: list[int]) -> dict[int, str]:
            self.asked.append(ids)
            return {id: f"user {id}" for id in ids if id != 9}

    with Cache() as cache:
        source = Users()
        users = cache.read_through(source, key="user:{}")
        assert users.get(1) == "user 1"
        assert users.get_many([1, 2, 9]) == {1: "user 1", 2: "user 2"}
        assert source.asked == [1, [2, 9]]
        assert users.get_many([1, 2, 9]) == {1: "user 1", 2: "user 2"}
        assert users.get(9) is None
        assert source.asked == [1, [2, 9]]
        users.invalidate(1)
        assert users.refresh(1) == "user 1"
        assert source.asked == [1, [2, 9], 1]
        assert users.lookup(1).state in ("fresh", "early")
        assert users.key(1) == "user:1"


def test_a_source_without_load_is_refused_when_the_reader_is_built() -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="load"):
            cache.read_through(object(), key="user:{}")  # type: ignore[arg-type]


def test_a_key_template_with_the_wrong_name_is_refused_when_the_reader_is_built() -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="ident"):
            cache.read_through(lambda id: id, key="user:{ident}")
