"""Flights of the asyncio half of the kit: work that callers share, carried by a task of its own.

Objects of this module belong to the event loop in which they are first used.
``threads_flights`` is the other half: same names, same signatures, same semantics.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from freshwell._kit.aio import end_tasks
from freshwell._kit.flight import (
    Announced,
    Crowded,
    Flight,
    Late,
    Marks,
    Roster,
    current_flight,
)
from freshwell.errors import LoadCancelled

__all__ = ["Announced", "Crowded", "Flights", "Late"]

R = TypeVar("R")


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

    `under_way`: the keys that are.
    `limit` is for the other kit.
    """

    def __init__(self, limit: int = 0) -> None:
        self._roster: Roster[R] = Roster(_Carried)
        # The roster's own, since each call in between costs every look into L2.
        self.under_way = self._roster.under_way
        self.announce = self._roster.announce
        self.forget = self._roster.forget
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._roster)

    def __contains__(self, key: object) -> bool:
        return key in self.under_way

    def carries(self, key: str) -> bool:
        """Tell whether a key is under way, though it be quietly."""
        return self._roster.carries(key)

    def keys(self) -> list[str]:
        """Return what is under way."""
        return self._roster.keys()

    def marked(self, marks: Collection[bytes]) -> list[str]:
        """Return what is under way and was given any of these marks."""
        return self._roster.marked(marks)

    async def run(
        self,
        keys: Sequence[str],
        work: Callable[[tuple[str, ...]], Awaitable[Mapping[str, R]]],
        *,
        marks: Marks | None = None,
        limit_s: float | None = None,
        patience_s: float | None = None,
        quiet: bool = False,
    ) -> dict[str, R]:
        """Return a result for each of `keys`: lead where none is under way, ride where one is.

        `quiet`: lead where none is under way, and for the other keys return nothing. Nobody rides
        along who would not lead otherwise.

        `work` gets the keys that this call leads, and returns a result for each of them. By the
        `marks` of each key its flight is found (`marked`).
        After `limit_s` seconds it is over for all its riders, and is cancelled.

        Raises what the work raised, `NestedLoadError` when waiting would never end, and
        `LoadCancelled` when the work was cancelled from inside. Raises `Late` when a flight is
        over, or this call has waited for `limit_s`; or for `patience_s`, and then what it waited
        for goes on, as if it still did.
        """
        began_s = time.monotonic()
        until_s = None if limit_s is None else began_s + limit_s
        led, joined, void, flights = self._roster.board(keys, until_s, marks, quiet=quiet)
        for flight in void:
            self._land(flight)
        waiting = joined if led is None else [led, *joined]
        if led is not None:
            self._carry(led, work, limit_s)
        goes_on = patience_s is not None
        wait_until_s = until_s if patience_s is None else began_s + patience_s
        try:
            while waiting:
                if not waiting[0].done:
                    await self._landing(waiting[0], wait_until_s)
                    if not waiting[0].done:
                        raise Late(goes_on=goes_on)
                waiting[0].outcome()  # or what it raises
                self._roster.unhitch(waiting.pop(0))
        except Late as late:
            if late.goes_on:
                while waiting:
                    self._roster.unhitch(waiting.pop())
            raise
        finally:
            for flight in waiting:
                self._give_up(flight)
        return {key: flight.outcome()[key] for key, flight in flights.items()}

    def call_off(self, announced: Announced[R]) -> None:
        """End an announcement, if it stands. Never waits."""
        flight = self._roster.call_off(announced)
        if flight is not None:
            self._land(flight)

    async def ride(
        self, key: str, *, marks: Collection[bytes] = (), limit_s: float | None = None
    ) -> R | None:
        """Return what the flight brings that is under way for `key`. None: there is none.

        What `run` comes to for a caller who does not lead, in few steps: in a stampede that is
        everyone but one. Raises as `run` does. Without a limit, a flight that is announced is
        waited for, too, and may bring something `instead`. None then: it was called off.
        """
        flight = self._roster.join(key, marks, early=limit_s is None)
        if flight is None:
            return None
        until_s = None if limit_s is None else time.monotonic() + limit_s
        try:
            if not flight.done:
                await self._landing(flight, until_s)
                if not flight.done:
                    raise Late
        except BaseException:
            self._give_up(flight)
            raise
        self._roster.unhitch(flight)
        return flight.outcome().get(key)

    async def aclose(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for loads under way, then cancel them."""
        await end_tasks(self._tasks, drain_s)

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

    def _landing(self, flight: Flight[R], until_s: float | None) -> Awaitable[object]:
        """Return what to wait for: that a flight lands, until then. It is done, if it has.

        A flight that has no more time than that is ended by its own timer.
        """
        assert isinstance(flight, _Carried)
        future = asyncio.get_running_loop().create_future()
        flight.landed.append(future)
        if until_s is None or (flight.until_s is not None and flight.until_s <= until_s):
            return future
        return asyncio.wait((future,), timeout=max(0.0, until_s - time.monotonic()))

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


def _cancelled_inside(error: BaseException) -> LoadCancelled:
    cancelled = LoadCancelled("the load was cancelled from inside while callers waited for it")
    cancelled.__cause__ = error
    return cancelled
