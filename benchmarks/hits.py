"""In-process hits: a decorated function of one and of three arguments, both colours.

And what being watched costs them: the same hit without the counter, and with exporters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from typing import Any
from unittest.mock import patch

from benchmarks.measure import Group, Row, Timed, interleave, show
from freshwell import AsyncCache, Cache
from freshwell.engines import wrapper
from freshwell.opentelemetry import instrument
from freshwell.prometheus import FreshwellCollector

__all__ = ["run"]

_CALLS = 100_000
_ROUNDS = 15
_TEXT_OF = wrapper._wrapper_text


def run(url: str) -> None:
    """Measure L1 hits. `url` is a server for the caches of two tiers."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        groups = [*_groups(stack, runner, url), _watched(stack)]
        interleave(groups, rounds=_ROUNDS)
        show(groups)


def _groups(stack: ExitStack, runner: asyncio.Runner, url: str) -> tuple[Group, Group]:
    alone = stack.enter_context(Cache(namespace="bench-hits"))
    tiered = stack.enter_context(Cache(url, namespace="bench-hits"))
    a_alone, a_tiered = AsyncCache(namespace="bench-hits"), AsyncCache(url, namespace="bench-hits")
    stack.callback(lambda: runner.run(a_tiered.aclose()))
    stack.callback(lambda: runner.run(a_alone.aclose()))

    def double(n: int) -> int:
        return n * 2

    def triple(a: int, b: str, c: bool) -> int:
        return a * 3

    async def a_double(n: int) -> int:
        return n * 2

    async def a_triple(a: int, b: str, c: bool) -> int:
        return a * 3

    tags = ["numbers", "number:{n}", "all"]
    one = Group(
        "Hit in process, one argument",
        [
            Row("functools.lru_cache", _sync(lru_cache(maxsize=1000)(double), 7)),
            Row("Cache, in process", _sync(alone.cached("d:{n}")(double), 7), 4),
            Row("Cache, three tags", _sync(alone.cached("t:{n}", tags=tags)(double), 7), 4),
            Row("Cache, two tiers", _sync(tiered.cached("d:{n}")(double), 7), 4),
            Row("an async function returning a constant", _async(runner, a_double, 7)),
            Row("AsyncCache, in process", _async(runner, a_alone.cached("d:{n}")(a_double), 7), 6),
            Row(
                "AsyncCache, three tags",
                _async(runner, a_alone.cached("t:{n}", tags=tags)(a_double), 7),
                6,
            ),
            Row("AsyncCache, two tiers", _async(runner, a_tiered.cached("e:{n}")(a_double), 7), 6),
        ],
    )
    args = (7, "seven", True)
    key = "t:{a}:{b}:{c}"
    three = Group(
        "Hit in process, three arguments",
        [
            Row("functools.lru_cache", _sync(lru_cache(maxsize=1000)(triple), *args)),
            Row("Cache, in process", _sync(alone.cached(key)(triple), *args), 4),
            Row("AsyncCache, in process", _async(runner, a_alone.cached(key)(a_triple), *args), 6),
        ],
    )
    return one, three


def _watched(stack: ExitStack) -> Group:
    """Compare a hit that nothing counts with one that is counted and exported."""

    def double(n: int) -> int:
        return n * 2

    bare = stack.enter_context(Cache(namespace="bench-bare"))
    counted = stack.enter_context(Cache(namespace="bench-counted"))
    exported = stack.enter_context(Cache(namespace="bench-exported"))
    FreshwellCollector(exported)
    stack.enter_context(instrument(exported))
    stack.enter_context(exported.subscribe())
    with patch.object(wrapper, "_wrapper_text", _without_counter):
        uncounted = bare.cached("d:{n}")(double)
    return Group(
        "What being watched costs a hit",
        [
            Row("Cache", _sync(counted.cached("d:{n}")(double), 7)),
            Row(
                "Cache, exported and listened to", _sync(exported.cached("d:{n}")(double), 7), 1.05
            ),
            # What the one plain counter takes that every hit has.
            Row("Cache, if nothing were counted", _sync(uncounted, 7)),
        ],
    )


def _without_counter(*args: Any, **options: Any) -> str:
    lines = _TEXT_OF(*args, **options).splitlines(keepends=True)
    kept = [line for line in lines if "_fw_counters" not in line]
    assert len(kept) == len(lines) - 1
    return "".join(kept)


def _sync(function: Callable[..., Any], *args: Any) -> Timed:
    """Time calls as they are written in programs: the arguments spelled out."""
    function(*args)
    loop = _compiled(
        "def loop(f, calls, now):\n"
        "    began = now()\n"
        "    for _ in calls:\n"
        f"        f({_spelled(args)})\n"
        "    return now() - began\n"
    )
    return lambda: loop(function, range(_CALLS), time.perf_counter_ns) / _CALLS


def _async(runner: asyncio.Runner, function: Callable[..., Any], *args: Any) -> Timed:
    loop = _compiled(
        "async def loop(f, calls, now):\n"
        "    began = now()\n"
        "    for _ in calls:\n"
        f"        await f({_spelled(args)})\n"
        "    return now() - began\n"
    )

    async def run() -> float:
        await function(*args)
        # A feed proves itself within moments of its first use; until then there is no L1.
        await asyncio.sleep(0.01)
        await function(*args)
        taken: int = await loop(function, range(_CALLS), time.perf_counter_ns)
        return taken / _CALLS

    return lambda: runner.run(run())


def _spelled(args: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, args))


def _compiled(text: str) -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(text, names)
    loop: Callable[..., Any] = names["loop"]
    return loop
