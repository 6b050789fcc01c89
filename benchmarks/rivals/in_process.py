"""Hits in the process: decorated functions of one argument, with keywords, with tags."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import Any

import aiocache
import cachebox
import cachetools
import cashews
import diskcache
import dogpile.cache
import theine
from async_lru import alru_cache

from benchmarks.measure import Group, Row, Timed, interleave
from freshwell import AsyncCache, Cache

__all__ = ["run"]

_CALLS_NS = 3_000_000
"""About how long a contender runs in each round."""
_TTL_S = 600
_ENTRIES = 1_000
_ONE = "(7)"
_CALLS = {"one argument": _ONE, "keywords": "(7, lang='en', page=2)"}

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def run(rounds: int) -> list[Group]:
    """Measure hits in the process, both colours."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        groups = [
            Group(f"{colour} hit in process, {name}", rows)
            for name, call in _CALLS.items()
            for colour, rows in (
                ("Sync", _sync_rows(stack, call)),
                ("Async", _async_rows(stack, runner, call)),
            )
        ]
        groups.append(Group("Async hit in process, three tags", _tagged_rows(stack, runner)))
        interleave(groups, rounds=rounds)
    return groups


def _sync_rows(stack: ExitStack, call: str) -> list[Row]:
    return [
        Row(name, _timed(decorate(_work(call)), call))
        for name, decorate in _sync_rivals(stack).items()
    ]


def _work(call: str) -> Callable[..., int]:
    def work(n: int, lang: str = "", page: int = 0) -> int:
        return n * 2

    def one(n: int) -> int:
        return n * 2

    return one if call == _ONE else work


def _async_work(call: str) -> Callable[..., Any]:
    async def work(n: int, lang: str = "", page: int = 0) -> int:
        return n * 2

    async def one(n: int) -> int:
        return n * 2

    return one if call == _ONE else work


def _sync_rivals(stack: ExitStack) -> dict[str, _Decorator]:
    own = stack.enter_context(Cache(namespace="rivals"))
    folder = stack.enter_context(TemporaryDirectory())
    disk = stack.enter_context(diskcache.Cache(folder))
    region = dogpile.cache.make_region().configure("dogpile.cache.memory", expiration_time=_TTL_S)
    return {
        "functools.lru_cache (no TTL)": lru_cache(maxsize=_ENTRIES),
        "freshwell": own.cached(ttl=_TTL_S),
        "cachebox": cachebox.cached(cachebox.TTLCache(_ENTRIES, _TTL_S)),
        "cachetools": cachetools.cached(cachetools.TTLCache(_ENTRIES, _TTL_S)),
        "theine": theine.Memoize(_ENTRIES, timedelta(seconds=_TTL_S)),
        "dogpile.cache": region.cache_on_arguments(function_key_generator=_dogpile_key),
        "diskcache": disk.memoize(expire=_TTL_S),
    }


def _dogpile_key(namespace: str, function: Callable[..., Any], **_: Any) -> Callable[..., str]:
    """Make keys of keyword arguments too, which its own way refuses."""

    def key(*args: Any, **kwargs: Any) -> str:
        return f"{function.__qualname__}|{args}|{sorted(kwargs.items())}"

    return key


def _async_rows(stack: ExitStack, runner: asyncio.Runner, call: str) -> list[Row]:
    rivals = _async_rivals(stack, runner, "work:{n}" if call == _ONE else "work:{n}:{lang}:{page}")
    rows = [
        Row("functools.lru_cache (sync)", _timed(lru_cache(maxsize=_ENTRIES)(_work(call)), call))
    ]
    rows += [
        Row(name, _timed_async(runner, decorate(_async_work(call)), call))
        for name, decorate in rivals.items()
    ]
    return rows


def _async_rivals(stack: ExitStack, runner: asyncio.Runner, key: str) -> dict[str, _Decorator]:
    own = AsyncCache(namespace="rivals")
    stack.callback(lambda: runner.run(own.aclose()))
    return {
        "an async function without a cache": lambda function: function,
        "freshwell": own.cached(ttl=_TTL_S),
        "cachebox": cachebox.cached(cachebox.TTLCache(_ENTRIES, _TTL_S)),
        "async-lru": alru_cache(maxsize=_ENTRIES, ttl=_TTL_S),
        "theine": theine.Memoize(_ENTRIES, timedelta(seconds=_TTL_S)),
        "aiocache": aiocache.cached(ttl=_TTL_S),
        "cashews": _cashews().cache(ttl=_TTL_S, key=key),
    }


def _cashews() -> cashews.Cache:
    cache = cashews.Cache()
    cache.setup("mem://", size=_ENTRIES)
    return cache


def _tagged_rows(stack: ExitStack, runner: asyncio.Runner) -> list[Row]:
    own = AsyncCache(namespace="rivals-tags")
    stack.callback(lambda: runner.run(own.aclose()))
    other = _cashews()
    tags = ["numbers", "number:{n}", "all"]
    key, call = "work:{n}", _ONE
    return [
        Row("functools.lru_cache (sync)", _timed(lru_cache(maxsize=_ENTRIES)(_work(call)), call)),
        Row(
            "freshwell",
            _timed_async(runner, own.cached(ttl=_TTL_S, tags=tags)(_async_work(call)), call),
        ),
        Row(
            "cashews",
            _timed_async(
                runner, other.cache(ttl=_TTL_S, key=key, tags=tags)(_async_work(call)), call
            ),
        ),
    ]


# -- measuring: the call is compiled as it stands in programs, with its arguments spelled out ------


def _timed(function: Callable[..., Any], call: str) -> Timed:
    loop = _compiled("def", "", call)
    function_ns = _warm(loop(function, 200))
    return lambda: loop(function, function_ns)


def _timed_async(runner: asyncio.Runner, function: Callable[..., Any], call: str) -> Timed:
    loop = _compiled("async def", "await ", call)
    times = _warm(runner.run(loop(function, 200)))
    return lambda: runner.run(loop(function, times))


def _warm(ns: float) -> int:
    """Return how many calls fill a round."""
    return max(100, min(100_000, int(_CALLS_NS * 5 / ns)))


def _compiled(head: str, wait: str, call: str) -> Callable[..., Any]:
    names: dict[str, Any] = {"now": time.perf_counter_ns}
    exec(
        f"{head} loop(f, times):\n"
        f"    {wait}f{call}\n"
        "    calls = range(times)\n"
        "    began = now()\n"
        "    for _ in calls:\n"
        f"        {wait}f{call}\n"
        "    return (now() - began) / times\n",
        names,
    )
    loop: Callable[..., Any] = names["loop"]
    return loop
