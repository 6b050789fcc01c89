"""What both kits know of a flight: its passengers' keys, its outcome, and whom it waits for.

A *flight* is one piece of work that several callers share. The caller that starts it leads;
those who find it under way ride along. The two kits differ in how they carry and wait, not
in the bookkeeping, which is here and is plain, locked and shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from contextvars import ContextVar
from threading import Lock
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from freshwell._kit.turns import Turn
from freshwell.errors import NestedLoadError

__all__ = [
    "Announced",
    "Boarding",
    "Crowded",
    "Flight",
    "Late",
    "Marks",
    "Roster",
    "current_flight",
    "current_turn",
]

R = TypeVar("R")

_NO_MARKS: frozenset[bytes] = frozenset()

Marks = Mapping[str, Collection[bytes]]
"""By what flights can be found besides, for each key: whatever its callers know of it."""

current_flight: ContextVar[Flight[object] | None] = ContextVar("current_flight", default=None)
"""The flight whose work runs in this context: how a loader that waits for itself is found."""


def current_turn() -> Turn:
    """Return the turn of the flight whose work the caller does."""
    flight = current_flight.get()
    return Turn() if flight is None else flight.turn


class Late(Exception):
    """A caller's time for waiting is over, or a flight's. `goes_on`: the work does, for nobody."""

    def __init__(self, *, goes_on: bool = False) -> None:
        super().__init__("goes on" if goes_on else "over")
        self.goes_on = goes_on


class Crowded(Exception):
    """A flight could not start: too many are being carried in the background."""


class Flight(Generic[R]):
    """One shared piece of work and its outcome. Written by its carrier, read by its riders.

    `until_s` is when it is over, whatever its work does then, by the monotonic clock. `marks` are
    those of all who have waited for it, by key. `turn`: how it comes by its slot.
    """

    __slots__ = (
        "_error",
        "_results",
        "_trace",
        "done",
        "keys",
        "marks",
        "riders",
        "turn",
        "until_s",
        "waits_for",
    )

    def __init__(self, keys: Sequence[str], until_s: float | None = None) -> None:
        self.keys = tuple(keys)
        self.until_s = until_s
        self.turn = Turn()
        self.riders = 1
        self.done = False
        self.waits_for: list[Flight[R]] = []
        self.marks: dict[str, set[bytes]] = {}
        self._results: Mapping[str, R] = {}
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None

    def succeed(self, results: Mapping[str, R]) -> None:
        """Record what the work returned: a result for each key. Nothing, where it is over."""
        if not self.done:
            self._results = results

    def fail(self, error: BaseException) -> None:
        """Record that the work raised. Nothing, where it is over."""
        if not self.done:
            self._error = error
            self._trace = error.__traceback__

    def outcome(self) -> Mapping[str, R]:
        """Return the results, or raise what the work raised, unwrapped.

        The trace is reset each time: otherwise every rider would lengthen it for the next.
        """
        if self._error is not None:
            raise self._error.with_traceback(self._trace)
        return self._results

    def mark(self, key: str, marks: Collection[bytes]) -> None:
        """Note what a caller knows of a key. Under the roster's mutex."""
        if marks:
            self.marks.setdefault(key, set()).update(marks)

    def is_over(self) -> bool:
        """Tell whether its time has run out."""
        return self.until_s is not None and time.monotonic() >= self.until_s

    def reaches(self, other: Flight[R]) -> bool:
        """Tell whether this flight is `other`, or waits for it through any chain."""
        seen: set[int] = set()
        todo = [self]
        while todo:
            flight = todo.pop()
            if flight is other:
                return True
            if id(flight) not in seen:
                seen.add(id(flight))
                todo.extend(flight.waits_for)
        return False


class Announced(Generic[R]):
    """A flight that may come: its first caller is finding out whether one is needed.

    `flight` is what others wait for meanwhile, if there are any. `instead` is what they get where
    none is needed; None: nothing.
    """

    __slots__ = ("flight", "instead", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self.flight: Flight[R] | None = None
        self.instead: R | None = None


class Boarding(NamedTuple, Generic[R]):
    """What a caller leads and what it joins; and what others wait for in vain, to be landed.

    `flights`: which of them brings each key. Another may bring it too, which began too early.
    """

    led: Flight[R] | None
    joined: list[Flight[R]]
    void: list[Flight[R]]
    flights: dict[str, Flight[R]]


class Roster(Generic[R]):
    """The flights under way, by key. Thread-safe; every method is short and never waits.

    Of a key, either a flight is under way or one is announced, or neither. Beside that there may
    be a *quiet* one, for which nobody waits. Who would lead another joins it, and it is quiet no
    more. `under_way`: the keys of those that are, and are not quiet.
    """

    def __init__(self, make: Callable[[Sequence[str], float | None], Flight[R]]) -> None:
        self._make = make
        self._mutex = Lock()
        self._flights: dict[str, Flight[R]] = {}
        self.under_way: Container[str] = self._flights
        self._quiet: dict[str, Flight[R]] = {}
        self._announced: dict[str, Announced[R]] = {}

    def __len__(self) -> int:
        return len(self._flights) + len(self._quiet)

    def carries(self, key: str) -> bool:
        """Tell whether a flight of a key is under way, a quiet one included."""
        return key in self._flights or key in self._quiet

    def keys(self) -> list[str]:
        """Return the keys of all flights under way."""
        with self._mutex:
            return [*self._flights, *self._quiet]

    def marked(self, marks: Collection[bytes]) -> list[str]:
        """Return the keys under way that a caller gave any of these marks."""
        with self._mutex:
            return [
                key
                for flights in (self._flights, self._quiet)
                for key, flight in flights.items()
                if not flight.marks.get(key, _NO_MARKS).isdisjoint(marks)
            ]

    def announce(self, announced: Announced[R]) -> bool:
        """Let others wait (`Flights.ride`) while this caller finds out whether one is needed.

        That ends when somebody leads one, and by `call_off`, which is safe to call in any case.
        False: a flight is under way, or announced by somebody else.
        """
        key = announced.key
        with self._mutex:
            if key in self._announced:
                return False
            if key in self._flights and self._under_way(key) is not None:
                return False
            self._announced[key] = announced
        return True

    def call_off(self, announced: Announced[R]) -> Flight[R] | None:
        """End an announcement, if it stands. Returns what others wait for, to be landed.

        It has what is there `instead`, if anything is.
        """
        with self._mutex:
            if self._announced.get(announced.key) is not announced:
                return None
            del self._announced[announced.key]
        flight = announced.flight
        if flight is not None and announced.instead is not None:
            flight.succeed({announced.key: announced.instead})
        return flight

    def join(self, key: str, marks: Collection[bytes], *, early: bool) -> Flight[R] | None:
        """Join the flight of one key, as `board` does. None: there is none to join.

        `early`: one that is announced will do.
        """
        caller: Flight[R] | None = current_flight.get()  # type: ignore[assignment]
        with self._mutex:
            flight = self._under_way(key)
            if flight is None and early and key in self._announced:
                announced = self._announced[key]
                flight = announced.flight
                if flight is None:
                    flight = announced.flight = self._make((key,), None)
                    flight.riders = 0
            if flight is None:
                return None
            if caller is not None:
                _refuse_circles(caller, (flight,))
                if not flight.turn.lend():
                    return None
                caller.waits_for.append(flight)
            flight.riders += 1
            flight.mark(key, marks)
        return flight

    def board(
        self,
        keys: Iterable[str],
        until_s: float | None = None,
        marks: Marks | None = None,
        *,
        quiet: bool = False,
    ) -> Boarding[R]:
        """Start one flight for the keys that have none, and join the flights of the others.

        There is none to lead when every key is under way already; one whose time has run out is
        left to its riders. A `quiet` one is started, and none is joined. Raises `NestedLoadError`,
        with nothing changed, when waiting for one of them would be waiting for the work that is
        calling.
        """
        caller: Flight[R] | None = current_flight.get()  # type: ignore[assignment]
        with self._mutex:
            new: list[str] = []
            others: list[Flight[R]] = []
            flights: dict[str, Flight[R]] = {}
            for key in dict.fromkeys(keys):
                flight = self._under_way(key) or _going(self._quiet, key)
                if flight is None or (caller is not None and not flight.turn.lend()):
                    new.append(key)
                elif not quiet:
                    flights[key] = flight
                    if flight not in others:
                        others.append(flight)
            if caller is not None:
                _refuse_circles(caller, others)
            void = self._promoted(flights) if self._quiet else []
            led = None
            if quiet and new:
                led = self._make(new, until_s)
            elif new:
                led, in_vain = self._started(new, until_s)
                void += in_vain
            for flight in others:
                flight.riders += 1
            if led is not None:
                flights.update(dict.fromkeys(new, led))
                (self._quiet if quiet else self._flights).update(dict.fromkeys(new, led))
            if marks is not None:
                for key, its in marks.items():
                    if key in flights:
                        flights[key].mark(key, its)
            if caller is not None:
                if led is not None:
                    led.turn.lend()
                caller.waits_for.extend(others if led is None else [*others, led])
        return Boarding(led, others, void, flights)

    def leave(self, flight: Flight[R]) -> bool:
        """Give up waiting for `flight`. True when nobody waits for it any more."""
        with self._mutex:
            flight.riders -= 1
            abandoned = flight.riders <= 0 and not flight.done
            if abandoned:
                self._detach(flight)
        return abandoned

    def land(self, flight: Flight[R]) -> None:
        """Mark the work as ended: whoever comes now starts a flight of their own."""
        with self._mutex:
            flight.done = True
            self._detach(flight)

    def overdue(self, flight: Flight[R]) -> bool:
        """End a flight whose time has run out, for its riders. False: it had ended already."""
        with self._mutex:
            if flight.done:
                return False
            flight.fail(Late())
            flight.done = True
            self._detach(flight)
        return True

    def forget(self, keys: Iterable[str]) -> None:
        """Let later callers of these keys start anew; flights under way go on for their riders."""
        if not self._flights and not self._quiet:  # most often, where writes forget
            return
        with self._mutex:
            for key in keys:
                self._flights.pop(key, None)
                self._quiet.pop(key, None)

    def unhitch(self, flight: Flight[R]) -> None:
        """End the calling flight's note that it waits for `flight`."""
        caller: Flight[R] | None = current_flight.get()  # type: ignore[assignment]
        if caller is not None:
            with self._mutex:
                if flight in caller.waits_for:
                    caller.waits_for.remove(flight)

    def _under_way(self, key: str) -> Flight[R] | None:
        return _going(self._flights, key)

    def _promoted(self, joined: Mapping[str, Flight[R]]) -> list[Flight[R]]:
        """Let what is joined be quiet no more. Returns those that were announced in its place."""
        keys = [key for key in joined if self._quiet.get(key) is joined[key]]
        for key in keys:
            self._flights[key] = self._quiet.pop(key)
        return self._awaited(keys)

    def _awaited(self, keys: Sequence[str]) -> list[Flight[R]]:
        """End announcements. Returns what others wait for."""
        if not self._announced:
            return []
        announced = [self._announced.pop(key, None) for key in keys]
        return [one.flight for one in announced if one is not None and one.flight is not None]

    def _started(
        self, keys: Sequence[str], until_s: float | None
    ) -> tuple[Flight[R], list[Flight[R]]]:
        """Return a flight for these keys, and those that were announced and will not come.

        It is the one that was announced, if that has the same keys, and like that no limit.
        """
        awaited = self._awaited(keys)
        if awaited and len(keys) == 1 and until_s is None:
            awaited[0].riders += 1
            return awaited[0], []
        return self._make(keys, until_s), awaited

    def _detach(self, flight: Flight[R]) -> None:
        for key in flight.keys:
            for flights in (self._flights, self._quiet):
                if flights.get(key) is flight:
                    del flights[key]


def _going(flights: Mapping[str, Flight[R]], key: str) -> Flight[R] | None:
    """Return the flight of a key, unless its time has run out."""
    flight = flights.get(key)
    return None if flight is None or flight.is_over() else flight


def _refuse_circles(caller: Flight[R], others: Iterable[Flight[R]]) -> None:
    if any(flight.reaches(caller) for flight in others):
        raise NestedLoadError(
            "a loader asked for the entry that it is loading (directly, or through another "
            "load that waits for it): call the source inside loaders, or give the inner call "
            "its own key"
        )
