"""Which keys were dropped, and when, so that a fill can tell whether it was overtaken.

A value that was read before an invalidation must not be stored after it. So whoever is going
to fill notes the moment first and reads then; and a drop of the key since that moment voids
the fill, whichever way the read and the invalidation overtake each other.

Moments are counted in drops, which costs a fill nothing but reading an integer. Only the latest
drops are remembered: a fill that is older than all of them counts as overtaken.
"""

from __future__ import annotations

__all__ = ["Drops"]

Name = str | bytes
"""An entry, or the digest of a tag."""

_LIMIT = 8_192


class Drops:
    """The latest drops by key or tag. `note` and `note_all` may even interrupt each other."""

    __slots__ = ("_count", "_forgotten", "_latest")

    def __init__(self) -> None:
        self._count = 0
        self._forgotten = 0
        self._latest: dict[Name, int] = {}

    def __len__(self) -> int:
        return len(self._latest)

    def moment(self) -> int:
        """Return the present moment. Needs no lock."""
        return self._count

    def note(self, key: Name) -> None:
        """Note that a key is dropped now."""
        latest = self._latest
        latest.pop(key, None)
        self._count += 1
        latest[key] = self._count
        if len(latest) > _LIMIT:
            oldest = next(iter(latest))
            self._forgotten = max(self._forgotten, latest.pop(oldest, 0))

    def note_all(self) -> None:
        """Note that every key is dropped now."""
        self._count += 1
        self._forgotten = self._count
        self._latest = {}

    def overtook(self, since: int, key: Name) -> bool:
        """Tell whether `key` was dropped after the moment `since`, or may have been."""
        return since < self._forgotten or self._latest.get(key, 0) > since

    def check(self) -> None:
        """Raise `AssertionError` where what is remembered contradicts itself."""
        assert len(self._latest) <= _LIMIT, f"{len(self._latest)} drops are remembered"
        moments = list(self._latest.values())
        assert moments == sorted(moments), "drops are not remembered in their order"
        assert all(self._forgotten < moment <= self._count for moment in moments)
