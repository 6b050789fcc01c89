"""The thread half of the kit: flights, signals, gates and owners of background work.

``aio`` is the other half: same names, same signatures, same semantics. Where a task can be
cancelled a thread cannot: waits here end by their time limits and by `Owner.close`.
"""

from __future__ import annotations

import contextvars
import inspect
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

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

ASYNCHRONOUS = False
"""Whether this kit's callers await."""

sleep = time.sleep


def home() -> object:
    """Return what the cache's connections and background work are bound to: this process."""
    return os.getpid()


def home_is_gone(place: object) -> bool:
    """Tell whether nothing bound to `place` can still be running: true in a forked child."""
    return place != os.getpid()


def resolve(value: T) -> T:
    """Return `value`. An awaitable is refused: nothing here could await it."""
    if inspect.isawaitable(value):
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
    """Let at most `slots` callers in at a time."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._slots = threading.Semaphore(slots)

    def enter(self, timeout_s: float) -> bool:
        """Wait for a slot, at most `timeout_s` seconds. False when none came free."""
        return self._slots.acquire(timeout=timeout_s)

    def leave(self) -> None:
        """Give the slot back. Never waits."""
        self._slots.release()


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


class _Carried(Flight[R]):
    """A flight carried by its leader's own thread, or by one in the background."""

    __slots__ = ("landed",)

    def __init__(self, keys: Sequence[str], until_s: float | None = None) -> None:
        super().__init__(keys, until_s)
        self.landed = threading.Event()


class Flights(Generic[R]):
    """Share work between callers that ask for the same key at the same time.

    - The caller that starts a flight leads: its work runs in its own thread and context. Where
      it may not wait for ever, it runs in a thread in the background and a copy of its context.
    - The work's exception reaches every rider, as the same object, unwrapped.

    `limit` is how many run in the background at a time.
    """

    def __init__(self, limit: int = 0) -> None:
        self._roster: Roster[R] = Roster()
        self._owner = Owner("freshwell", limit)

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

    def run(
        self,
        keys: Sequence[str],
        work: Callable[[tuple[str, ...]], Mapping[str, R]],
        *,
        limit_s: float | None = None,
        patience_s: float | None = None,
    ) -> dict[str, R]:
        """Return a result for each of `keys`: lead where none is under way, ride where one is.

        `work` gets the keys that this call leads, and returns a result for each of them. After
        `limit_s` seconds it is over for all its riders; its thread goes on by itself.

        Raises what the work raised, `NestedLoadError` when waiting would never end, and
        `LoadCancelled` when the leader's thread was interrupted. Raises `Late` when a flight is
        over, or this call has waited for `limit_s`; or for `patience_s`, and then what it waited
        for goes on, as if it still did. Raises `Crowded` where no thread came free for that.
        """
        began_s = time.monotonic()
        until_s = None if limit_s is None else began_s + limit_s
        in_background = limit_s is not None or patience_s is not None
        goes_on = patience_s is not None
        wait_until_s = until_s if patience_s is None else began_s + patience_s
        results: dict[str, R] = {}
        led: Flight[R] | None = None
        waiting: list[Flight[R]] = []
        carried = False
        try:
            led, joined = self._roster.board(keys, partial(_Carried, until_s=until_s))
            waiting = joined if led is None else [led, *joined]
            if led is not None and in_background:
                self._carry(led, work)
                carried = True
            elif led is not None:
                self._fly(led, work)
            while waiting:
                if not self._landed(waiting[0], wait_until_s):
                    raise Late(goes_on=goes_on)
                results.update(waiting[0].outcome())
                self._roster.unhitch(waiting.pop(0))
        except Late as late:
            if late.goes_on:
                while waiting:
                    self._roster.unhitch(waiting.pop())
            raise
        finally:
            if led is not None and not (led.done or carried):  # interrupted before its work began
                led.fail(_cancelled_inside(KeyboardInterrupt()))
                self._land(led)
            for flight in waiting:
                self._roster.unhitch(flight)
                self._roster.leave(flight)
        return {key: results[key] for key in keys}

    def close(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for loads under way; threads cannot be cancelled."""
        deadline = time.monotonic() + drain_s
        while len(self._roster) and time.monotonic() < deadline:
            time.sleep(0.005)
        self._owner.close(max(0.0, deadline - time.monotonic()))

    def _carry(self, flight: Flight[R], work: Callable[[tuple[str, ...]], Mapping[str, R]]) -> None:
        started = False
        try:
            started = self._owner.spawn("load", lambda: self._fly(flight, work))
        finally:
            if not started:
                flight.fail(Crowded())
                self._land(flight)

    def _fly(self, flight: Flight[R], work: Callable[[tuple[str, ...]], Mapping[str, R]]) -> None:
        token = current_flight.set(flight)  # type: ignore[arg-type]
        try:
            flight.succeed(work(flight.keys))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the riders'
            flight.fail(error)
        except BaseException as error:
            flight.fail(_cancelled_inside(error))
            raise
        finally:
            current_flight.reset(token)
            self._land(flight)

    def _land(self, flight: Flight[R]) -> None:
        assert isinstance(flight, _Carried)
        self._roster.land(flight)
        flight.landed.set()

    def _landed(self, flight: Flight[R], until_s: float | None) -> bool:
        """Wait until a flight has landed, or is over. False: it had not by then."""
        assert isinstance(flight, _Carried)
        ends = [end_s for end_s in (until_s, flight.until_s) if end_s is not None]
        if not flight.landed.wait(max(0.0, min(ends) - time.monotonic()) if ends else None):
            if not flight.is_over():
                return False
            if self._roster.overdue(flight):
                flight.landed.set()
            flight.landed.wait()
        return True


def _cancelled_inside(error: BaseException) -> LoadCancelled:
    cancelled = LoadCancelled("the load was interrupted while callers waited for it")
    cancelled.__cause__ = error
    return cancelled
