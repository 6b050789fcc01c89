"""The asyncio half of the kit: signals, gates and owners of background work.

Objects of this module belong to the event loop in which they are first used.
``threads`` is the other half: same names, same signatures, same semantics.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from types import CoroutineType
from typing import TypeVar

from freshwell._kit.callables import check_function, check_runs, shown_name
from freshwell._kit.flight import current_flight
from freshwell._kit.turns import Turn
from freshwell.errors import ConfigurationError

__all__ = [
    "ASYNCHRONOUS",
    "Gate",
    "Owner",
    "Signal",
    "check_kind",
    "check_writer",
    "each",
    "home",
    "home_is_gone",
    "resolve",
    "sleep",
]

T = TypeVar("T")

ASYNCHRONOUS = True
"""Whether this kit's callers await."""

GRACE_S = 1.0
"""How long cancelled work is waited for: one that ignores its cancellation is left behind."""

sleep = asyncio.sleep


home: Callable[[], object] = asyncio.get_running_loop
"""Returns what the cache's connections and background work are bound to: the running loop.

Itself, and not a function around it: every read asks.
"""


def home_is_gone(place: object) -> bool:
    """Tell whether nothing bound to `place` can still be running."""
    return isinstance(place, asyncio.AbstractEventLoop) and place.is_closed()


async def resolve(value: T | Awaitable[T]) -> T:
    """Return `value`, awaited first when it is awaitable: loaders may be of either kind."""
    if isinstance(value, CoroutineType) or inspect.isawaitable(value):
        return await value
    return value


def check_kind(function: object) -> None:
    """Refuse functions that this colour cannot cache. Raises `ConfigurationError`."""
    check_function(function)
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"{shown_name(function)} is no async function: an AsyncCache caches async "
            "functions, a Cache plain ones"
        )


def check_writer(method: object, name: str) -> None:
    """Refuse methods of a source that this colour cannot call. Raises `ConfigurationError`.

    Plain ones are called as loaders are: they would block the event loop, if they wait.
    """
    check_runs(method, name)


async def each(calls: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    """Return the results of the calls, in order, at most `limit` of them at a time.

    The first that raises ends the rest.
    """
    gate = asyncio.Semaphore(limit)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await call()

    tasks = [asyncio.create_task(one(call)) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Signal:
    """Wake whoever waits; a notice given while nobody waits is kept for the next wait.

    Belongs to one event loop; `notify` must be called in it. At most one waiter at a time.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        self._event.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a notice, at most `timeout_s` seconds (None: for ever). True when one came."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Gate:
    """Let at most `slots` callers in at a time, first come first served."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._slots = asyncio.Semaphore(slots)

    async def enter(self, timeout_s: float, turn: Turn | None = None) -> bool:
        """Wait for a slot, at most `timeout_s` seconds. False when none came free.

        The wait ends, too, when the caller's `turn` is lent a slot.
        """
        if not self._slots.locked():
            return await self._slots.acquire()
        try:
            async with asyncio.timeout(timeout_s) as wait:
                if turn is not None:
                    turn.waits(partial(_end, wait))
                return await self._slots.acquire()
        except TimeoutError:
            return False
        finally:
            if turn is not None:
                turn.waits(None)

    def leave(self) -> None:
        """Give the slot back. Never waits."""
        self._slots.release()


class Owner:
    """Own background work: bounded in number, named, and ended with the cache.

    Every piece runs in a copy of the context that spawned it, outside of any flight.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Start `work` in the background. False, and nothing started, at the limit or at close.

        `work` handles its own errors: what it raises is lost but for the loop's error handler.
        """
        if self.closing or len(self._tasks) >= self._limit:
            return False
        context = contextvars.copy_context()
        context.run(current_flight.set, None)
        task = asyncio.get_running_loop().create_task(
            _as_coroutine(work), name=f"{self._name}:{name}", context=context
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def aclose(self, drain_s: float) -> None:
        """Refuse new work, wait up to `drain_s` seconds for what runs, and end the rest."""
        self.closing = True
        await end_tasks(self._tasks, drain_s)


async def end_tasks(tasks: Iterable[asyncio.Task[None]], drain_s: float) -> None:
    """Wait up to `drain_s` seconds for tasks, then cancel them. Done too when cancelled itself."""
    left = [task for task in tasks if task is not asyncio.current_task()]
    if not left:
        return
    try:
        await asyncio.wait(left, timeout=drain_s)
    finally:
        for task in left:
            task.cancel()
    late = [task for task in left if not task.done()]
    if late:
        await asyncio.wait(late, timeout=GRACE_S)


def _end(wait: asyncio.Timeout) -> None:
    """Let a time limit be over now."""
    if not wait.expired():
        wait.reschedule(0)


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()
