"""Loaders and waits of the tests here."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial
from typing import Any

from freshwell import Cache
from freshwell._kit.threads import sleep
from tests.support.threads import Latch, until

Make = Callable[..., Cache]


class Loader:
    """Counts its calls and returns their number."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


class Held(Loader):
    """A loader that waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let_go = Latch(), Latch()

    def __call__(self) -> int:
        number = super().__call__()
        self.begun.open()
        self.let_go.passed()
        return number


def of(url: str, **options: Any) -> Cache:
    """Return a cache with limits for a busy machine."""
    return Cache(url, **{"command_timeout": 2, "connect_timeout": 2} | options)


def listening(*caches: Cache) -> None:
    """Wait until the caches' L1 may answer."""
    for cache in caches:
        cache.get("nothing")
        until(partial(is_live, cache), "L1 is live")


def is_live(cache: Cache) -> bool:
    return cache.stats().l1_live


def rests(cache: Cache, key: str) -> None:
    """Wait until L1 has an entry."""

    def is_in_l1() -> bool:
        cache.get(key)
        return cache.lookup(key).tier == "l1"

    until_so(is_in_l1)


def leaves(cache: Cache, key: str, **options: Any) -> None:
    """Wait until an entry is absent."""

    def is_absent() -> bool:
        return cache.get(key, **options) is None

    until_so(is_absent)


def until_so(question: Callable[[], bool]) -> None:
    """Wait until the answer is yes."""
    for _ in range(1_000):
        if question():
            return
        sleep(0.01)
    raise AssertionError("it never came true")
