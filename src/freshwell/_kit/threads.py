"""The thread half of the kit: signals, gates and owners of background work.

``aio`` is the other half: same names, same signatures, same semantics. Where a task can be
cancelled a thread cannot: waits here end by their time limits and by `Owner.close`.
"""

from __future__ import annotations

import contextvars
import inspect
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
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

_PLAIN = frozenset({dict, list, tuple, set, str, bytes, int, float, bool, type(None)})
"""What most loaders return, and nobody can await: to ask `inspect` costs a microsecond."""

ASYNCHRONOUS = False
"""Whether this kit's callers await."""

sleep = time.sleep


home: Callable[[], object] = os.getpid
"""Returns what the cache's connections and background work are bound to: this process.

Itself, and not a function around it: every read asks.
"""


def home_is_gone(place: object) -> bool:
    """Tell whether nothing bound to `place` can still be running: true in a forked child."""
    return place != os.getpid()


def resolve(value: T) -> T:
    """Return `value`. An awaitable is refused: nothing here could await it."""
    if value.__class__ not in _PLAIN and inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise ConfigurationError(
            "the loader returned an awaitable to a synchronous Cache: use AsyncCache, "
            "or give a plain function"
        )
    return value


def check_kind(function: object) -> None:
    """Refuse functions that this colour cannot cache. Raises `ConfigurationError`."""
    check_function(function)
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"{shown_name(function)} is an async function: a Cache caches plain functions, "
            "an AsyncCache async ones"
        )


def check_writer(method: object, name: str) -> None:
    """Refuse methods of a source that this colour cannot call. Raises `ConfigurationError`."""
    check_runs(method, name)
    if inspect.iscoroutinefunction(method):
        raise ConfigurationError(
            f"{name} is an async function, which a Cache cannot await: use AsyncCache, or make it "
            "a plain function"
        )


def each(calls: Sequence[Callable[[], T]], limit: int) -> list[T]:
    """Return the results of the calls, in order, one at a time in the caller's thread.

    The first that raises ends the rest. `limit` is for the other kit.
    """
    return [call() for call in calls]


class Signal:
    """Wake whoever waits; a notice given while nobody waits is kept for the next wait."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def notify(self) -> None:
        self._event.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a notice, at most `timeout_s` seconds (None: for ever). True when one came."""
        if not self._event.wait(timeout_s):
            return False
        self._event.clear()
        return True


class Gate:
    """Let at most `slots` callers in at a time, first come first served."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._free = slots
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def enter(self, timeout_s: float, turn: Turn | None = None) -> bool:
        """Wait for a slot, at most `timeout_s` seconds. False when none came free.

        The wait ends, too, when the caller's `turn` is lent a slot.
        """
        with self._mutex:
            if self._free:
                self._free -= 1
                return True
            given = threading.Lock()
            given.acquire()
            self._waiting.append(given)
        try:
            if turn is not None:
                turn.waits(partial(_wake, given))
            given.acquire(timeout=timeout_s)
        except BaseException:
            if not self._withdraws(given):
                self.leave()
            raise
        finally:
            if turn is not None:
                turn.waits(None)
        return not self._withdraws(given)

    def leave(self) -> None:
        """Give the slot back. Never waits."""
        with self._mutex:
            if self._waiting:
                _wake(self._waiting.popleft())  # whoever waits has it now
            else:
                self._free += 1

    def _withdraws(self, given: threading.Lock) -> bool:
        """Wait no more. False: a slot was given meanwhile."""
        with self._mutex:
            if given in self._waiting:
                self._waiting.remove(given)
                return True
            return False


def _wake(given: threading.Lock) -> None:
    """Let a thread see whether it has a slot. It may have been woken for that already."""
    with suppress(RuntimeError):
        given.release()


class Owner:
    """Own background work: bounded in number, named, and ended with the cache.

    Every piece runs in a thread of its own, in a copy of the context that spawned it, outside
    of any flight. A thread cannot be cancelled: long-lived work must watch `closing`.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._mutex = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self.closing = False

    def __len__(self) -> int:
        return len(self._threads)

    def spawn(self, name: str, work: Callable[[], None]) -> bool:
        """Start `work` in the background. False, and nothing started, at the limit or at close.

        `work` handles its own errors: what it raises is lost but for `threading.excepthook`.
        """
        context = contextvars.copy_context()
        context.run(current_flight.set, None)
        thread = threading.Thread(
            target=self._run, args=(context, work), name=f"{self._name}:{name}", daemon=True
        )
        with self._mutex:
            if self.closing or len(self._threads) >= self._limit:
                return False
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going down, or the system has no more threads
            with self._mutex:
                self._threads.discard(thread)
            return False
        return True

    def close(self, drain_s: float) -> None:
        """Refuse new work and wait up to `drain_s` seconds for what runs."""
        deadline = time.monotonic() + drain_s
        with self._mutex:
            self.closing = True
            threads = [t for t in self._threads if t is not threading.current_thread()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, context: contextvars.Context, work: Callable[[], None]) -> None:
        try:
            context.run(work)
        finally:
            with self._mutex:
                self._threads.discard(threading.current_thread())
