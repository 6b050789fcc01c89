"""What ``cached`` does to a function or a method."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import inspect
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError


def test_the_same_arguments_name_the_same_entry_however_they_are_spelled() -> None:
    with Cache() as cache:
        calls: list[Any] = []

        @cache.cached("page:{lang}:{number}")
        def page(number: int, lang: str = "en") -> str:
            calls.append((number, lang))
            return f"{lang}{number}"

        assert page(1) == page(1, "en") == page(lang="en", number=1) == "en1"
        assert calls == [(1, "en")]
        assert page.key(1) == "page:en:1"
        assert cache.get("page:en:1") == "en1"


def test_equal_arguments_of_different_types_do_not_share_an_entry() -> None:
    with Cache() as cache:
        calls: list[Any] = []

        @cache.cached()
        def show(value: Any) -> str:
            calls.append(value)
            return repr(value)

        for value in (1, True, 1.0, "1", None, "", b"1", (1,), [1]):
            assert show(value) == repr(value)
            assert show(value) == repr(value)
        assert len(calls) == 9


def test_hits_keep_telling_types_apart_when_entries_are_many() -> None:
    with Cache() as cache:

        @cache.cached()
        def show(value: Any, other: Any) -> str:
            return repr((value, other))

        for _ in range(3):
            for pair in ((1, 0), (True, 0), (1, False), (1.0, 0)):
                assert show(*pair) == repr(pair)


def test_the_function_keeps_its_name_signature_and_kind() -> None:
    with Cache() as cache:

        def page(number: int, /, lang: str = "en", *, draft: bool = False) -> str:
            """Render a page."""
            return lang

        wrapped = cache.cached("page:{number}:{lang}:{draft}")(page)
        assert inspect.signature(wrapped) == inspect.signature(page)
        assert wrapped.__name__ == "page"
        assert wrapped.__doc__ == "Render a page."
        assert inspect.iscoroutinefunction(wrapped) == inspect.iscoroutinefunction(page)
        assert wrapped(1, draft=True) == "en"


def test_helpers_name_the_entry_of_the_same_call() -> None:
    with Cache() as cache:
        calls: list[int] = []

        @cache.cached("user:{user_id}", ttl=300)
        def user(user_id: int) -> int:
            calls.append(user_id)
            return len(calls)

        assert user(7) == 1
        user.invalidate(7)
        assert user(7) == 2
        assert user.refresh(7) == 3
        assert user(7) == 3
        assert user.uncached(7) == 4
        assert user(7) == 3
        assert user.lookup(7).value == 3
        user.expire(7)
        assert user.lookup(7).state == "expired"
        cache.invalidate("user:7")
        assert user.lookup(7).state == "absent"


def test_many_asks_once_and_keeps_the_order() -> None:
    with Cache() as cache:
        calls: list[int] = []

        @cache.cached("square:{n}")
        def square(n: int) -> int:
            calls.append(n)
            return n * n

        assert square(2) == 4
        assert square.many([3, 2, (1,), 3]) == [9, 4, 1, 9]
        assert sorted(calls) == [1, 2, 3]


def test_a_hit_after_an_invalidation_by_key_loads_anew() -> None:
    with Cache() as cache:
        calls: list[int] = []

        @cache.cached("user:{user_id}")
        def user(user_id: int) -> int:
            calls.append(user_id)
            return len(calls)

        for expected in (1, 2, 3):
            for _ in range(3):
                assert user(1) == expected
            cache.invalidate("user:1")


class Site:
    def __init__(self, name: str, cache_calls: list[Any]) -> None:
        self.name = name
        self.calls = cache_calls


def test_methods_know_their_object() -> None:
    cache = Cache()
    calls: list[Any] = []

    class Pages(Site):
        @cache.cached("page:{self.name}:{number}")
        def page(self, number: int) -> str:
            self.calls.append((self.name, number))
            return f"{self.name} {number}"

        @cache.cached(ignore=("self",))
        def shared(self, number: int) -> int:
            return number

    a, b = Pages("a", calls), Pages("b", calls)
    assert [a.page(1), a.page(1), b.page(1)] == ["a 1", "a 1", "b 1"]
    assert calls == [("a", 1), ("b", 1)]
    assert a.page.key(1) == "page:a:1"
    a.page.invalidate(1)
    assert a.page.lookup(1).state == "absent"
    assert b.page.lookup(1).state != "absent"
    assert a.page.many([1, 2]) == ["a 1", "a 2"]
    assert Pages.page(a, 2) == "a 2"
    assert a.shared(1) == b.shared(1) == 1
    cache.close()


def test_unhashable_arguments_are_cached_too() -> None:
    with Cache() as cache:
        calls: list[Any] = []

        @cache.cached()
        def total(numbers: list[int], *rest: int, **named: int) -> int:
            calls.append(numbers)
            return sum(numbers) + sum(rest) + sum(named.values())

        assert total([1, 2], 3, four=4) == 10
        assert total([1, 2], 3, four=4) == 10
        assert total([1, 2], 3, four=5) == 11
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
def test_a_wrong_template_is_refused_when_decorating(template: str, said: str) -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match=said):

            @cache.cached(template)
            def user(user_id: int) -> int:
                return user_id


def test_a_parameter_left_out_of_the_key_is_refused_unless_ignored() -> None:
    with Cache() as cache:

        def user(user_id: int, trace: str) -> int:
            return user_id

        with pytest.raises(ConfigurationError, match="trace"):
            cache.cached("user:{user_id}")(user)
        wrapped = cache.cached("user:{user_id}", ignore=("trace",))(user)
        assert wrapped(1, "x") == 1
        assert wrapped.key(1, "x") == wrapped.key(1, "y")


def test_a_method_without_a_template_must_say_what_of_its_object_matters() -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="self"):

            class Pages:
                @cache.cached()
                def page(self, number: int) -> int:
                    return number


def test_a_wrong_option_is_refused_when_decorating() -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match="ttl"):
            cache.cached("x", ttl=0)
        with pytest.raises(ConfigurationError, match="read"):
            cache.cached("x", read="never")  # type: ignore[arg-type]
