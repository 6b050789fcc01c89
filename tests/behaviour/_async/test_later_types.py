"""Functions whose return types are defined after them, or for type checkers only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from freshwell import AsyncCache, CodecError


def new_cache(*args: Any, **options: Any) -> Any:
    return AsyncCache(*args, **options)


async def test_a_method_may_return_objects_of_the_class_that_it_stands_in(redis_url: str) -> None:
    here = new_cache(redis_url, namespace="using-later")
    keep: Callable[..., Callable[[Any], Any]] = here.cached

    class Users:
        @keep("user:{n}")
        @classmethod
        async def load(cls, n: int) -> Later:
            return Later(n)

    assert await Users.load(1) == Later(1)
    async with new_cache(redis_url, namespace="using-later") as there:
        assert await there.get("user:1", type=Later) == Later(1)
    assert (await Users.load.lookup(1)).value == Later(1)
    assert await here.get("user:1", read="fresh", type=Later) == Later(1)
    await here.aclose()


async def test_an_annotation_that_is_for_type_checkers_only_leaves_plain_values(
    redis_url: str,
) -> None:
    async with new_cache(redis_url, namespace="using-missing") as here:
        keep: Callable[..., Callable[[Any], Any]] = here.cached

        @keep("value:{n}")
        async def value(n: int) -> Missing:  # type: ignore[name-defined]  # noqa: F821
            return Later(n) if n else {"plain": True}

        assert await value(0) == {"plain": True}
        with pytest.raises(CodecError, match="value' cannot be resolved: import what it names"):
            await value(1)


@dataclass
class Later:
    n: int
