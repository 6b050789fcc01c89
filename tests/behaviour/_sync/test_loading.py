"""Loaders that say how their entry lives, and those that ask whether it is still right."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError, KeyRejected, LoadContext, added_tags, loading
from freshwell.ground.names import user_tag
from tests.behaviour._sync.failing import Broken, stopped, with_stale
from tests.behaviour._sync.parts import Loader, Make, leaves, listening
from tests.support.threads import Latch, start, until


def one() -> int:
    return 1


def left_s(cache: Cache, key: str, **options: Any) -> float:
    left = cache.lookup(key, **options).ttl_left_s
    assert left is not None
    return left


# -- how long ---------------------------------------------------------------------------------


def test_a_loader_says_how_long_its_entry_lives(make: Make) -> None:
    def load() -> int:
        loading().set(ttl=100, stale_ttl="1h")
        return 1

    with make(ttl="1h", jitter=0) as cache:
        cache.get_or_load("short", load)
        cache.get_or_load("usual", one)
        assert 95 < left_s(cache, "short") <= 100
        assert 3_500 < left_s(cache, "usual") <= 3_600


def test_a_loader_says_for_how_long_its_entry_may_be_stale() -> None:
    def load() -> int:
        loading().set(stale_ttl="1h")
        return 1

    with Cache(ttl="1h", jitter=0) as cache:
        clock = stopped(cache)
        cache.get_or_load("long", load)
        cache.get_or_load("usual", one)
        clock.advance(3_601)
        assert cache.lookup("long", stale_ttl=60).state == "stale"
        assert cache.lookup("long").state == "expired", "the reader accepts nothing"
        assert cache.lookup("usual", stale_ttl=60).state == "expired"


def test_other_processes_see_it_so(redis_url: str) -> None:
    def load() -> int:
        loading().set(ttl=100, stale_ttl="2h")
        return 1

    with Cache(redis_url, ttl="1h", jitter=0) as here, Cache(redis_url) as there:
        listening(there)
        here.get_or_load("a", load)
        assert there.get("a") == 1
        assert 95 < left_s(there, "a") <= 100
        tiers = here._core.engine().tiers
        assert tiers.store.peek(tiers.names.entry("a")).left_ms > 7_200_000


def test_what_is_not_to_be_stored_is_returned_and_removes_what_was_there(make: Make) -> None:
    def load() -> int:
        loading().do_not_store()
        return 2

    with make(stale_ttl=600, stale_serve="error") as cache:
        with_stale(cache, "a", one)
        assert cache.get_or_load("a", load) == 2
        assert cache.lookup("a", stale_ttl=600).state == "absent"
        assert cache.lookup("a", stale_ttl=600, read="fresh").state == "absent"
        with pytest.raises(Broken):
            cache.get_or_load("a", broken)


def broken() -> int:
    raise Broken("down")


def test_each_of_many_may_live_otherwise(make: Make) -> None:
    def load(keys: list[str]) -> Mapping[str, int]:
        context = loading()
        context.set(ttl=1_000)
        context.entry("b").set(ttl=100)
        context.entry("c").do_not_store()
        with pytest.raises(ConfigurationError, match="not asked for that key"):
            context.entry("z")
        return dict.fromkeys(keys, 1)

    with make(jitter=0) as cache:
        assert len(cache.get_or_load_many(["a", "b", "c"], load)) == 3
        assert 900 < left_s(cache, "a") <= 1_000
        assert 90 < left_s(cache, "b") <= 100
        assert cache.get("c") is None


def test_a_source_that_is_read_one_by_one_has_a_context_for_each(make: Make) -> None:
    def load(id: int) -> int:
        loading().set(ttl=100 * id)
        return id

    with make(jitter=0) as cache:
        reader = cache.read_through(load, key="r:{}")
        assert reader.get_many([1, 2]) == {1: 1, 2: 2}

        @cache.cached("f:{id}")
        def function(id: int) -> int:
            return load(id)

        assert function.many([1, 2]) == [1, 2]
        assert function.uncached(3) == 3, "what is said there goes nowhere"
        for key, most in (("r:1", 100), ("r:2", 200), ("f:1", 100), ("f:2", 200)):
            assert most - 5 < left_s(cache, key) <= most


class Rows:
    """A source of many."""

    def load(self, id: int, /) -> int:
        raise AssertionError("it has load_many")

    def load_many(self, ids: list[int]) -> Mapping[int, int]:
        for id in ids:
            loading().entry(id).set(ttl=100 * id)
        return {id: id for id in ids}


def test_a_source_of_many_names_them_by_their_ids(make: Make) -> None:
    with make(jitter=0) as cache:
        reader = cache.read_through(Rows(), key="r:{}")
        reader.get_many([1, 2])
        assert 95 < left_s(cache, "r:1") <= 100 < left_s(cache, "r:2") <= 200


# -- tags -------------------------------------------------------------------------------------


def test_a_loader_adds_tags(make: Make) -> None:
    def load() -> int:
        loading().add_tags("red", "green")
        return 1

    with make() as cache:
        cache.get_or_load("a", load, tags=["known", added_tags])
        cache.get_or_load("b", one, tags=["known"])
        cache.invalidate_tags("green")
        assert cache.get("a") is None
        assert cache.get("b") == 1
        cache.get_or_load("a", load, tags=["known", added_tags])
        cache.invalidate_tags("known")
        assert cache.get("a") is None


def test_added_tags_reach_other_processes(redis_url: str) -> None:
    def load() -> int:
        loading().add_tags("red")
        return 1

    with Cache(redis_url) as here, Cache(redis_url) as there:
        listening(here, there)
        here.get_or_load("a", load, tags=[added_tags])
        assert there.get("a") == 1
        there.invalidate_tags("red")
        assert there.get("a") is None
        leaves(here, "a")


def test_a_tag_that_changes_while_it_is_added_voids_the_load(make: Make) -> None:
    begun, let_go = Latch(), Latch()

    def load() -> int:
        begun.open()
        let_go.passed()
        loading().add_tags("red")
        return 1

    with make() as cache:
        call = start(lambda: cache.get_or_load("a", load, tags=[added_tags]))
        begun.passed()
        cache.invalidate_tags("red")
        let_go.open()
        assert call.result() == 1
        assert cache.get("a") is None
        assert cache.get_or_load("b", load, tags=[added_tags]) == 1
        assert cache.get("b") == 1, "the control"


def test_an_entry_that_lives_longer_than_its_tags_were_kept_for_is_found(
    redis_url: str,
) -> None:
    def load() -> int:
        loading().set(ttl=7_200)
        return 1

    with Cache(redis_url, ttl=60, l1=False) as cache:
        tiers = cache._core.engine().tiers

        def kept_ms(tag: str) -> int:
            version = tiers.names.version_key(tiers.names.digest(user_tag(tag)))
            return tiers.store.peek(version).left_ms

        cache.get_or_load("a", one, tags=["t"])
        assert 60_000 <= kept_ms("t") < 7_200_000
        cache.get_or_load("b", load, tags=["t"])
        assert kept_ms("t") >= 7_200_000
        assert cache.get_many(["a", "b"]) == {"a": 1, "b": 1}


def test_tags_can_be_added_only_where_the_call_has_said_so() -> None:
    def load() -> int:
        loading().add_tags("red")
        return 1

    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="added_tags"):
            cache.get_or_load("a", load, tags=["known"])
        with pytest.raises(ConfigurationError, match="added_tags"):
            cache.set("a", 1, tags=[added_tags])
        with pytest.raises(ConfigurationError, match="added_tags"):
            cache.write_through(Rows(), key="r:{}", tags=[added_tags])  # type: ignore[arg-type]


# -- what is still right ----------------------------------------------------------------------


def test_what_is_not_modified_keeps_its_value_and_gets_new_times(make: Make) -> None:
    def load() -> list[int]:
        previous = loading().previous
        assert previous is not None
        assert (previous.value, previous.state) == ([1], "stale")
        kept: list[int] = loading().not_modified()
        return kept

    def first() -> list[int]:
        assert loading().previous is None
        return [1]

    with make(ttl=1_000, stale_ttl=600, stale_serve="error", jitter=0) as cache:
        with_stale(cache, "a", first)
        assert cache.lookup("a").state == "stale"
        assert cache.get_or_load("a", load) == [1]
        seen = cache.lookup("a")
        assert (seen.value, seen.state) == ([1], "fresh")
        assert seen.ttl_left_s is not None
        assert 900 < seen.ttl_left_s <= 1_000
        assert cache.get("a") == [1]
        assert cache.stats().not_modified == 1


def test_a_refresh_in_the_background_may_find_nothing_modified(make: Make) -> None:
    def load() -> Any:
        return loading().not_modified()

    with make(stale_ttl=600) as cache:
        with_stale(cache, "a", one)
        assert cache.get_or_load("a", load) == 1
        until(lambda: cache.stats().fills == 2, "the refresh is stored")
        assert cache.get("a") == 1


def test_an_absence_that_is_not_modified_stays_one(make: Make) -> None:
    def nothing() -> None:
        return None

    def load() -> Any:
        return loading().not_modified()

    with make(stale_ttl=600, stale_serve="error", negative_ttl=60) as cache:
        with_stale(cache, "a", nothing)
        assert cache.get_or_load("a", load) is None
        seen = cache.lookup("a")
        assert (seen.state, seen.negative) == ("fresh", True)


def test_of_many_some_may_be_as_they_were(make: Make) -> None:
    def all_of_them(keys: list[str]) -> Mapping[str, int]:
        return dict.fromkeys(keys, 1)

    def load(keys: list[str]) -> Mapping[str, int]:
        with pytest.raises(ConfigurationError, match="entry"):
            loading().not_modified()
        return {"a": loading().entry("a").not_modified(), "b": 2}

    with make(stale_ttl=600, stale_serve="error") as cache:
        cache.get_or_load_many(["a", "b"], all_of_them)
        cache.expire("a", "b")
        assert cache.get_or_load_many(["a", "b"], load) == {"a": 1, "b": 2}
        assert cache.get_many(["a", "b"]) == {"a": 1, "b": 2}


def test_what_was_said_of_one_entry_is_no_answer_for_another() -> None:
    def load(keys: list[str]) -> Mapping[str, int]:
        return dict.fromkeys(keys, loading().entry("a").not_modified())

    with Cache(stale_ttl=600, stale_serve="error") as cache:
        cache.set_many({"a": 1, "b": 2})
        cache.expire("a", "b")
        with pytest.raises(ConfigurationError, match="another entry"):
            cache.get_or_load_many(["a", "b"], load)


# -- misuse -----------------------------------------------------------------------------------


def test_a_loader_that_says_what_cannot_be_is_told() -> None:
    with Cache(max_ttl="1d", stale_ttl=600, stale_serve="error") as cache:
        with_stale(cache, "a", one)
        wrong: list[tuple[Any, type[Exception], str]] = [
            (lambda: loading().set(ttl=-1), ConfigurationError, "ttl is -1"),
            (lambda: loading().set(ttl=0), ConfigurationError, "ttl is 0"),
            (lambda: loading().set(ttl="2d"), ConfigurationError, "max_ttl"),
            (lambda: loading().set(stale_ttl=-1), ConfigurationError, "stale_ttl is -1"),
            (lambda: loading().entry("a"), ConfigurationError, "of one entry"),
        ]
        for misuse, kind, words in wrong:

            def load(misuse: Any = misuse) -> int:
                misuse()
                return 2

            with pytest.raises(kind, match=words):
                cache.get_or_load("a", load)

        def bad_tag() -> int:
            loading().add_tags("")
            return 2

        with pytest.raises(KeyRejected):
            cache.get_or_load("a", bad_tag, tags=[added_tags])


def test_a_load_that_is_over_hears_nothing() -> None:
    contexts: list[LoadContext] = []
    answers: list[Any] = []

    def load() -> int:
        contexts.append(loading())
        if contexts[0].previous is None and len(contexts) == 2:
            answers.append(contexts[1].previous and contexts[1].not_modified())
        return 1

    with Cache(stale_ttl=600, stale_serve="error") as cache:
        with_stale(cache, "a", load)
        cache.get_or_load("a", load)
        for say in (
            lambda: contexts[0].set(ttl=5),
            contexts[0].do_not_store,
            contexts[1].not_modified,
        ):
            with pytest.raises(ConfigurationError, match="the load is over"):
                say()
        with pytest.raises(ConfigurationError, match="the load is over"):
            cache.set("b", answers[0])
        assert "over" in repr(contexts[0])


def test_outside_of_a_load_there_is_no_context() -> None:
    with pytest.raises(ConfigurationError, match="outside of a load"):
        loading()
    with Cache() as cache:
        cache.get_or_load("a", Loader())
        with pytest.raises(ConfigurationError, match="outside of a load"):
            loading()


def test_there_is_nothing_to_keep_where_nothing_was_there() -> None:
    def load() -> Any:
        return loading().not_modified()

    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="no previous value"):
            cache.get_or_load("a", load)


def test_loads_within_loads_have_their_own(make: Make) -> None:
    with make(jitter=0) as cache:

        def inner() -> int:
            loading().set(ttl=100)
            return 1

        def outer() -> int:
            number: int = cache.get_or_load("inner", inner)
            loading().set(ttl=1_000)
            return number + 1

        assert cache.get_or_load("outer", outer) == 2
        assert 95 < left_s(cache, "inner") <= 100
        assert 900 < left_s(cache, "outer") <= 1_000
