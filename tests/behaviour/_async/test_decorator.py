"""What ``cached`` does to a function or a method."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError


async def test_the_same_arguments_name_the_same_entry_however_they_are_spelled() -> None:
    async with AsyncCache() as cache:
        calls: list[Any] = []

        @cache.cached("page:{lang}:{number}")
        async def page(number: int, lang: str = "en") -> str:
            calls.append((number, lang))
            return f"{lang}{number}"

        assert await page(1) == await page(1, "en") == await page(lang="en", number=1) == "en1"
        assert calls == [(1, "en")]
        assert page.key(1) == "page:en:1"
        assert await cache.get("page:en:1") == "en1"


async def test_equal_arguments_of_different_types_do_not_share_an_entry() -> None:
    async with AsyncCache() as cache:
        calls: list[Any] = []

        @cache.cached()
        async def show(value: Any) -> str:
            calls.append(value)
            return repr(value)

        for value in (1, True, 1.0, "1", None, "", b"1", (1,), [1]):
            assert await show(value) == repr(value)
            assert await show(value) == repr(value)
        assert len(calls) == 9


async def test_hits_keep_telling_types_apart_when_entries_are_many() -> None:
    async with AsyncCache() as cache:

        @cache.cached()
        async def show(value: Any, other: Any) -> str:
            return repr((value, other))

        for _ in range(3):
            for pair in ((1, 0), (True, 0), (1, False), (1.0, 0)):
                assert await show(*pair) == repr(pair)


async def test_the_function_keeps_its_name_signature_and_kind() -> None:
    async with AsyncCache() as cache:

        async def page(number: int, /, lang: str = "en", *, draft: bool = False) -> str:
            """Render a page."""
            return lang

        wrapped = cache.cached("page:{number}:{lang}:{draft}")(page)
        assert inspect.signature(wrapped) == inspect.signature(page)
        assert wrapped.__name__ == "page"
        assert wrapped.__doc__ == "Render a page."
        assert inspect.iscoroutinefunction(wrapped) == inspect.iscoroutinefunction(page)
        assert await wrapped(1, draft=True) == "en"


async def test_helpers_name_the_entry_of_the_same_call() -> None:
    async with AsyncCache() as cache:
        calls: list[int] = []

        @cache.cached("user:{user_id}", ttl=300)
        async def user(user_id: int) -> int:
            calls.append(user_id)
            return len(calls)

        assert await user(7) == 1
        await user.invalidate(7)
        assert await user(7) == 2
        assert await user.refresh(7) == 3
        assert await user(7) == 3
        assert await user.uncached(7) == 4
        assert await user(7) == 3
        assert (await user.lookup(7)).value == 3
        await user.expire(7)
        assert (await user.lookup(7)).state == "expired"
        await cache.invalidate("user:7")
        assert (await user.lookup(7)).state == "absent"


async def test_many_asks_once_and_keeps_the_order() -> None:
    async with AsyncCache() as cache:
        calls: list[int] = []

        @cache.cached("square:{n}")
        async def square(n: int) -> int:
            calls.append(n)
            return n * n

        assert await square(2) == 4
        assert await square.many([3, 2, (1,), 3]) == [9, 4, 1, 9]
        assert sorted(calls) == [1, 2, 3]


async def test_a_hit_after_an_invalidation_by_key_loads_anew() -> None:
    async with AsyncCache() as cache:
        calls: list[int] = []

        @cache.cached("user:{user_id}")
        async def user(user_id: int) -> int:
            calls.append(user_id)
            return len(calls)

        for expected in (1, 2, 3):
            for _ in range(3):
                assert await user(1) == expected
            await cache.invalidate("user:1")


class Site:
    def __init__(self, name: str, cache_calls: list[Any]) -> None:
        self.name = name
        self.calls = cache_calls


async def test_methods_know_their_object() -> None:
    cache = AsyncCache()
    calls: list[Any] = []

    class Pages(Site):
        @cache.cached("page:{self.name}:{number}")
        async def page(self, number: int) -> str:
            self.calls.append((self.name, number))
            return f"{self.name} {number}"

        @cache.cached(ignore=("self",))
        async def shared(self, number: int) -> int:
            return number

    a, b = Pages("a", calls), Pages("b", calls)
    assert [await a.page(1), await a.page(1), await b.page(1)] == ["a 1", "a 1", "b 1"]
    assert calls == [("a", 1), ("b", 1)]
    assert a.page.key(1) == "page:a:1"
    await a.page.invalidate(1)
    assert (await a.page.lookup(1)).state == "absent"
    assert (await b.page.lookup(1)).state != "absent"
    assert await a.page.many([1, 2]) == ["a 1", "a 2"]
    assert await Pages.page(a, 2) == "a 2"
    assert await a.shared(1) == await b.shared(1) == 1
    await cache.aclose()


async def test_unhashable_arguments_are_cached_too() -> None:
    async with AsyncCache() as cache:
        calls: list[Any] = []

        @cache.cached()
        async def total(numbers: list[int], *rest: int, **named: int) -> int:
            calls.append(numbers)
            return sum(numbers) + sum(rest) + sum(named.values())

        assert await total([1, 2], 3, four=4) == 10
        assert await total([1, 2], 3, four=4) == 10
        assert await total([1, 2], 3, four=5) == 11
        assert len(calls) == 2


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("user:{usr_id}", "user_id"),
        ("user:{user_id", "lone"),
        ("user", "user_id"),
        ("user:{user_id!r}", "names and attributes"),
        ("", "template"),
    ],
)
async def test_a_wrong_template_is_refused_when_decorating(template: str, said: str) -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match=said):

            @cache.cached(template)
            async def user(user_id: int) -> int:
                return user_id


async def test_a_parameter_left_out_of_the_key_is_refused_unless_ignored() -> None:
    async with AsyncCache() as cache:

        async def user(user_id: int, trace: str) -> int:
            return user_id

        with pytest.raises(ConfigurationError, match="trace"):
            cache.cached("user:{user_id}")(user)
        wrapped = cache.cached("user:{user_id}", ignore=("trace",))(user)
        assert await wrapped(1, "x") == 1
        assert wrapped.key(1, "x") == wrapped.key(1, "y")


async def test_a_method_without_a_template_must_say_what_of_its_object_matters() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="self"):

            class Pages:
                @cache.cached()
                async def page(self, number: int) -> int:
                    return number


async def test_a_wrong_option_is_refused_when_decorating() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="ttl"):
            cache.cached("x", ttl=0)
        with pytest.raises(ConfigurationError, match="read"):
            cache.cached("x", read="never")  # type: ignore[arg-type]
