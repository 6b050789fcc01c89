"""Loaders that say how their entry lives, and those that ask whether it is still right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError, KeyRejected, LoadContext, added_tags, loading
from freshwell.ground.names import user_tag
from tests.behaviour._async.failing import Broken, stopped, with_stale
from tests.behaviour._async.parts import Loader, Make, leaves, listening
from tests.support.aio import Latch, start, until


async def one() -> int:
    return 1


async def left_s(cache: AsyncCache, key: str, **options: Any) -> float:
    left = (await cache.lookup(key, **options)).ttl_left_s
    assert left is not None
    return left


# -- how long ---------------------------------------------------------------------------------


async def test_a_loader_says_how_long_its_entry_lives(make: Make) -> None:
    async def load() -> int:
        loading().set(ttl=100, stale_ttl="1h")
        return 1

    async with make(ttl="1h", jitter=0) as cache:
        await cache.get_or_load("short", load)
        await cache.get_or_load("usual", one)
        assert 95 < await left_s(cache, "short") <= 100
        assert 3_500 < await left_s(cache, "usual") <= 3_600


async def test_a_loader_says_for_how_long_its_entry_may_be_stale() -> None:
    async def load() -> int:
        loading().set(stale_ttl="1h")
        return 1

    async with AsyncCache(ttl="1h", jitter=0) as cache:
        clock = stopped(cache)
        await cache.get_or_load("long", load)
        await cache.get_or_load("usual", one)
        clock.advance(3_601)
        assert (await cache.lookup("long", stale_ttl=60)).state == "stale"
        assert (await cache.lookup("long")).state == "expired", "the reader accepts nothing"
        assert (await cache.lookup("usual", stale_ttl=60)).state == "expired"


async def test_other_processes_see_it_so(redis_url: str) -> None:
    async def load() -> int:
        loading().set(ttl=100, stale_ttl="2h")
        return 1

    async with AsyncCache(redis_url, ttl="1h", jitter=0) as here, AsyncCache(redis_url) as there:
        await listening(there)
        await here.get_or_load("a", load)
        assert await there.get("a") == 1
        assert 95 < await left_s(there, "a") <= 100
        tiers = here._core.engine().tiers
        assert (await tiers.store.peek(tiers.names.entry("a"))).left_ms > 7_200_000


async def test_what_is_not_to_be_stored_is_returned_and_removes_what_was_there(make: Make) -> None:
    async def load() -> int:
        loading().do_not_store()
        return 2

    async with make(stale_ttl=600, stale_serve="error") as cache:
        await with_stale(cache, "a", one)
        assert await cache.get_or_load("a", load) == 2
        assert (await cache.lookup("a", stale_ttl=600)).state == "absent"
        assert (await cache.lookup("a", stale_ttl=600, read="fresh")).state == "absent"
        with pytest.raises(Broken):
            await cache.get_or_load("a", broken)


async def broken() -> int:
    raise Broken("down")


async def test_each_of_many_may_live_otherwise(make: Make) -> None:
    async def load(keys: list[str]) -> Mapping[str, int]:
        context = loading()
        context.set(ttl=1_000)
        context.entry("b").set(ttl=100)
        context.entry("c").do_not_store()
        with pytest.raises(ConfigurationError, match="not asked for that key"):
            context.entry("z")
        return dict.fromkeys(keys, 1)

    async with make(jitter=0) as cache:
        assert len(await cache.get_or_load_many(["a", "b", "c"], load)) == 3
        assert 900 < await left_s(cache, "a") <= 1_000
        assert 90 < await left_s(cache, "b") <= 100
        assert await cache.get("c") is None


async def test_a_source_that_is_read_one_by_one_has_a_context_for_each(make: Make) -> None:
    async def load(id: int) -> int:
        loading().set(ttl=100 * id)
        return id

    async with make(jitter=0) as cache:
        reader = cache.read_through(load, key="r:{}")
        assert await reader.get_many([1, 2]) == {1: 1, 2: 2}

        @cache.cached("f:{id}")
        async def function(id: int) -> int:
            return await load(id)

        assert await function.many([1, 2]) == [1, 2]
        assert await function.uncached(3) == 3, "what is said there goes nowhere"
        for key, most in (("r:1", 100), ("r:2", 200), ("f:1", 100), ("f:2", 200)):
            assert most - 5 < await left_s(cache, key) <= most


class Rows:
    """A source of many."""

    async def load(self, id: int, /) -> int:
        raise AssertionError("it has load_many")

    async def load_many(self, ids: list[int]) -> Mapping[int, int]:
        for id in ids:
            loading().entry(id).set(ttl=100 * id)
        return {id: id for id in ids}


async def test_a_source_of_many_names_them_by_their_ids(make: Make) -> None:
    async with make(jitter=0) as cache:
        reader = cache.read_through(Rows(), key="r:{}")
        await reader.get_many([1, 2])
        assert 95 < await left_s(cache, "r:1") <= 100 < await left_s(cache, "r:2") <= 200


# -- tags -------------------------------------------------------------------------------------


async def test_a_loader_adds_tags(make: Make) -> None:
    async def load() -> int:
        loading().add_tags("red", "green")
        return 1

    async with make() as cache:
        await cache.get_or_load("a", load, tags=["known", added_tags])
        await cache.get_or_load("b", one, tags=["known"])
        await cache.invalidate_tags("green")
        assert await cache.get("a") is None
        assert await cache.get("b") == 1
        await cache.get_or_load("a", load, tags=["known", added_tags])
        await cache.invalidate_tags("known")
        assert await cache.get("a") is None


async def test_added_tags_reach_other_processes(redis_url: str) -> None:
    async def load() -> int:
        loading().add_tags("red")
        return 1

    async with AsyncCache(redis_url) as here, AsyncCache(redis_url) as there:
        await listening(here, there)
        await here.get_or_load("a", load, tags=[added_tags])
        assert await there.get("a") == 1
        await there.invalidate_tags("red")
        assert await there.get("a") is None
        await leaves(here, "a")


async def test_a_tag_that_changes_while_it_is_added_voids_the_load(make: Make) -> None:
    begun, let_go = Latch(), Latch()

    async def load() -> int:
        begun.open()
        await let_go.passed()
        loading().add_tags("red")
        return 1

    async with make() as cache:
        call = await start(lambda: cache.get_or_load("a", load, tags=[added_tags]))
        await begun.passed()
        await cache.invalidate_tags("red")
        let_go.open()
        assert await call.result() == 1
        assert await cache.get("a") is None
        assert await cache.get_or_load("b", load, tags=[added_tags]) == 1
        assert await cache.get("b") == 1, "the control"


async def test_an_entry_that_lives_longer_than_its_tags_were_kept_for_is_found(
    redis_url: str,
) -> None:
    async def load() -> int:
        loading().set(ttl=7_200)
        return 1

    async with AsyncCache(redis_url, ttl=60, l1=False) as cache:
        tiers = cache._core.engine().tiers

        async def kept_ms(tag: str) -> int:
            version = tiers.names.version_key(tiers.names.digest(user_tag(tag)))
            return (await tiers.store.peek(version)).left_ms

        await cache.get_or_load("a", one, tags=["t"])
        assert 60_000 <= await kept_ms("t") < 7_200_000
        await cache.get_or_load("b", load, tags=["t"])
        assert await kept_ms("t") >= 7_200_000
        assert await cache.get_many(["a", "b"]) == {"a": 1, "b": 1}


async def test_tags_can_be_added_only_where_the_call_has_said_so() -> None:
    async def load() -> int:
        loading().add_tags("red")
        return 1

    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="added_tags"):
            await cache.get_or_load("a", load, tags=["known"])
        with pytest.raises(ConfigurationError, match="added_tags"):
            await cache.set("a", 1, tags=[added_tags])
        with pytest.raises(ConfigurationError, match="added_tags"):
            cache.write_through(Rows(), key="r:{}", tags=[added_tags])  # type: ignore[arg-type]


# -- what is still right ----------------------------------------------------------------------


async def test_what_is_not_modified_keeps_its_value_and_gets_new_times(make: Make) -> None:
    async def load() -> list[int]:
        previous = loading().previous
        assert previous is not None
        assert (previous.value, previous.state) == ([1], "stale")
        kept: list[int] = loading().not_modified()
        return kept

    async def first() -> list[int]:
        assert loading().previous is None
        return [1]

    async with make(ttl=1_000, stale_ttl=600, stale_serve="error", jitter=0) as cache:
        await with_stale(cache, "a", first)
        assert (await cache.lookup("a")).state == "stale"
        assert await cache.get_or_load("a", load) == [1]
        seen = await cache.lookup("a")
        assert (seen.value, seen.state) == ([1], "fresh")
        assert seen.ttl_left_s is not None
        assert 900 < seen.ttl_left_s <= 1_000
        assert await cache.get("a") == [1]
        assert cache.stats().not_modified == 1


async def test_a_refresh_in_the_background_may_find_nothing_modified(make: Make) -> None:
    async def load() -> Any:
        return loading().not_modified()

    async with make(stale_ttl=600) as cache:
        await with_stale(cache, "a", one)
        assert await cache.get_or_load("a", load) == 1
        await until(lambda: cache.stats().fills == 2, "the refresh is stored")
        assert await cache.get("a") == 1


async def test_an_absence_that_is_not_modified_stays_one(make: Make) -> None:
    async def nothing() -> None:
        return None

    async def load() -> Any:
        return loading().not_modified()

    async with make(stale_ttl=600, stale_serve="error", negative_ttl=60) as cache:
        await with_stale(cache, "a", nothing)
        assert await cache.get_or_load("a", load) is None
        seen = await cache.lookup("a")
        assert (seen.state, seen.negative) == ("fresh", True)


async def test_of_many_some_may_be_as_they_were(make: Make) -> None:
    async def all_of_them(keys: list[str]) -> Mapping[str, int]:
        return dict.fromkeys(keys, 1)

    async def load(keys: list[str]) -> Mapping[str, int]:
        with pytest.raises(ConfigurationError, match="entry"):
            loading().not_modified()
        return {"a": loading().entry("a").not_modified(), "b": 2}

    async with make(stale_ttl=600, stale_serve="error") as cache:
        await cache.get_or_load_many(["a", "b"], all_of_them)
        await cache.expire("a", "b")
        assert await cache.get_or_load_many(["a", "b"], load) == {"a": 1, "b": 2}
        assert await cache.get_many(["a", "b"]) == {"a": 1, "b": 2}


async def test_what_was_said_of_one_entry_is_no_answer_for_another() -> None:
    async def load(keys: list[str]) -> Mapping[str, int]:
        return dict.fromkeys(keys, loading().entry("a").not_modified())

    async with AsyncCache(stale_ttl=600, stale_serve="error") as cache:
        await cache.set_many({"a": 1, "b": 2})
        await cache.expire("a", "b")
        with pytest.raises(ConfigurationError, match="another entry"):
            await cache.get_or_load_many(["a", "b"], load)


# -- misuse -----------------------------------------------------------------------------------


async def test_a_loader_that_says_what_cannot_be_is_told() -> None:
    async with AsyncCache(max_ttl="1d", stale_ttl=600, stale_serve="error") as cache:
        await with_stale(cache, "a", one)
        wrong: list[tuple[Any, type[Exception], str]] = [
            (lambda: loading().set(ttl=-1), ConfigurationError, "ttl is -1"),
            (lambda: loading().set(ttl=0), ConfigurationError, "ttl is 0"),
            (lambda: loading().set(ttl="2d"), ConfigurationError, "max_ttl"),
            (lambda: loading().set(stale_ttl=-1), ConfigurationError, "stale_ttl is -1"),
            (lambda: loading().entry("a"), ConfigurationError, "of one entry"),
        ]
        for misuse, kind, words in wrong:

            async def load(misuse: Any = misuse) -> int:
                misuse()
                return 2

            with pytest.raises(kind, match=words):
                await cache.get_or_load("a", load)

        async def bad_tag() -> int:
            loading().add_tags("")
            return 2

        with pytest.raises(KeyRejected):
            await cache.get_or_load("a", bad_tag, tags=[added_tags])


async def test_a_load_that_is_over_hears_nothing() -> None:
    contexts: list[LoadContext] = []
    answers: list[Any] = []

    async def load() -> int:
        contexts.append(loading())
        if contexts[0].previous is None and len(contexts) == 2:
            answers.append(contexts[1].previous and contexts[1].not_modified())
        return 1

    async with AsyncCache(stale_ttl=600, stale_serve="error") as cache:
        await with_stale(cache, "a", load)
        await cache.get_or_load("a", load)
        for say in (
            lambda: contexts[0].set(ttl=5),
            contexts[0].do_not_store,
            contexts[1].not_modified,
        ):
            with pytest.raises(ConfigurationError, match="the load is over"):
                say()
        with pytest.raises(ConfigurationError, match="the load is over"):
            await cache.set("b", answers[0])
        assert "over" in repr(contexts[0])


async def test_outside_of_a_load_there_is_no_context() -> None:
    with pytest.raises(ConfigurationError, match="outside of a load"):
        loading()
    async with AsyncCache() as cache:
        await cache.get_or_load("a", Loader())
        with pytest.raises(ConfigurationError, match="outside of a load"):
            loading()


async def test_there_is_nothing_to_keep_where_nothing_was_there() -> None:
    async def load() -> Any:
        return loading().not_modified()

    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="no previous value"):
            await cache.get_or_load("a", load)


async def test_loads_within_loads_have_their_own(make: Make) -> None:
    async with make(jitter=0) as cache:

        async def inner() -> int:
            loading().set(ttl=100)
            return 1

        async def outer() -> int:
            number: int = await cache.get_or_load("inner", inner)
            loading().set(ttl=1_000)
            return number + 1

        assert await cache.get_or_load("outer", outer) == 2
        assert 95 < await left_s(cache, "inner") <= 100
        assert 900 < await left_s(cache, "outer") <= 1_000
