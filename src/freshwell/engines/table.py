"""The L1 table: live objects under their keys, bounded in entries and bytes.

Readers take no lock. What keeps them right:

- An entry's value and times never change; a newer value is a new entry (`entry.py`).
- An entry that leaves the table, for whatever reason, is killed before the call that removed
  it returns. Readers judge by deadlines that they read *after* the value.
- A fill names the moment before its source was asked; a drop of its key since then voids it.

Writers share one lock, for short sections without foreign code: sizes are estimated before
it is taken, and values are let go after it is released. See `guard.py` for what interrupts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from freshwell.engines.drops import MOST_AT_ONCE, Drops
from freshwell.engines.entry import (
    ENTRY_BYTES,
    NOWHERE,
    TAG_BYTES,
    TAGS_BYTES,
    AliasedEntry,
    Aliases,
    Entry,
    TaggedEntry,
    aliasable,
    expired,
    packed,
    round_down,
)
from freshwell.engines.eviction import AdaptiveClock, Policy
from freshwell.engines.guard import Guard
from freshwell.engines.sizes import estimate_bytes
from freshwell.engines.stamps import CELL_BYTES, Bonds, Digest, Stamps, idle_limit
from freshwell.ground.freshness import Times

__all__ = ["Aliases", "Draft", "Entry", "Table", "let_go"]

_SWEEP_STEPS = 8
_IDLE_SWEEP_STEPS = 2
_CHUNK = MOST_AT_ONCE
_MAX_GRID = 4_096


class Draft(NamedTuple):
    """What is to be stored: see `Table.put`. `times` are as in `Times`."""

    key: str
    value: Any
    calm_until_ns: int
    times: tuple[int, int, int, int]
    since: int | None
    bonds: Bonds | None
    size_bytes: int
    negative: bool = False


_Made: TypeAlias = tuple[Entry, int | None, Bonds | None]
"""An entry to be taken in, the moment before its source was asked, and what it lives by."""


class Table:
    """L1. Any number of threads and tasks may use one, readers without waiting.

    Args:
        max_entries: How many entries there may be. 0: none, every fill is refused.
        max_bytes: How much memory the keys, values and overhead may take, as estimated, and the
            cells that entries hold.
        now_ns: The reader's monotonic clock.
        policy: Makes the policy that chooses which entries leave a full table.

    `entries`, `bytes`: what there is now. `evictions`: entries that left before their time
    because the table was full. `expirations`: entries removed after their time. `refused`:
    fills that were voided by an invalidation, or too large. `stamps`: the versions of tags that
    entries live by.
    """

    __slots__ = (
        "_bytes",
        "_cursor",
        "_drops",
        "_entries",
        "_grid",
        "_guard",
        "_new_policy",
        "_now_ns",
        "_plain",
        "_policy",
        "evictions",
        "expirations",
        "max_bytes",
        "max_entries",
        "refused",
        "stamps",
    )

    def __init__(
        self,
        *,
        max_entries: int,
        max_bytes: int,
        now_ns: Callable[[], int] = time.monotonic_ns,
        policy: Callable[[], Policy] = AdaptiveClock,
    ) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self._now_ns = now_ns
        self._new_policy = policy
        self._policy = policy()
        self._entries: dict[str, Entry] = {}
        self._plain: type[Entry] = Entry
        self._drops = Drops()
        self.stamps = Stamps(self._drops, idle_limit(max_entries, max_bytes))
        self._guard = Guard(self._reset)
        self._grid: dict[int, int] = {}
        self._cursor: Entry | None = None
        self._bytes = 0
        self.evictions = 0
        self.expirations = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.entries} entries, {self.bytes} bytes>"

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """How much memory they take, as estimated: each by itself, and the cells they share."""
        return self._bytes + self.stamps.held * CELL_BYTES

    # -- reading: no lock --------------------------------------------------------------------

    def get(self, key: str) -> Entry | None:
        """Return the entry under `key` and mark it as used, or None.

        The entry may have expired, or be killed at any moment: read its value first and judge
        its deadlines afterwards.
        """
        entry = self._entries.get(key)
        if entry is not None:
            entry.mark = 1
        return entry

    def find(self, keys: Iterable[str]) -> list[Entry | None]:
        """Return the entry under each key, as `get` does, without marking them."""
        return list(map(self._entries.get, keys))

    def keys(self) -> list[str]:
        """Return the keys of all entries. O(n), and in one section, as a copy."""
        with self._guard:
            return list(self._entries)

    def is_current(self, entry: Entry, digests: tuple[Digest, ...] = ()) -> bool:
        """Tell whether the tags of an entry have not changed, and that it has these tags.

        Ask after reading its value. An entry whose tags have changed leaves the table.
        """
        if entry.__class__ is not TaggedEntry:
            return not digests
        assert isinstance(entry, TaggedEntry)
        if entry.is_current(self.stamps.moment):
            return not digests or entry.has_tags(digests)
        self._discard(entry)
        return False

    # -- filling -----------------------------------------------------------------------------

    def moment(self) -> int:
        """Return the present moment, for `put`. Ask for it before the source or L2 is asked."""
        return self._drops.count

    def dropped_since(self, since: int, *names: str | Digest) -> bool:
        """Tell whether any of some keys, or tags' digests, was dropped after `since`, or may be."""
        drops = self._drops
        return drops.count > since and any(drops.overtook(since, name) for name in names)

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
        size_bytes: int | None = None,
        negative: bool = False,
        since: int | None = None,
        bonds: Bonds | None = None,
        voids: bool = False,
    ) -> Entry | None:
        """Store a value, and make room for it. Return its entry, or None where it was refused.

        It is refused where the key was dropped after the moment `since` (None: nothing can
        have overtaken it), and where it is larger than the whole table; in the latter case an
        older value of the key leaves all the same. With `bonds` it lives only as long as its
        tags do not change, and is refused where one of them has changed already. With `voids`,
        storing it voids the fills of the key, as a drop does, in the same step.
        `size_bytes` is the size of the value alone (None: estimated). Costs an amortised
        constant: at most 8 steps in search of expired entries, and evictions as needed.
        """
        if size_bytes is None:
            size_bytes = estimate_bytes(value)
        times, now_ns = Times(born_ns, fresh_until_ns, stale_until_ns, cost_ns), self._now_ns()
        draft = Draft(key, value, calm_until_ns, times, since, bonds, size_bytes, negative)
        made = self._made(draft, now_ns)
        return made[0] if self._take_in([made], now_ns, voids)[0] else None

    def put_many(self, drafts: Sequence[Draft], *, voids: bool = False) -> list[bool]:
        """Store values, each as `put` does, in as few sections as there may be.

        Tell of each whether it was stored. With `voids` their keys differ.
        """
        now_ns, stored = self._now_ns(), list[bool]()
        for start in range(0, len(drafts), _CHUNK):
            made = [self._made(draft, now_ns) for draft in drafts[start : start + _CHUNK]]
            stored += self._take_in(made, now_ns, voids)
        return stored

    def room_for(self, key: str, value: Any) -> int | None:
        """Return the size of a value, for `put`. None: it is refused, as larger than the table.

        For those who are to know so early: what else `put` needs costs more than to refuse it.
        """
        room = self.max_bytes - len(key) - ENTRY_BYTES
        if room > 0 and (size_bytes := estimate_bytes(value)) <= room:
            return size_bytes
        self.refused += 1
        if (old := self._entries.get(key)) is not None:
            self._discard(old)
        return None

    def expect_aliases(self) -> None:
        """Make room for an alias in the entries to come. Those without take 32 bytes less."""
        self._plain = AliasedEntry

    def attach(
        self,
        key: str,
        aliases: Aliases,
        alias: Any,
        kinds: Any,
        *,
        tagged: bool = False,
        needed: tuple[Digest, ...] = (),
    ) -> bool:
        """Let ``aliases[alias]`` be the entry under `key` until it leaves the table.

        `kinds`: the arguments' types, for the wrapper to compare. The alias is made of builtin
        immutable types only: comparing it must run no foreign code. An entry has one alias at
        a time; one that was made before aliases were expected is replaced by its like.
        `tagged` tells whether the wrapper looks at tags; it gets entries of that kind only, and
        with the tags that are `needed`. False: there is no such entry (any more).
        """
        if key not in self._entries:  # as after a refused fill; needs no lock
            return False
        dead: list[Entry] = []
        with self._guard as entered:
            entry = self._entries.get(key)
            if not entered or entry is None or isinstance(entry, TaggedEntry) != tagged:
                return False
            if needed and not (isinstance(entry, TaggedEntry) and entry.has_tags(needed)):
                return False
            if not isinstance(entry, AliasedEntry):
                old, entry = entry, aliasable(entry)
                self._swap(old, entry, dead)
            entry.link(aliases.place(kinds), alias)
        if dead:
            let_go(dead)
        return True

    # -- removing ----------------------------------------------------------------------------

    def drop(self, key: str) -> bool:
        """Remove an entry and void the fills of its key. Tell whether there was one.

        When it returns, no reader that looks from then on gets the old value.
        """
        return self.drop_many((key,)) > 0

    def drop_many(self, keys: Iterable[str]) -> int:
        """Remove entries and void the fills of their keys. Return how many there were."""
        todo = iter(keys)
        dropped = 0
        while chunk := list(islice(todo, _CHUNK)):
            dead: list[Entry] = []
            with self._guard as entered:
                if entered:
                    self._drops.note_many(chunk)
                    for entry in filter(None, map(self._entries.get, chunk)):
                        self._take_out(entry, dead)
                else:
                    dropped += self._kill_now(chunk)
                    self._guard.later(partial(self.drop_many, chunk))
            if dead:
                dropped += len(dead)
                let_go(dead)
            if len(chunk) < _CHUNK:
                break
        return dropped

    def turn(self, key: str, since: int, dead: list[Entry]) -> int | None:
        """Drop a key, and return the moment of that. None: it was dropped after `since` before.

        One step, so that no drop comes in between. `dead` is to be given to `let_go` afterwards.
        """
        with self._guard as entered:
            if not entered:
                self._kill_now([key])
                self._guard.later(partial(self.drop, key))
                return None
            before = self._drops.count
            overtaken = self._drops.overtook(since, key)
            self._drops.note(key)
            entry = self._entries.get(key)
            if entry is not None:
                self._take_out(entry, dead)
            interrupted = self._drops.count != before + 1
            return None if overtaken or interrupted else before + 1

    def drop_tags(self, digests: Sequence[Digest]) -> None:
        """Take all entries of these tags out of service, and void fills that name older versions.

        Costs the same whatever their number: they leave when they are next looked at.
        """
        with self._guard as entered:
            # Where a section was interrupted: its entry dies with its cells, or is refused where
            # it was just going to hold them.
            self.stamps.drop(digests, amid=not entered)
            if not entered:
                self._guard.later(partial(self.drop_tags, digests))

    def expire(self, key: str) -> bool:
        """End an entry's freshness now; its allowance to be served stale stays as it was.

        Voids the fills of the key. Tell whether there was an entry.
        """
        dead: list[Entry] = []
        with self._guard as entered:
            if entered:
                self._drops.note(key)
                old = self._entries.get(key)
                if old is not None:
                    self._swap(old, expired(old, self._now_ns()), dead)
                known = old is not None
            else:
                known = self._kill_now([key]) > 0
                self._guard.later(partial(self.drop, key))
        let_go(dead)
        return known

    def clear(self) -> int:
        """Remove all entries and void all fills. Return how many entries there were.

        Entries are killed after the lock is released, and before this returns.
        """
        with self._guard as entered:
            if not entered:
                self._drops.note_all()
                self.stamps.clear()
                self._guard.later(self.clear)
                return self._kill_now(list(self._entries))
            dead = self._start_over()
        for entry in dead:
            entry.kill()
        for start in range(0, len(dead), _CHUNK):
            with self._guard:
                for entry in dead[start : start + _CHUNK]:
                    entry.unlink()
        let_go(dead)
        return len(dead)

    def void_fills(self) -> None:
        """Let no value be stored that was asked for before now. Entries stay."""
        with self._guard:
            self._drops.note_all()

    def sweep(self, limit: int) -> int:
        """Remove up to `limit` entries that may not even be served stale. Return how many.

        Looks at no more than 8 times as many entries, going on where the last sweep ended.
        """
        dead: list[Entry] = []
        with self._guard as entered:
            if entered:
                self._sweep(limit, _SWEEP_STEPS * limit, self._now_ns(), dead)
        let_go(dead)
        return len(dead)

    def check(self) -> None:
        """Raise `AssertionError`, in words, where the structure contradicts itself. O(n)."""
        with self._guard as entered:
            assert entered, "the table is checked while it is being changed"
            self._drops.check()
            self._policy.check()
            held = {id(entry) for entry in self._policy}
            assert len(held) == len(self._entries), (
                f"the policy holds {len(held)} entries, the table {len(self._entries)}"
            )
            for key, entry in self._entries.items():
                assert entry.key == key, "an entry is stored under another key than its own"
                assert entry.alive, f"the entry of {key!r} is killed and still in the table"
                assert id(entry) in held, f"the policy does not hold the entry of {key!r}"
            total = sum(entry.size for entry in self._entries.values())
            assert total == self._bytes, f"entries of {total} bytes are counted as {self._bytes}"
            self.stamps.check(entry.cells for entry in self._entries.values())
            assert self.bytes <= self.max_bytes, f"{self.bytes} bytes are more than allowed"
            assert len(self._entries) <= self.max_entries, "more entries than allowed"
            cursor = self._cursor
            assert cursor is None or id(cursor) in held, "the sweep stands on a removed entry"

    def _made(self, draft: Draft, now_ns: int) -> _Made:
        """Return the entry that a draft becomes, its moment and its bonds."""
        key, value, calm_until_ns, times, since, bonds, size_bytes, negative = draft
        if calm_until_ns > now_ns:
            # Or a little less, as an integer that other entries share.
            grid = self._grid
            if len(grid) >= _MAX_GRID:
                grid.clear()
            rounded_ns = round_down(calm_until_ns, calm_until_ns - now_ns)
            calm_until_ns = grid.setdefault(rounded_ns, rounded_ns)
        size = size_bytes + len(key) + ENTRY_BYTES
        if bonds:
            size += TAGS_BYTES + TAG_BYTES * len(bonds.stamps)
        others = packed(calm_until_ns, *times, size, negative)
        return (TaggedEntry if bonds else self._plain)(key, value, *others), since, bonds

    def _take_in(self, made: Sequence[_Made], now_ns: int, voids: bool) -> list[bool]:
        """Take in new entries, in one section: see `put`.

        False: something has overtaken it, or it is too large.
        """
        stored: list[bool] = []
        dead: list[Entry] = []
        with self._guard as entered:
            drops, entries, keys, swapped = self._drops, self._entries, list[str](), 0
            for entry, since, bonds in made if entered else ():
                stands = not bonds or self._bind(entry, bonds)
                if stands and since is not None and since < drops.count:
                    stands = not drops.overtook(since, entry.key)
                stored.append(stands)
                if stands:
                    keys.append(entry.key)
            if voids:
                drops.note_many(keys)
            for at, stands in enumerate(stored):
                if stands:
                    entry = made[at][0]
                    old = entries.get(entry.key)
                    if old is not None:
                        entry.mark = 1
                        if self.bytes + (grown := entry.growth(old)) <= self.max_bytes:
                            self._swap(old, entry, dead, grown)
                            swapped += 1
                            continue
                        # Room is made for it as for any other, or it might be the one to leave.
                        self._take_out(old, dead)
                    stored[at] = self._insert(entry, now_ns, dead)
            if swapped:
                self._tidy(swapped, now_ns, dead)
            for stands, (entry, _, _) in zip(stored, made, strict=False):
                if not stands and entry.cells:
                    self.stamps.release(entry.cells)
            self.refused += len(made) - sum(stored)
        if dead:
            let_go(dead)
        return stored or [False] * len(made)

    # -- inside sections ---------------------------------------------------------------------

    def _insert(self, entry: Entry, now_ns: int, dead: list[Entry]) -> bool:
        """Take in an entry under a new key. False: it is larger than the table."""
        size = entry.size
        if size + len(entry.cells) * CELL_BYTES > self.max_bytes or self.max_entries < 1:
            return False
        self._make_room(size, now_ns, dead)
        self._entries[entry.key] = entry
        self._policy.insert(entry)
        self._bytes += size
        return True

    def _bind(self, entry: Entry, bonds: Bonds) -> bool:
        """Let an entry live by its tags. False: one of them has changed."""
        moment = self.stamps.moment
        cells = self.stamps.cells_for(bonds)
        if cells is None:
            return False
        assert isinstance(entry, TaggedEntry)
        entry.cells, entry.checked = cells, moment
        return True

    def _discard(self, entry: Entry) -> None:
        """Remove an entry that is of no use any more, if it is still there."""
        dead: list[Entry] = []
        with self._guard as entered:
            if entered and self._entries.get(entry.key) is entry:
                self._take_out(entry, dead)
        let_go(dead)

    def _make_room(self, size: int, now_ns: int, dead: list[Entry]) -> None:
        """Remove expired entries that are easily found, then evict what one more needs."""
        self._tidy(1, now_ns, dead)
        most, most_bytes = self.max_entries - 1, self.max_bytes - size
        while len(self._entries) > most or self.bytes > most_bytes:
            victim = self._policy.evict()
            if victim is None:
                return
            if victim is self._cursor:
                self._cursor = None
            if victim.calm_until_ns <= now_ns and victim.stale_until_ns <= now_ns:
                self.expirations += 1
            else:
                self.evictions += 1
            self._retire(victim, dead)

    def _tidy(self, stored: int, now_ns: int, dead: list[Entry]) -> None:
        """Remove expired entries that are easily found, a few for each that is stored."""
        idle = stored * _IDLE_SWEEP_STEPS
        if self._sweep(idle, idle, now_ns, dead):
            self._sweep(stored * _SWEEP_STEPS, stored * _SWEEP_STEPS - idle, now_ns, dead)

    def _sweep(self, limit: int, steps: int, now_ns: int, dead: list[Entry]) -> int:
        """Look at up to `steps` entries and remove up to `limit`. Return how many."""
        found, entry = 0, self._cursor
        following, moment = self._policy.following, self.stamps.moment
        for _ in range(steps):
            if entry is None:
                entry = following(None)
            if entry is None or found == limit:
                break
            # Only the end of a queue is in none itself.
            follower = entry.after if entry.after.queue is not None else following(entry)
            calm = entry.calm_until_ns > now_ns and entry.__class__ is not TaggedEntry
            if not calm and entry.is_over(now_ns, moment):
                self._policy.remove(entry)
                self._retire(entry, dead)
                found += 1
            entry = follower
        self._cursor = entry
        self.expirations += found
        return found

    def _swap(self, old: Entry, new: Entry, dead: list[Entry], grown: int = 0) -> None:
        """Put a new entry, so much larger, in the place of an old one under the same key.

        The value of what ends, here and below, is let go by the caller, after the section.
        """
        self._entries[new.key] = new
        self._policy.replace(old, new)
        if old is self._cursor:
            self._cursor = new
        self._bytes += grown
        old.end()
        dead.append(old)
        if old.cells is not new.cells:  # as of one that was expired: its like has taken them over
            self.stamps.release(old.cells)

    def _take_out(self, entry: Entry, dead: list[Entry]) -> None:
        if entry is self._cursor:
            self._cursor = self._policy.following(entry)
        self._policy.remove(entry)
        self._retire(entry, dead)

    def _retire(self, entry: Entry, dead: list[Entry]) -> None:
        """End an entry that the policy has let go of."""
        del self._entries[entry.key]
        self._bytes -= entry.size
        entry.end()
        if entry.cells:
            self.stamps.release(entry.cells)
        dead.append(entry)

    def _start_over(self) -> list[Entry]:
        """Become empty in a constant number of steps. Return the entries, still to be killed."""
        dead, self._entries = self._entries, {}
        self._policy = self._new_policy()
        self._drops.note_all()
        self.stamps.clear()
        self._cursor = None
        self._bytes = 0
        return list(dead.values())

    def _reset(self) -> None:
        for entry in self._start_over():
            entry.end()

    # -- when a section was interrupted by a call to this table ------------------------------

    def _kill_now(self, keys: Sequence[str]) -> int:
        """Kill entries and void fills without touching the structure, which is being changed."""
        entries = [entry for key in keys if (entry := self._entries.get(key)) is not None]
        for entry in entries:
            entry.kill()
        for key in keys:
            self._drops.note(key)
        return len(entries)


def let_go(dead: list[Entry]) -> None:
    """Release the values of killed entries. Foreign code may run: hold no lock."""
    for entry in dead:
        entry.value = None
        entry.before = entry.after = NOWHERE
