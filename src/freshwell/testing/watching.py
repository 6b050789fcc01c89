"""See what a cache did: its counters' growth, and its incidents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from freshwell import AsyncCache, AsyncNamespace, Cache, Degraded, Namespace, Subscription
from freshwell.engines.counters import Counters

__all__ = ["Incident", "Seen", "watched"]

_MAX_EVENTS = 1_000_000


class Incident(NamedTuple):
    """What went wrong without an exception: in the words of the log, every time."""

    kind: str
    detail: str


class Seen:
    """What a cache has done since the block of `watched` began, and until it ended."""

    def __init__(self, counters: Counters, heard: Subscription) -> None:
        self._counters = counters
        self._heard = heard
        self._incidents: list[Incident] = []
        self._before = self._now()
        self._after: dict[str, int] | None = None

    def __repr__(self) -> str:
        return f"<Seen {self.counts} incidents={[one.kind for one in self.incidents]}>"

    def __getitem__(self, counter: str) -> int:
        """Return by how much a counter of `Stats` has grown. `KeyError`: there is none."""
        return (self._after or self._now())[counter] - self._before[counter]

    @property
    def incidents(self) -> list[Incident]:
        """In their order. The log has one of a kind each minute; here is each."""
        for event in self._heard.take():
            if isinstance(event, Degraded):
                self._incidents.append(Incident(event.kind, event.detail))
        return self._incidents

    @property
    def counts(self) -> dict[str, int]:
        """What has been counted, without what has not, and without the time in loaders."""
        grown = {name: self[name] for name in Counters.__slots__ if name != "load_ns"}
        return {name: count for name, count in grown.items() if count}

    def assert_counts(self, **expected: int) -> None:
        """Raise `AssertionError` unless these counters grew by so much. Others are not asked."""
        grown = {name: self[name] for name in expected}
        if grown != expected:
            raise AssertionError(f"counted {grown}, expected {expected}; in all {self.counts}")

    def assert_calm(self) -> None:
        """Raise `AssertionError`, which tells them, where there were incidents."""
        if self.incidents:
            raise AssertionError(f"{len(self.incidents)} incidents: {self.incidents}")

    def _now(self) -> dict[str, int]:
        return {name: getattr(self._counters, name) for name in Counters.__slots__}

    def _end(self) -> None:
        self._after = self._now()


@contextmanager
def watched(cache: AsyncCache | Cache | AsyncNamespace | Namespace) -> Iterator[Seen]:
    """Give what a cache does within the block: counters' growth and incidents.

    Of a namespace it is what its whole cache does. Costs the cache nothing; what goes on in the
    background counts when it happens.
    """
    core: Any = cache._core
    with core.observing.bus.subscribe(_MAX_EVENTS) as heard:
        seen = Seen(core.counters, heard)
        try:
            yield seen
        finally:
            seen._end()
