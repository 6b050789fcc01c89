"""How a process waits for another's load: told by the feed, and never asleep over the news."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from typing import Any

import pytest

from freshwell import Cache
from freshwell._sync.coordination import loads
from freshwell._sync.coordination.loads import Loads
from freshwell._kit.threads import sleep
from tests.support.threads import Latch, start, until


def ready(cache: Cache) -> None:
    """Wait until the cache is told of changes."""
    cache.get("nothing")
    until(lambda: cache.stats().l1_live, "L1 is live")


@pytest.fixture(autouse=True)
def far_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be saved by asking again after a while."""
    monkeypatch.setattr(loads, "_TOLD_PAUSES_S", (60.0, 60.0))


def test_a_waiter_is_woken_when_the_value_is_there(redis_url: str) -> None:
    latch = Latch()

    def load() -> str:
        latch.passed()
        return "value"

    with Cache(redis_url, lease=60) as one, Cache(redis_url, lease=60) as other:
        ready(other)
        holder = start(lambda: one.get_or_load("a", load))
        until(lambda: one.stats().loads == 1, "the load is under way")
        waiter = start(lambda: other.get_or_load("a", load))
        until(lambda: other.stats().lease_waits > 0, "the other waits")
        latch.open()
        assert holder.result() == "value"
        assert waiter.result() == "value"
        assert other.stats().loads == 0


def test_a_waiter_is_woken_when_the_load_failed_and_loads_itself(redis_url: str) -> None:
    latch = Latch()

    def fail() -> str:
        latch.passed()
        raise LookupError("gone")

    def load() -> str:
        return "value"

    with Cache(redis_url, lease=60) as one, Cache(redis_url, lease=60) as other:
        ready(other)
        holder = start(lambda: one.get_or_load("a", fail))
        until(lambda: one.stats().loads == 1, "the load is under way")
        waiter = start(lambda: other.get_or_load("a", load))
        until(lambda: other.stats().lease_waits > 0, "the other waits")
        latch.open()
        with pytest.raises(LookupError):
            holder.result()
        assert waiter.result() == "value"


def test_news_that_comes_before_the_wait_begins_is_not_slept_over(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    latch, acquire = Latch(), Loads._acquire
    held: list[bool] = []

    def load() -> str:
        latch.passed()
        return "value"

    def slow_acquire(self: Loads, *args: Any) -> Any:
        """Return the answer "held" only after the value was stored, and that was told."""
        answer = acquire(self, *args)
        if self is other._core.engine().aside.loads and not answer[0] and not held:
            held.append(True)
            told = other.stats().notices
            latch.open()
            until(lambda: one.stats().fills == 1, "the value is stored")
            until(lambda: other.stats().notices > told, "it was told")
            sleep(0.05)
        return answer

    with Cache(redis_url, lease=60) as one, Cache(redis_url, lease=60) as other:
        ready(other)
        monkeypatch.setattr(Loads, "_acquire", slow_acquire)
        holder = start(lambda: one.get_or_load("a", load))
        until(lambda: one.stats().loads == 1, "the load is under way")
        waiter = start(lambda: other.get_or_load("a", load))
        assert waiter.result() == "value"
        assert held
        assert holder.result() == "value"
