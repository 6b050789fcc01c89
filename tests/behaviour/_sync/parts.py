"""Loaders and waits of the tests here."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial

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


def listening(cache: Cache) -> None:
    """Wait until the cache's L1 may answer."""
    cache.get("nothing")
    until(partial(is_live, cache), "L1 is live")


def is_live(cache: Cache) -> bool:
    return cache.stats().l1_live


def until_so(question: Callable[[], bool]) -> None:
    """Wait until the answer is yes."""
    for _ in range(1_000):
        if question():
            return
        sleep(0.01)
    raise AssertionError("it never came true")
