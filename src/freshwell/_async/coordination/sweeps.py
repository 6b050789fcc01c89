"""Invalidate by pattern: go over the keys of every primary in small steps.

For the rare case that no tag was foreseen for. It costs the server a look at every key it has,
in steps so short that its other clients do not notice.

A load that began before has left a lease in L2, which the scan finds and removes: so nothing
loaded before is stored afterwards. Writers' announcements stay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from freshwell._async.coordination.keeper import Tiers
from freshwell._async.coordination.writes import Flying, Writes
from freshwell._kit.aio import each
from freshwell.errors import InvalidationError, StoreUnavailable
from freshwell.ground.globs import glob_of
from freshwell.ground.names import split

__all__ = ["Progress", "Sweeps"]

_LOOKS = 4
"""How many steps of a scan are one of a sweep: the next are taken while their keys are removed."""

Progress = Callable[[int], object]
"""Told after each step how many entries have been invalidated so far."""


class Sweeps:
    """Invalidates the entries of one open cache by pattern."""

    def __init__(self, tiers: Tiers, writes: Writes, flying: Flying) -> None:
        self._t = tiers
        self._writes = writes
        self._flying = flying

    async def invalidate(self, namespace: str, glob: str, progress: Progress | None) -> int:
        """Make the entries whose keys match absent everywhere. Return how many there were.

        Without L2, those of L1 are counted. Raises `InvalidationError` where L2 does not answer
        any more: some entries may be gone, and others not.
        """
        if not self._t.store.shared:
            # Loads that nobody can join any more go on all the same, and are not listed here.
            self._t.table.void_fills()
            here = self._here(namespace, glob)
            self._writes.drop(here)
            if progress is not None:
                progress(len(here))
            self._t.counters.invalidations += len(here)
            self._t.observing.invalidated("pattern", len(here))
            return len(here)
        here = self._here(namespace, glob)
        gone, is_meant = 0, self._t.names.matcher(namespace, glob)
        try:
            for pattern in self._t.names.patterns(namespace, glob):
                gone = await self._sweep(pattern, is_meant, gone, progress)
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            raise InvalidationError(
                f"L2 stopped answering after {gone} entries that match a pattern were "
                f"invalidated: repeat the call when it answers again ({error})"
            ) from error
        finally:
            # What was read from L2 before is kept here already, or will not be any more.
            self._t.table.void_fills()
            self._writes.drop([*here, *self._here(namespace, glob)])
        self._t.counters.invalidations += gone
        self._t.observing.invalidated("pattern", gone)
        return gone

    async def _sweep(
        self,
        pattern: bytes,
        is_meant: Callable[[bytes], bool],
        gone: int,
        progress: Progress | None,
    ) -> int:
        """Go over the keys of L2: while it removes some, it is asked for the next."""
        place, keys = await self._found(pattern, is_meant, None)
        while keys or place is not None:
            steps: list[Callable[[], Awaitable[Any]]] = [partial(self._t.store.forget, keys)]
            if place is not None:
                steps.append(partial(self._found, pattern, is_meant, place))
            count, *more = await each(steps, len(steps))
            gone += count
            if keys and progress is not None:
                progress(gone)
            place, keys = more[0] if more else (None, [])
        return gone

    async def _found(
        self, pattern: bytes, is_meant: Callable[[bytes], bool], place: object
    ) -> tuple[object, list[bytes]]:
        """Return some keys that are meant, and the place to go on from. None: that is all.

        A server may tell of a key more than once: it is counted once.
        """
        meant: dict[bytes, None] = {}
        for _ in range(_LOOKS):
            place, found = await self._t.store.scan(pattern, place)
            meant.update(dict.fromkeys(filter(is_meant, found)))
            if place is None:
                break
        return place, list(meant)

    def _here(self, namespace: str, glob: str) -> list[str]:
        """Return what matches of this process's entries, loads, and sources left alone."""
        matches = glob_of(glob).fullmatch
        names = dict.fromkeys(
            [*self._t.table.keys(), *self._flying.names(), *self._t.rests.names()]
        )
        places = ((name, *split(name)) for name in names)
        return [name for name, place, key in places if place == namespace and matches(key)]
