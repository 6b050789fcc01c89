"""The asyncio half of the kit: flights, signals, gates and owners of background work.

Objects of this module belong to the event loop in which they are first used.
``threads`` is the other half: same names, same signatures, same semantics.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from types import CoroutineType
from typing import Any, Generic, TypeVar

from freshwell._kit.callables import check_function, check_runs, shown_name
from freshwell._kit.flight import Crowded, Flight, Late, Roster, current_flight, in_flight
from freshwell.errors import ConfigurationError, LoadCancelled

__all__ = [
    "ASYNCHRONOUS",
    "Crowded",
    "Flights",
    "Gate",
    "Late",
    "Owner",
    "Signal",
    "check_kind",
    "check_writer",
    "each",
    "home",
    "home_is_gone",
    "in_flight",
    "resolve",
    "sleep",
]

R = TypeVar("R")
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

    async def enter(self, timeout_s: float) -> bool:
        """Wait for a slot, at most `timeout_s` seconds. False when none came free."""
        if not self._slots.locked():
            return await self._slots.acquire()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._slots.acquire()
        except TimeoutError:
            return False

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
        await _end(self._tasks, drain_s)


class _Carried(Flight[R]):
    """A flight carried by a task of its own, so that no caller's cancellation ends it."""

    __slots__ = ("landed", "task", "timer")

    def __init__(self, keys: Sequence[str], until_s: float | None = None) -> None:
        super().__init__(keys, until_s)
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.landed: list[asyncio.Future[None]] = []


class Flights(Generic[R]):
    """Share work between callers that ask for the same key at the same time.

    - The caller that starts a flight leads: its work runs as a task in a copy of its context.
    - A cancelled caller leaves; the work goes on while anyone still waits, and is cancelled
      with the last.
    - The work's exception reaches every rider, as the same object, unwrapped.

    `limit` is for the other kit.
    """

    def __init__(self, limit: int = 0) -> None:
        self._roster: Roster[R] = Roster()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._roster)

    def __contains__(self, key: object) -> bool:
        return key in self._roster

    def keys(self) -> list[str]:
        """Return what is under way."""
        return self._roster.keys()

    def forget(self, keys: Sequence[str]) -> None:
        """Let later callers of `keys` start anew. Flights under way serve their riders."""
        self._roster.forget(keys)

    async def run(
        self,
        keys: Sequence[str],
        work: Callable[[tuple[str, ...]], Awaitable[Mapping[str, R]]],
        *,
        limit_s: float | None = None,
        patience_s: float | None = None,
    ) -> dict[str, R]:
        """Return a result for each of `keys`: lead where none is under way, ride where one is.

        `work` gets the keys that this call leads, and returns a result for each of them. After
        `limit_s` seconds it is over for all its riders, and is cancelled.

        Raises what the work raised, `NestedLoadError` when waiting would never end, and
        `LoadCancelled` when the work was cancelled from inside. Raises `Late` when a flight is
        over, or this call has waited for `limit_s`; or for `patience_s`, and then what it waited
        for goes on, as if it still did.
        """
        began_s = time.monotonic()
        until_s = None if limit_s is None else began_s + limit_s
        led, joined = self._roster.board(keys, partial(_Carried, until_s=until_s))
        results: dict[str, R] = {}
        waiting = joined if led is None else [led, *joined]
        if led is not None:
            self._carry(led, work, limit_s)
        goes_on = patience_s is not None
        wait_until_s = until_s if patience_s is None else began_s + patience_s
        try:
            while waiting:
                if not await self._landed(waiting[0], wait_until_s):
                    raise Late(goes_on=goes_on)
                results.update(waiting[0].outcome())
                self._roster.unhitch(waiting.pop(0))
        except Late as late:
            if late.goes_on:
                while waiting:
                    self._roster.unhitch(waiting.pop())
            raise
        finally:
            for flight in waiting:
                self._give_up(flight)
        return {key: results[key] for key in keys}

    async def aclose(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for loads under way, then cancel them."""
        await _end(self._tasks, drain_s)

    def _carry(
        self,
        flight: Flight[R],
        work: Callable[[tuple[str, ...]], Awaitable[Mapping[str, R]]],
        limit_s: float | None,
    ) -> None:
        task = _begun(self._fly(flight, work))
        assert isinstance(flight, _Carried)
        if not task.done():
            flight.task = task
            if limit_s is not None:
                loop = asyncio.get_running_loop()
                flight.timer = loop.call_later(limit_s, self._overdue, flight)
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, flight))

    def _ended(self, flight: Flight[R], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not flight.done:  # cancelled before its first step
            flight.fail(_cancelled_inside(asyncio.CancelledError()))
            self._land(flight)

    async def _fly(
        self,
        flight: Flight[R],
        work: Callable[[tuple[str, ...]], Awaitable[Mapping[str, R]]],
    ) -> None:
        current_flight.set(flight)  # type: ignore[arg-type]
        try:
            flight.succeed(await work(flight.keys))
        except asyncio.CancelledError as error:
            flight.fail(_cancelled_inside(error))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the riders'
            flight.fail(error)
        except BaseException as error:
            flight.fail(_cancelled_inside(error))
            raise
        finally:
            self._land(flight)

    def _land(self, flight: Flight[R]) -> None:
        assert isinstance(flight, _Carried)
        self._roster.land(flight)
        for future in flight.landed:
            if not future.done():
                future.set_result(None)
        if flight.timer is not None:
            flight.timer.cancel()
        # The task's context holds the flight: without this they would wait for the collector.
        flight.landed, flight.task, flight.timer = [], None, None

    def _overdue(self, flight: _Carried[R]) -> None:
        """End a flight for its riders, and its work."""
        task = flight.task
        if self._roster.overdue(flight):
            self._land(flight)
            if task is not None:
                task.cancel()

    async def _landed(self, flight: Flight[R], until_s: float | None) -> bool:
        """Wait until a flight has landed. False: it had not by then."""
        assert isinstance(flight, _Carried)
        if flight.done:
            return True
        future = asyncio.get_running_loop().create_future()
        flight.landed.append(future)
        if until_s is None:
            await future
        else:
            await asyncio.wait((future,), timeout=max(0.0, until_s - time.monotonic()))
        return future.done()

    def _give_up(self, flight: Flight[R]) -> None:
        assert isinstance(flight, _Carried)
        self._roster.unhitch(flight)
        if self._roster.leave(flight) and flight.task is not None:
            flight.task.cancel()


def _begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task; where Python can, at once and not in the loop's next round."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, eager_start=True)
    return loop.create_task(work)


async def _end(tasks: Iterable[asyncio.Task[None]], drain_s: float) -> None:
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


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _cancelled_inside(error: BaseException) -> LoadCancelled:
    cancelled = LoadCancelled("the load was cancelled from inside while callers waited for it")
    cancelled.__cause__ = error
    return cancelled
