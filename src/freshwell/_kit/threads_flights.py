"""Flights of the thread half of the kit: work that callers share, carried by its leader's thread.

``aio_flights`` is the other half: same names, same signatures, same semantics.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from freshwell._kit.flight import (
    Announced,
    Crowded,
    Flight,
    Late,
    Marks,
    Roster,
    current_flight,
)
from freshwell._kit.threads import Owner
from freshwell.errors import LoadCancelled

__all__ = ["Announced", "Crowded", "Flights", "Late"]

R = TypeVar("R")


class _Carried(Flight[R]):
    """A flight carried by its leader's own thread, or by one in the background.

    `waiting`: a lock for each rider, who waits for its release. Most flights have no riders.
    """

    __slots__ = ("waiting",)

    def __init__(self, keys: Sequence[str], until_s: float | None = None) -> None:
        super().__init__(keys, until_s)
        self.waiting: list[threading.Lock] = []


class Flights(Generic[R]):
    """Share work between callers that ask for the same key at the same time.

    - The caller that starts a flight leads: its work runs in its own thread and context. Where
      it may not wait for ever, it runs in a thread in the background and a copy of its context.
    - The work's exception reaches every rider, as the same object, unwrapped.

    `under_way`: the keys that are.
    `limit` is how many run in the background at a time.
    """

    def __init__(self, limit: int = 0) -> None:
        self._roster: Roster[R] = Roster(_Carried)
        # The roster's own, since each call in between costs every look into L2.
        self.under_way = self._roster.under_way
        self.announce = self._roster.announce
        self.forget = self._roster.forget
        self._owner = Owner("freshwell", limit)

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

    def run(
        self,
        keys: Sequence[str],
        work: Callable[[tuple[str, ...]], Mapping[str, R]],
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
        After `limit_s` seconds it is over for all its riders; its thread goes on by itself.

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
        led: Flight[R] | None = None
        waiting: list[Flight[R]] = []
        carried = False
        try:
            led, joined, void, flights = self._roster.board(keys, until_s, marks, quiet=quiet)
            for flight in void:
                self._land(flight)
            waiting = joined if led is None else [led, *joined]
            if led is not None and in_background:
                self._carry(led, work)
                carried = True
            elif led is not None:
                self._fly(led, work)
            while waiting:
                if not self._landed(waiting[0], wait_until_s):
                    raise Late(goes_on=goes_on)
                waiting[0].outcome()  # or what it raises
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
        return {key: flight.outcome()[key] for key, flight in flights.items()}

    def call_off(self, announced: Announced[R]) -> None:
        """End an announcement, if it stands. Never waits."""
        flight = self._roster.call_off(announced)
        if flight is not None:
            self._land(flight)

    def ride(
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
            if not self._landed(flight, until_s):
                raise Late
        except BaseException:
            self._roster.unhitch(flight)
            self._roster.leave(flight)
            raise
        self._roster.unhitch(flight)
        return flight.outcome().get(key)

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
        self._roster.land(flight)
        _wake(flight)

    def _landed(self, flight: Flight[R], until_s: float | None) -> bool:
        """Wait until a flight has landed, or is over. False: it had not by then."""
        if flight.done:
            return True
        assert isinstance(flight, _Carried)
        ends = [end_s for end_s in (until_s, flight.until_s) if end_s is not None]
        released = threading.Lock()
        released.acquire()
        flight.waiting.append(released)
        # Whoever lands it says so first, and looks for riders afterwards.
        if not flight.done and not released.acquire(
            timeout=max(0.0, min(ends) - time.monotonic()) if ends else -1
        ):
            if not flight.is_over():
                return False
            if self._roster.overdue(flight):
                _wake(flight)
        return True


def _wake(flight: Flight[R]) -> None:
    """Let the riders of a flight go that is done. Several threads may."""
    assert isinstance(flight, _Carried)
    with suppress(IndexError):
        while True:
            flight.waiting.pop().release()


def _cancelled_inside(error: BaseException) -> LoadCancelled:
    cancelled = LoadCancelled("the load was interrupted while callers waited for it")
    cancelled.__cause__ = error
    return cancelled
