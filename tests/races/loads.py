"""Who loads the same at the same time: the judge of loads in random runs.

One load per key and process at a time; one per key in a fleet while the lease of who loads stands.

*In a process* a second load may begin beside a first that is still under way where

- nobody waits for the first any more: its callers have left, or its time is over. A task that is
  cancelled may not have come to an end yet, and a thread cannot be cancelled;
- this process has voided the entry since the first was asked for, by its key or by a name that
  it may have: what a tag stands for is not known where tags follow from the value, so there any
  tag does.

*In a fleet* it may where

- it, or the first, has no lease: L2 has not answered in time, or a writer has announced a change,
  or what L2 has is known to be of no use (who was told that another holds the lease has no excuse);
- its reader reads from the source, which takes the lease over; or somebody has since the first;
- the key was voided since by anybody. A tag is no excuse: leases are the entries'. A process whose
  feed was lost voids once more what it has voided lately;
- the lease is so old that it may have run out.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

from freshwell._kit.flight import Flight, current_flight

__all__ = ["LoadJudge", "LoadedTwice", "ShedWithin", "call_begins"]

_LEASE_S = 1.5
_GRANTED, _HELD, _ALONE = "granted", "held", "alone"
_TAGS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys("ptxdwb", ("g:{}",)),
    "m": ("g:{}", "h:{}"),
    "e": ("h:a:{}", "h:b:{}"),
    "s": ("n{}",),
}
"""The tags that entries of a kind may have, and the namespace."""

_ANY_TAG = "fa"
"""The kinds whose tags follow from the value, or are said by the loader."""

_called_s: ContextVar[float] = ContextVar("called_s")


def call_begins() -> None:
    """Note that a call begins now, in its context. Loads that it leads are not older."""
    _called_s.set(time.monotonic())


class LoadedTwice(AssertionError):
    """A key was loaded by two at the same time, and the contract knows no reason."""


class ShedWithin(AssertionError):
    """A load that another load waited for was shed."""


class _Event:
    """Something that ends loads. `end_s`: when it was over; it may not be yet."""

    def __init__(self, cache: int | None = None) -> None:
        self.cache = cache
        self.end_s = math.inf


class _Answer(NamedTuple):
    """What L2 said to a flight that asked for the lease of an entry. `taken`: it took it over."""

    flight: Flight[Any] | None
    asked_s: float
    entry: bytes
    grant: str
    taken: _Event | None


_NOTHING_SAID: Mapping[str, _Answer] = MappingProxyType({})
_answers: ContextVar[Mapping[str, _Answer]] = ContextVar("answers", default=_NOTHING_SAID)


class _Load:
    """One key of a load that is under way."""

    def __init__(self, cache: int, key: str) -> None:
        self.cache = cache
        self.since_s = _called_s.get()
        self.flight = current_flight.get()
        answer = _answers.get().get(key)
        self.answer = answer if answer is not None and answer.flight is self.flight else None

    @property
    def is_left(self) -> bool:
        """Tell whether nobody waits for it any more."""
        flight = self.flight
        return flight is not None and (flight.done or flight.riders <= 0 or flight.is_over())

    def __str__(self) -> str:
        grant = None if self.answer is None else self.answer.grant
        return f"a load of cache {self.cache} ({grant}, since {self.since_s:.3f})"


class LoadJudge:
    """The loads under way, and what ends them. Thread-safe.

    `lasting`: what was voided may be voided once more at any later time, in the background.
    `twice`: what was found. `loads`: how many there were.
    """

    def __init__(self, *, lasting: bool) -> None:
        self._mutex = Lock()
        self._lasting = lasting
        self._under_way: dict[str, list[_Load]] = defaultdict(list)
        self._voided: dict[str, list[_Event]] = defaultdict(list)
        self._ended: dict[bytes, list[_Event]] = defaultdict(list)
        self.twice: list[str] = []
        self.loads = 0

    @contextmanager
    def loading(self, cache: int, *keys: str) -> Iterator[None]:
        """Note that a loader of a cache runs for these keys."""
        begun = {key: _Load(cache, key) for key in keys}
        with self._mutex:
            self.loads += 1
            for key, load in begun.items():
                for other in self._under_way[key]:
                    self._judge(key, other, load)
                self._under_way[key].append(load)
        try:
            yield
        finally:
            with self._mutex:
                for key, load in begun.items():
                    self._under_way[key].remove(load)

    @contextmanager
    def voiding(self, cache: int, names: Iterable[str], *, lasting: bool = False) -> Iterator[None]:
        """Note that a cache voids keys, tags or namespaces.

        It may do so later on where it is cancelled.
        """
        event = _Event(cache)
        with self._mutex:
            for name in names:
                self._voided[name].append(event)
        try:
            yield
        except Exception:
            self._ends(event, lasting)
            raise
        self._ends(event, lasting)

    @contextmanager
    def ending(self, entries: Iterable[bytes]) -> Iterator[None]:
        """Note that L2 is told to void entries, and their leases with them."""
        event = self._end_leases(entries)
        yield
        event.end_s = time.monotonic()

    @contextmanager
    def acquiring(self, entries: Sequence[bytes], *, forced: bool) -> Iterator[list[str]]:
        """Note that L2 is asked for leases; the answers are to be put into the list."""
        taken, answers = self._end_leases(entries) if forced else None, list[str]()
        flight, asked_s = current_flight.get(), time.monotonic()
        told = {_key_of(entry): _Answer(flight, asked_s, entry, _ALONE, taken) for entry in entries}
        try:
            yield answers
        finally:
            for (key, answer), grant in zip(list(told.items()), answers, strict=False):
                told[key] = answer._replace(grant=grant)
            _answers.set({**_answers.get(), **told})
            if taken is not None and answers:
                taken.end_s = time.monotonic()

    def check(self) -> None:
        """Raise `LoadedTwice` where anything was found."""
        if self.twice:
            raise LoadedTwice(f"{len(self.twice)} times, first: {self.twice[0]}")

    def _end_leases(self, entries: Iterable[bytes]) -> _Event:
        event = _Event()
        with self._mutex:
            for entry in entries:
                self._ended[entry].append(event)
        return event

    def _ends(self, event: _Event, lasting: bool) -> None:
        if not (lasting or self._lasting):
            event.end_s = time.monotonic()

    def _judge(self, key: str, first: _Load, second: _Load) -> None:
        # Who was asked for later may come to its loader earlier.
        since_s = min(first.since_s, second.since_s)
        if first.cache == second.cache and not (first.is_left or second.is_left):
            own = [e for e in self._voids(self._names(key), since_s) if e.cache == first.cache]
            if not own:
                self.twice.append(f"{key}: {second} beside {first}, in the same process")
        if self._is_leased(key, first, second, since_s):
            self.twice.append(f"{key}: {second} beside {first}, whose lease stands")

    def _voids(self, names: Iterable[str], since_s: float) -> list[_Event]:
        """Return what has voided any of these names since then."""
        return [e for name in names for e in self._voided[name] if e.end_s >= since_s]

    def _names(self, key: str) -> list[str]:
        """Return the names by which an entry is voided."""
        kind, _, cell = key.partition(":")
        if kind in _ANY_TAG:
            tags = [name for name in self._voided if name[0] in "gh"]
        else:
            tags = [tag.format(cell) for tag in _TAGS.get(kind, ())]
        return [key, f"expired {key}", *tags]

    def _is_leased(self, key: str, first: _Load, second: _Load, since_s: float) -> bool:
        """Tell whether the first holds a lease that the second has no reason not to respect."""
        its, own = first.answer, second.answer
        if its is None or own is None or its.entry != own.entry or its.grant != _GRANTED:
            return False
        if own.grant not in (_GRANTED, _HELD) or own.taken is not None:
            return False
        if time.monotonic() - since_s >= _LEASE_S:
            return False
        ends = self._voids([key, f"expired {key}"], since_s)
        for event in self._ended[its.entry]:
            # The first may have taken over what the second held already.
            from_s = own.asked_s if event is its.taken else since_s
            if event.end_s >= from_s:
                ends.append(event)
        return not ends


def _key_of(entry: bytes) -> str:
    """Return the key of an entry in L2, which is of the form kind:cell."""
    return b":".join(entry.split(b":")[-2:]).decode()
