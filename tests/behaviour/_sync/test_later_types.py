"""Functions whose return types are defined after them, or for type checkers only."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from freshwell import Cache, CodecError


def new_cache(*args: Any, **options: Any) -> Any:
    return Cache(*args, **options)


def test_a_method_may_return_objects_of_the_class_that_it_stands_in(redis_url: str) -> None:
    here = new_cache(redis_url, namespace="using-later")
    keep: Callable[..., Callable[[Any], Any]] = here.cached

    class Users:
        @keep("user:{n}")
        @classmethod
        def load(cls, n: int) -> Later:
            return Later(n)

    assert Users.load(1) == Later(1)
    with new_cache(redis_url, namespace="using-later") as there:
        assert there.get("user:1", type=Later) == Later(1)
    assert Users.load.lookup(1).value == Later(1)
    assert here.get("user:1", read="fresh", type=Later) == Later(1)
    here.close()


def test_an_annotation_that_is_for_type_checkers_only_leaves_plain_values(
    redis_url: str,
) -> None:
    with new_cache(redis_url, namespace="using-missing") as here:
        keep: Callable[..., Callable[[Any], Any]] = here.cached

        @keep("value:{n}")
        def value(n: int) -> Missing:  # type: ignore[name-defined]  # noqa: F821
            return Later(n) if n else {"plain": True}

        assert value(0) == {"plain": True}
        with pytest.raises(CodecError, match="value' cannot be resolved: import what it names"):
            value(1)


@dataclass
class Later:
    n: int
