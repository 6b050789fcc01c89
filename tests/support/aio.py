"""Concurrency for tests that are written in async and twinned: the asyncio half.

``threads`` is the other half: same names, same signatures, same semantics. A test that needs
more than one caller at a time uses these and never ``asyncio`` itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

__all__ = ["Latch", "Running", "all_of", "start", "unless_late", "until"]

T = TypeVar("T")

_GIVE_UP_S = 20.0


class Latch:
    """A gate that is opened once; whoever passes waits for that."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._event.is_set()

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._event.set()

    async def passed(self) -> None:
        """Wait until it is open. Raises `TimeoutError` when that takes far too long."""
        async with asyncio.timeout(_GIVE_UP_S):
            await self._event.wait()


class Running(Generic[T]):
    """A call that goes on beside the test."""

    def __init__(self, task: asyncio.Task[T]) -> None:
        self._task = task

    @property
    def done(self) -> bool:
        return self._task.done()

    async def result(self) -> T:
        """Wait for what the call returns, or raise what it raises.

        Raises `TimeoutError` when that takes far too long.
        """
        async with asyncio.timeout(_GIVE_UP_S):
            return await asyncio.shield(self._task)


async def start(call: Callable[[], Awaitable[T]]) -> Running[T]:
    """Start a call beside the test, and return when it runs: it may not have got far."""

    async def carry() -> T:
        begun.set()
        return await call()

    begun = asyncio.Event()
    running = Running(asyncio.create_task(carry()))
    await begun.wait()
    return running


async def all_of(*calls: Callable[[], Awaitable[T]]) -> list[T]:
    """Run the calls at the same time and return their results in order."""
    running = [await start(call) for call in calls]
    return [await one.result() for one in running]


async def unless_late(call: Callable[[], Awaitable[T]], seconds: float) -> T | None:
    """Return what a call returns; where it takes longer, cancel it and return None."""
    try:
        async with asyncio.timeout(seconds):
            return await call()
    except TimeoutError:
        return None


async def until(holds: Callable[[], bool], what: str = "the condition") -> None:
    """Wait until something holds that nothing announces.

    Raises `AssertionError`, which names `what`, when that takes far too long.
    """
    try:
        async with asyncio.timeout(_GIVE_UP_S):
            while not holds():  # noqa: ASYNC110  # nothing announces it
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"waited in vain until {what}") from None
