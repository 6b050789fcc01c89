"""Which entries' sources have failed lately, and are left alone until when.

Until then an entry past its TTL is served, to those who accept it, without asking for it again.
And which entries had a refresh that raised what `stale_on` does not mean: their callers have to
wait for a load of their own, and be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Final

__all__ = ["Rests"]

_MOST: Final = 10_000


class Rests:
    """Entries and the ends of their rests. Thread-safe; reading takes no lock.

    `most`: how many it remembers of either kind. With more it forgets all: the source is then
    asked once more.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._mutex = Lock()
        self._until_ns: dict[str, int] = {}
        self._barred: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._until_ns)

    def names(self) -> list[str]:
        """Return the entries of which anything is noted."""
        with self._mutex:
            return [*self._until_ns, *self._barred]

    def note(self, keys: Iterable[str], until_ns: int, *, barred: bool = False) -> None:
        """Leave the sources of these entries alone until then.

        `barred`: and let nobody be served them past their TTL at once, until that is taken back.
        """
        names = list(keys)
        with self._mutex:
            for notes in (self._until_ns, self._barred):
                if len(notes) >= self._most:
                    notes.clear()
            self._until_ns.update(dict.fromkeys(names, until_ns))
            for key in names:
                if barred:
                    self._barred[key] = None
                else:
                    self._barred.pop(key, None)

    def end(self, keys: Iterable[str]) -> None:
        """Forget what was noted of these entries."""
        if self._until_ns or self._barred:
            with self._mutex:
                for key in keys:
                    self._until_ns.pop(key, None)
                    self._barred.pop(key, None)

    def resting(self, key: str, now_ns: int) -> bool:
        """Tell whether the source is left alone with this entry."""
        return self._until_ns.get(key, 0) > now_ns

    def barred(self, key: str) -> bool:
        """Tell whether callers have to wait for a load of the entry, and be told if it fails."""
        return key in self._barred
