"""The guard of `make check` finds a factor that was lost, and nothing where none was."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

import pytest

from benchmarks import guard
from benchmarks.guard import Figure


def slow(function: Any) -> Any:
    """A control: what a lost factor looks like, a detour in Python on each call."""
    if not inspect.iscoroutinefunction(function):

        def slower(n: int) -> Any:
            for _ in range(4):
                function(n)
            return function(n)

        return slower

    @wraps(function)
    async def a_slower(n: int) -> Any:
        for _ in range(4):
            await function(n)
        return await function(n)

    return a_slower


def lost(figures: Iterable[Figure]) -> list[str]:
    return [figure.name for figure in figures if figure.lost]


@pytest.mark.parametrize("measure", [guard.calls, guard.entry_bytes], ids=["calls", "bytes"])
def test_what_is_counted_in_process_is_within_its_bounds(
    measure: Callable[[], list[Figure]],
) -> None:
    # In a thread: here a loop may be running.
    assert lost(asyncio.run(asyncio.to_thread(measure))) == []


def test_more_function_calls_on_a_hit_are_found() -> None:
    assert lost(guard.calls(slow)) == ["function calls of an L1 hit, async"]


def test_slower_hits_are_found_and_the_usual_ones_are_not() -> None:
    figures = guard.times(slow, slices=5)
    hits = {figure.name for figure in figures if "hit" in figure.name}
    assert hits <= set(lost(figures))
    usual = partial(guard.times, slices=5)
    assert guard.failures(usual(), usual) == []


def test_more_commands_are_found_and_the_usual_ones_are_not(redis_url: str) -> None:
    assert lost(guard.commands(redis_url)) == []
    expected = ["an L2 hit", "an L2 hit with three tags", "a miss", "a stampede of 100"]
    assert {f"commands of {name}" for name in expected} <= set(
        lost(guard.commands(redis_url, slow))
    )


def test_more_function_calls_in_a_crowd_are_found_and_the_usual_ones_are_not(
    redis_url: str,
) -> None:
    assert lost(guard.crowds(redis_url)) == []
    figures = guard.crowds(redis_url, slow)
    assert len(lost(figures)) == len(figures)


def test_what_is_slow_once_is_no_failure_and_what_is_slow_twice_is_one() -> None:
    slow_one, usual = Figure("hit", 30, 10), Figure("hit", 5, 10)
    assert guard.failures([slow_one], lambda: [usual]) == []
    assert guard.failures([slow_one], lambda: [slow_one]) == [slow_one]
    assert guard.failures([usual], lambda: [slow_one]) == []


def test_the_command_says_what_was_lost_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Figure("function calls of an L1 hit, async", 2, 1)]
    monkeypatch.setattr(guard, "_measured", lambda: found)
    assert guard.main() == 1
    assert capsys.readouterr().err == "function calls of an L1 hit, async: 2, at most 1\n"
    found.clear()
    assert guard.main() == 0
