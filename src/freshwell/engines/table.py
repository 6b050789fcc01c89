"""The L1 table: entries of this process, bounded in number and bytes.

What a hit does to an entry: one dictionary lookup, and ``entry.mark = 1``. No lock, no list is
moved, nothing is allocated; generated code does the same without calling in here. The mark is
read when room is needed (`eviction`).

What takes an entry out of service: its deadlines are set to the past. Readers hold entries
without a lock, and read the value *before* the deadlines, so an entry that was dropped in
between is not served. One lock guards the rest; it is held for short, bounded sections, in
which no code of users runs: values are measured before it is taken and let go after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from freshwell.engines.eviction import Clock, Policy
from freshwell.engines.expiry import ExpiryWheel
from freshwell.engines.sizes import estimate_bytes
from freshwell.ground.freshness import LONG_AGO_NS

__all__ = ["Entry", "Fetch", "Table"]

_ENTRY_BYTES = 200
"""What an entry costs beside its key and value."""
_SWEPT_PER_PUT = 2


class Entry:
    """One value with its times. Nanoseconds of the monotonic clock."""

    __slots__ = (
        "alias",
        "aliases",
        "born_ns",
        "calm_until_ns",
        "cost_ns",
        "fresh_until_ns",
        "key",
        "kinds",
        "mark",
        "negative",
        "size_bytes",
        "stale_until_ns",
        "value",
    )

    key: str
    value: Any
    calm_until_ns: int
    fresh_until_ns: int
    stale_until_ns: int
    born_ns: int
    cost_ns: int
    size_bytes: int
    negative: bool
    mark: int
    kinds: Any
    """Types of the arguments in `alias`: what the wrapper of a function compares."""
    alias: Any
    aliases: dict[Any, Entry] | None

    def kill(self) -> None:
        """Take the entry out of service for everyone who still holds it."""
        self.calm_until_ns = self.fresh_until_ns = self.stale_until_ns = LONG_AGO_NS
        self.value = None

    @property
    def dead(self) -> bool:
        """Tell whether it has left the table."""
        return self.stale_until_ns == LONG_AGO_NS


class Fetch:
    """The right to put one value, until its key is invalidated."""

    __slots__ = ("key", "live")

    def __init__(self, key: str) -> None:
        self.key = key
        self.live = True


class Table:
    """Entries by key. Thread-safe; reading takes no lock.

    `max_entries` and `max_bytes` bound it; bytes are estimated (`estimate_bytes`).
    """

    def __init__(
        self,
        *,
        max_entries: int,
        max_bytes: int,
        now_ns: Callable[[], int] = time.monotonic_ns,
        policy: Policy | None = None,
    ) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.bytes = 0
        self.evictions = 0
        self.expirations = 0
        self.refused = 0
        self._now_ns = now_ns
        self._mutex = Lock()
        self._entries: dict[str, Entry] = {}
        self._fetches: dict[str, list[Fetch]] = {}
        self._policy = Clock() if policy is None else policy
        self._wheel: ExpiryWheel[Entry] = ExpiryWheel()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> int:
        """How many entries there are, expired ones included."""
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """Return the entry of `key`, which may have expired, and mark it as used."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.mark = 1
        return entry

    def begin(self, key: str) -> Fetch:
        """Announce a value for `key`, before its source is asked. End it by `put` or `end`."""
        fetch = Fetch(key)
        with self._mutex:
            self._fetches.setdefault(key, []).append(fetch)
        return fetch

    def end(self, fetch: Fetch) -> None:
        """Give up a fetch. Idempotent."""
        if fetch.live:
            with self._mutex:
                self._end(fetch)

    def put(
        self,
        key: str,
        value: Any,
        *,
        calm_until_ns: int,
        fresh_until_ns: int,
        stale_until_ns: int,
        born_ns: int,
        cost_ns: int,
        negative: bool = False,
        size_bytes: int | None = None,
        fetch: Fetch | None = None,
    ) -> Entry | None:
        """Store a value, unless `fetch` was voided by an invalidation or it is too large.

        Returns the entry, or None where it was refused. Ends the fetch.
        """
        entry = Entry()
        entry.key, entry.value, entry.negative = key, value, negative
        entry.calm_until_ns, entry.fresh_until_ns = calm_until_ns, fresh_until_ns
        # Equal times share one integer: at a million entries it shows.
        same = stale_until_ns == fresh_until_ns
        entry.stale_until_ns = fresh_until_ns if same else stale_until_ns
        entry.born_ns, entry.cost_ns, entry.mark = born_ns, cost_ns, 0
        entry.alias = entry.aliases = entry.kinds = None
        measured = estimate_bytes(value) if size_bytes is None else size_bytes
        entry.size_bytes = _ENTRY_BYTES + len(key) + measured
        gone: list[Any] = []  # let go after the lock: a value's end may run code of users
        with self._mutex:
            if fetch is not None and not self._end(fetch):
                self.refused += 1
                return None
            if entry.size_bytes > self.max_bytes:
                self.refused += 1
                self._remove(key, gone)
                return None
            self._remove(key, gone)
            self._sweep(_SWEPT_PER_PUT, gone)
            self._make_room(entry.size_bytes, gone)
            self._entries[key] = entry
            self.bytes += entry.size_bytes
            self._policy.added(entry)
            self._wheel.added(entry)
        return entry

    def attach(self, key: str, aliases: dict[Any, Entry], alias: Any, kinds: Any) -> None:
        """Let `aliases[alias]` lead to the entry of `key` for as long as the entry lives.

        An entry has one alias; the first stays.
        """
        with self._mutex:
            entry = self._entries.get(key)
            if entry is not None and entry.aliases is None:
                entry.alias, entry.aliases, entry.kinds = alias, aliases, kinds
                aliases[alias] = entry

    def drop(self, key: str) -> bool:
        """Invalidate a key: its entry is out of service, fetches of it are void."""
        return self.drop_many((key,)) == 1

    def drop_many(self, keys: Iterable[str]) -> int:
        """Invalidate keys. Returns how many had an entry."""
        gone: list[Any] = []  # let go after the lock: a value's end may run code of users
        with self._mutex:
            for key in keys:
                self._void(key)
                self._remove(key, gone)
        return len(gone)

    def expire(self, key: str) -> bool:
        """End the freshness of an entry and void fetches of it; its stale allowance stays."""
        with self._mutex:
            self._void(key)
            entry = self._entries.get(key)
            if entry is None:
                return False
            now_ns = self._now_ns()
            entry.calm_until_ns = LONG_AGO_NS
            entry.fresh_until_ns = min(entry.fresh_until_ns, now_ns)
            return True

    def clear(self) -> int:
        """Invalidate everything. Returns how many entries there were."""
        with self._mutex:
            gone = [entry.value for entry in self._entries.values()]
            for entry in self._entries.values():
                self._retire(entry)
            self._entries.clear()
            self._policy.cleared()
            self._wheel.cleared()
            self.bytes = 0
            for fetches in self._fetches.values():
                for fetch in fetches:
                    fetch.live = False
            self._fetches.clear()
        return len(gone)

    def sweep(self, limit: int) -> int:
        """Look at up to `limit` entries and remove those past their stale allowance."""
        gone: list[Any] = []
        with self._mutex:
            return self._sweep(limit, gone)

    def check(self) -> None:
        """Check the whole structure. Raises AssertionError in words. For tests."""
        with self._mutex:
            entries = self._entries
            assert len(entries) <= self.max_entries, "more entries than allowed"
            assert self.bytes == sum(e.size_bytes for e in entries.values()), "bytes do not add up"
            assert self.bytes <= self.max_bytes, "more bytes than allowed"
            for key, entry in entries.items():
                assert entry.key == key, "an entry is under another key"
                assert not entry.dead, "a dead entry is in the table"
                if entry.aliases is not None:
                    found = entry.aliases.get(entry.alias)
                    assert found is entry or found is None or not found.dead, "a dead alias"
            for key, fetches in self._fetches.items():
                assert fetches, "an empty list of fetches"
                assert all(f.live and f.key == key for f in fetches), "a void fetch is listed"
            self._policy.check(entries)

    # -- under the lock ------------------------------------------------------------------------

    def _end(self, fetch: Fetch) -> bool:
        """Take a fetch off the list. False where it was void already."""
        if not fetch.live:
            return False
        fetch.live = False
        fetches = self._fetches[fetch.key]
        fetches.remove(fetch)
        if not fetches:
            del self._fetches[fetch.key]
        return True

    def _void(self, key: str) -> None:
        for fetch in self._fetches.pop(key, ()):
            fetch.live = False

    def _remove(self, key: str, gone: list[Any]) -> None:
        entry = self._take_out(key, gone)
        if entry is not None:
            self._policy.removed(entry)

    def _take_out(self, key: str, gone: list[Any], *, due: bool = False) -> Entry | None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size_bytes
            gone.append(entry.value)
            self._retire(entry)
            if not due:
                self._wheel.removed()
        return entry

    def _retire(self, entry: Entry) -> None:
        entry.kill()
        if entry.aliases is not None and entry.aliases.get(entry.alias) is entry:
            del entry.aliases[entry.alias]

    def _make_room(self, size_bytes: int, gone: list[Any]) -> None:
        while len(self._entries) >= self.max_entries or self.bytes + size_bytes > self.max_bytes:
            self._take_out(self._policy.victim().key, gone)
            self.evictions += 1

    def _sweep(self, limit: int, gone: list[Any]) -> int:
        due = self._wheel.due(self._now_ns(), limit)
        for entry in due:
            self._take_out(entry.key, gone, due=True)
            self._policy.removed(entry)
        self.expirations += len(due)
        return len(due)
