"""What type checkers see when the colours are mixed up. Checked by mypy, and never run.

Each ``type: ignore`` names an error that has to be there: one that is not needed is an error.
"""

from __future__ import annotations

from typing import assert_type

from freshwell import AsyncCache, AsyncCachedFunction, Cache, CachedFunction

asynchronous = AsyncCache()
synchronous = Cache()


async def answer(n: int = 1) -> int:
    return n


def plain_answer(n: int = 1) -> int:
    return n


def decorators() -> None:
    good: AsyncCachedFunction[[int], int] = asynchronous.cached()(answer)
    fine: CachedFunction[[int], int] = synchronous.cached()(plain_answer)
    asynchronous.cached()(plain_answer)  # type: ignore[arg-type]
    bad: AsyncCachedFunction[[int], int] = fine  # type: ignore[assignment]
    del good, fine, bad


async def loaders() -> None:
    assert_type(await asynchronous.get_or_load("answer", answer), int)
    assert_type(synchronous.get_or_load("answer", plain_answer), int)
    assert_type(synchronous.get_or_load("answer", lambda: 6 * 7), int)
    wrong: str = await asynchronous.get_or_load("answer", answer)  # type: ignore[arg-type]
    worse: str = synchronous.get_or_load("answer", plain_answer)  # type: ignore[assignment]
    del wrong, worse
    await asynchronous.get_or_load("answer", plain_answer)  # type: ignore[arg-type]
    await synchronous.get_or_load("answer", plain_answer)  # type: ignore[misc]


async def readers() -> None:
    assert_type(await asynchronous.read_through(answer, key="answer:{}").get(1), int | None)
    assert_type(synchronous.read_through(plain_answer, key="answer:{}").get(1), int | None)
    asynchronous.read_through(plain_answer, key="answer:{}")  # type: ignore[arg-type]
