"""Tags: entries that are forgotten together."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError, KeyRejected, added_tags
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Held, Loader, Make, listening, until_so
from tests.support.threads import all_of, start, until


@dataclass
class User:
    id: int
    team: str


def test_a_tag_ends_all_of_its_entries_and_no_others(make: Make) -> None:
    with make() as cache:
        loads = {key: Loader() for key in "abc"}

        def read(key: str, *tags: str) -> int:
            return cache.get_or_load(key, loads[key], tags=tags)

        for _ in range(2):
            all_of(
                partial(read, "a", "x"), partial(read, "b", "x", "y"), partial(read, "c", "y")
            )
        assert [load.calls for load in loads.values()] == [1, 1, 1]
        cache.invalidate_tags("x")
        assert cache.get("a") is None
        assert cache.get_many(["a", "b", "c"]) == {"c": 1}
        assert (read("a", "x"), read("b", "x", "y"), read("c", "y")) == (2, 2, 1)
        assert read("a", "x") == 2, "it is stored under the new version"
        assert cache.stats().invalidations == 1


def test_an_entry_ends_with_any_of_its_tags(make: Make) -> None:
    with make() as cache:
        load = Loader()
        for tag in ("x", "y", "z"):
            before = cache.get_or_load("a", load, tags=["x", "y", "z"])
            cache.invalidate_tags(tag)
            assert cache.get_or_load("a", load, tags=["x", "y", "z"]) == before + 1


def test_several_tags_end_at_once(make: Make) -> None:
    with make() as cache:
        for key in "xyz":
            cache.set(key, 1, tags=[key])
        cache.invalidate_tags("x", "y")
        assert cache.get_many(list("xyz")) == {"z": 1}
        cache.invalidate_tags()


def test_another_process_misses_after_the_ack(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        listening(other)
        one.set("a", 1, tags=["x"])
        assert other.get("a") == 1
        assert other.get("a", read="fresh") == 1
        one.invalidate_tags("x")
        assert other.get("a", read="fresh") is None
        until_so(partial(misses, other))


def test_l1_holds_entries_by_their_tags(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        listening(other)
        one.set("a", 1, tags=["x"])
        until_so(partial(in_l1, other))
        one.invalidate_tags("x")
        until_so(partial(misses, other))
        assert other.lookup("a").tier is None


def misses(cache: Cache) -> bool:
    return cache.get("a") is None


def in_l1(cache: Cache) -> bool:
    cache.get("a")
    return cache.lookup("a").tier == "l1"


def test_what_was_loaded_before_an_invalidation_is_returned_and_not_stored(
    make: Make,
) -> None:
    with make() as cache:
        load = Held()
        reading = start(partial(cache.get_or_load, "a", load, tags=["x"]))
        load.begun.passed()
        cache.invalidate_tags("x")
        load.let_go.open()
        assert reading.result() == 1, "who waited gets it"
        assert cache.get("a") is None, "and nobody else"


def test_a_tag_of_the_value_ends_the_entry(make: Make) -> None:
    with make() as cache:
        users = {1: User(1, "red"), 2: User(2, "blue")}

        def read(id: int) -> User:
            def load() -> User:
                return users[id]

            return cache.get_or_load(
                f"u{id}", load, tags=["users", lambda user: f"team:{user.team}"], type=User
            )

        assert read(1) == users[1]
        assert read(2) == users[2]
        assert cache.get("u1", type=User) == users[1]
        cache.invalidate_tags("team:red")
        assert cache.get("u1", type=User) is None
        assert cache.get("u2", type=User) == users[2]


def test_a_tag_of_the_value_that_changes_during_the_load_refuses_it(make: Make) -> None:
    with make() as cache:
        load = Held()
        tags = [lambda number: ["even", "odd"][number % 2]]
        reading = start(partial(cache.get_or_load, "a", load, tags=tags))
        load.begun.passed()
        cache.invalidate_tags("odd")
        load.let_go.open()
        assert reading.result() == 1
        assert cache.get("a") is None
        assert cache.stats().fills_refused >= 1 or cache.stats().entries == 0


def test_a_function_among_the_tags_may_return_several_and_none(make: Make) -> None:
    with make() as cache:

        def read(key: str, *tags: str) -> str:
            def load() -> str:
                return key

            return cache.get_or_load(key, load, tags=[lambda value: tags])

        read("a", "x", "y")
        read("b")
        cache.invalidate_tags("y")
        assert cache.get_many(["a", "b"]) == {"b": "b"}


def test_what_a_function_among_the_tags_raises_reaches_the_caller(make: Make) -> None:
    with make() as cache:

        def broken(value: int) -> str:
            raise LookupError("no such team")

        def no_text(value: int) -> Any:
            return [1]

        with pytest.raises(LookupError, match="no such team"):
            cache.get_or_load("a", Loader(), tags=[broken])
        with pytest.raises(KeyRejected, match="a tag is text"):
            cache.get_or_load("a", Loader(), tags=[no_text])
        assert cache.get("a") is None


def test_an_entry_without_the_callers_tag_is_of_no_use_to_that_caller(make: Make) -> None:
    with make() as cache:
        cache.set("a", 0)
        assert cache.get("a") == 0
        load = Loader()
        assert cache.get_or_load("a", load, tags=["x"]) == 1
        assert cache.get_or_load("a", load, tags=["x"]) == 1
        assert cache.get("a") == 1, "one who names no tag gets any"


def test_callers_who_name_an_entrys_tags_in_another_order_or_fewer_find_it(
    make: Make,
) -> None:
    with make() as cache:
        load = Loader()
        for tags in (["x", "y"], ["y", "x"], ["x"], [], ["x", "y"]):
            assert cache.get_or_load("a", load, tags=tags) == 1
        cache.invalidate_tags("y")
        assert cache.get_or_load("a", load, tags=["x"]) == 2, "it had that tag too"


def test_tags_may_follow_from_what_is_no_part_of_the_key(make: Make) -> None:
    with make() as cache:
        calls: list[str] = []

        @cache.cached("a:{n}", tags=["team:{team}"], ignore=("team",))
        def read(n: int, team: str) -> int:
            calls.append(team)
            return len(calls)

        for _ in range(2):
            assert (read(1, "red"), read(1, "blue")) == (len(calls) - 1, len(calls))
        assert calls == ["red", "blue"] * 2, "none has the other's tag"
        cache.invalidate_tags("team:red")
        assert read(1, "blue") == 4


def test_absence_is_tagged_too(make: Make) -> None:
    with make() as cache:
        names: dict[str, str] = {}

        def load(keys: list[str]) -> dict[str, str]:
            return {key: names[key] for key in keys if key in names}

        read = partial(cache.get_or_load_many, ["a", "b"], load, tags=["names"])
        assert read() == {}
        names["a"] = "Ada"
        assert read() == {}, "that there is none is remembered"
        cache.invalidate_tags("names")
        assert read() == {"a": "Ada"}


def test_many_entries_are_read_and_loaded_under_tags(make: Make) -> None:
    with make() as cache:
        loaded: list[list[str]] = []

        def load(keys: list[str]) -> dict[str, str]:
            loaded.append(keys)
            return {key: key.upper() for key in keys}

        read = partial(cache.get_or_load_many, list("abc"), load, tags=["all", lambda v: v])
        for _ in range(2):
            assert read() == {"a": "A", "b": "B", "c": "C"}
        cache.invalidate_tags("B")
        read()
        cache.invalidate_tags("all")
        read()
        assert loaded == [list("abc"), ["b"], list("abc")]


def test_stale_service_ends_with_a_tag(make: Make) -> None:
    with make() as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"], stale_ttl=60)
        read()
        cache.expire("a")
        assert read() == 1, "stale, while it is refreshed"
        until(lambda: load.calls == 2 and not cache.stats().in_flight, "it is refreshed")
        cache.invalidate_tags("x")
        assert read() == 3


def test_a_caller_after_the_ack_does_not_join_a_load_from_before(make: Make) -> None:
    with make() as cache:
        load = Held()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        first = start(read)
        load.begun.passed()
        cache.invalidate_tags("x")
        second = start(read)
        sleep(0.05)
        load.let_go.open()
        assert first.result() == 1
        assert second.result() == 2


def test_a_rider_with_other_tags_does_not_hide_those_of_the_others(make: Make) -> None:
    with make() as cache:
        load = Held()
        read = partial(cache.get_or_load, "a", load)
        first = start(partial(read, tags=["x"]))
        load.begun.passed()
        rider = start(partial(read, tags=["y"]))
        sleep(0.05)
        cache.invalidate_tags("x")
        second = start(partial(read, tags=["x"]))
        sleep(0.05)
        load.let_go.open()
        assert first.result() == 1
        assert second.result() == 2
        rider.result()


# -- what is refused -------------------------------------------------------------------------


def test_tags_that_cannot_be_are_refused(make: Make) -> None:
    with make() as cache:
        tags: Any
        for tags in ("x", 5, [5], ["x"] * 65):
            with pytest.raises(ConfigurationError, match="tag"):
                cache.get_or_load("a", Loader(), tags=tags)
        for tags in ([""], ["a\nb"], ["x" * 201], ["\ud800"]):
            with pytest.raises(KeyRejected, match="tag"):
                cache.get_or_load("a", Loader(), tags=tags)
            with pytest.raises(KeyRejected, match="tag"):
                cache.invalidate_tags(*tags)
        with pytest.raises(ConfigurationError, match="no parameter"):

            @cache.cached("a:{n}", tags=["b:{m}"])
            def number(n: int) -> int:
                return n


@pytest.mark.parametrize("names", ["tags", "added"])
def test_a_load_that_may_have_any_tag_is_shared_though_namespaces_and_keys_change(
    names: str,
) -> None:
    with Cache(version="v1") as cache:
        load = Held()
        tags = [added_tags] if names == "added" else [lambda number: f"g:{number}"]
        ask = partial(cache.get_or_load, "a", load, tags=tags)
        first = start(ask)
        load.begun.passed()
        cache.namespace("other").clear()
        with cache.writing("b"):
            pass
        second = start(ask)
        until(lambda: cache.stats().misses == 2, "it waits or loads")
        load.let_go.open()
        assert (first.result(), second.result()) == (1, 1)
        assert load.calls == 1
