"""What may be sent to other processes by pickle, and what says why not."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from freshwell import Cache

cache: Any = Cache()
cached: Callable[..., Callable[[Any], Any]] = cache.cached


@cached("double:{n}")
def double(n: int) -> int:
    return 2 * n


class Scale:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @cached("scaled:{self.factor}:{n}")
    def scaled(self, n: int) -> int:
        return self.factor * n

    @cached("named:{cls.__name__}:{n}")
    @classmethod
    def named(cls, n: int) -> str:
        return cls.__name__ * n


def sent(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def test_cached_functions_and_methods_are_pickled_as_others_are() -> None:
    assert sent(double) is double
    assert sent(Scale(3).scaled)(2) == 6
    assert sent(Scale.named)(2) == sent(Scale(3).named)(2) == "ScaleScale"
    assert sent(Scale.scaled) is Scale.scaled
    assert sent(Scale.scaled)(Scale(4), 2) == 8


@pytest.mark.parametrize("of", [pickle.dumps, deepcopy])
def test_a_cache_says_why_it_is_not(of: Any) -> None:
    users = cache.read_through({1: "Ada"}.get, key="user:{}")
    for thing in (cache, cache.namespace("a"), users, {"held": [cache]}):
        with pytest.raises(TypeError, match=r"'default' in process> .*build it in each process"):
            of(thing)


def test_stats_are_values() -> None:
    double(1)
    assert sent(cache.stats()) == cache.stats()
