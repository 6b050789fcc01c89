"""The fills of L1 that are under way, so that an invalidation can void them.

A value that was read before an invalidation must not be stored after it. So whoever is going
to fill registers first and reads then; an invalidation voids what is registered, whichever
way the read and the invalidation overtake each other.
"""

from __future__ import annotations

__all__ = ["Fetch", "Fetches"]


class Fetch:
    """A fill of one key under way. `live` until it has ended or was voided."""

    __slots__ = ("key", "live")

    def __init__(self, key: str, *, live: bool) -> None:
        self.key = key
        self.live = live

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'live' if self.live else 'void'}>"


class Fetches:
    """The live fetches by key: memory for what is under way, and for nothing else.

    Not thread-safe: the table's lock guards it.
    """

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: dict[str, list[Fetch]] = {}

    def __len__(self) -> int:
        return sum(len(fetches) for fetches in self._by_key.values())

    def begin(self, key: str) -> Fetch:
        """Register a fill."""
        fetch = Fetch(key, live=True)
        self._by_key.setdefault(key, []).append(fetch)
        return fetch

    def end(self, fetch: Fetch) -> None:
        """Forget a fill. Nothing happens where it has ended or was voided."""
        fetch.live = False
        fetches = self._by_key.get(fetch.key)
        if fetches is None or fetch not in fetches:
            return
        fetches.remove(fetch)
        if not fetches:
            del self._by_key[fetch.key]

    def take(self, fetch: Fetch, key: str) -> bool:
        """End a fill because its value has come. Tell whether it may be stored under `key`."""
        valid = fetch.live and fetch.key == key
        self.end(fetch)
        return valid

    def void(self, key: str) -> None:
        """Void the fills of a key."""
        for fetch in self._by_key.pop(key, ()):
            fetch.live = False

    def void_all(self) -> None:
        """Void all fills."""
        by_key, self._by_key = self._by_key, {}
        for fetches in by_key.values():
            for fetch in fetches:
                fetch.live = False

    def void_now(self, key: str) -> None:
        """Void the fills of a key and leave them registered: for use inside another change."""
        for fetch in list(self._by_key.get(key, ())):
            fetch.live = False

    def check(self) -> None:
        """Raise `AssertionError` where a fetch is registered that should not be."""
        for key, fetches in self._by_key.items():
            assert fetches, f"the fetches of {key!r} are kept though there are none"
            for fetch in fetches:
                assert fetch.live, f"a void fetch of {key!r} is still registered"
                assert fetch.key == key, f"a fetch of {fetch.key!r} is registered as {key!r}"
