"""What this process has invalidated a moment ago, to be said again to a new primary.

A primary that fails may not have told its replicas yet; the one that follows it then does not
know of the latest invalidations. Whoever made them still does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

__all__ = ["Recent"]


class Recent:
    """The latest invalidations of one cache: entries, and tags, by their inner names.

    Bounded in number and in time. Thread-safe.
    """

    def __init__(self, *, limit: int = 10_000, life_ns: int = 60_000_000_000) -> None:
        self._limit = limit
        self._life_ns = life_ns
        self._mutex = Lock()
        self._noted_ns: OrderedDict[tuple[bool, str], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._noted_ns)

    def note(self, names: Sequence[str], now_ns: int, *, tags: bool) -> None:
        """Remember names that have been invalidated now."""
        with self._mutex:
            for name in names:
                self._noted_ns[tags, name] = now_ns
                self._noted_ns.move_to_end((tags, name))
            while len(self._noted_ns) > self._limit:
                self._noted_ns.popitem(last=False)

    def latest(self, now_ns: int) -> tuple[list[str], list[str]]:
        """Return the entries and the tags that are remembered, and forget what is too old."""
        with self._mutex:
            while self._noted_ns:
                oldest = next(iter(self._noted_ns))
                if self._noted_ns[oldest] + self._life_ns > now_ns:
                    break
                del self._noted_ns[oldest]
            names = list(self._noted_ns)
        return [name for tags, name in names if not tags], [name for tags, name in names if tags]
