"""An entry of the L1 table, in as few bytes as Python allows, readable without a lock.

**What a hit does to an entry**, whoever makes it (`Table.get`, a wrapper's generated code)::

    value = entry.value                      # 1. the value, before its deadlines
    if now_ns < entry.calm_until_ns:         # 2. the deadline, after the value
        entry.mark = 1                       # 3. the usage mark, for eviction
        return value

An entry is never changed once it is in a table, except that it is *killed*: its deadlines go
to the past, first the packed ones, then `calm_until_ns`, and only then may its value be let
go. So whoever reads the value first and the deadlines afterwards, in the order of the
properties below, either gets a value that was in service or a deadline that has passed.

**Size.** A million entries live or die by their overhead. The times that a plain hit does not
need are packed into one integer, and `calm_until_ns` is rounded down to a grid, so that
entries with about the same deadline share one integer object (`round_down`).
"""

from __future__ import annotations

from typing import Any

from freshwell.engines.stamps import Cell
from freshwell.ground.freshness import LONG_AGO_NS

__all__ = [
    "ENTRY_BYTES",
    "NOWHERE",
    "TAGS_BYTES",
    "TAG_BYTES",
    "AliasedEntry",
    "Aliases",
    "Entry",
    "TaggedEntry",
    "aliasable",
    "expired",
    "packed",
    "round_down",
]

ENTRY_BYTES = 240
"""What an entry of a full table costs over its key and value. Measured: see decision record 2."""

TAGS_BYTES = 96
"""What an entry with tags takes beyond one without: its other attributes, and a tuple."""

TAG_BYTES = 8
"""What each tag adds to that. Its cell is shared, and counted once (`CELL_BYTES`)."""

NOWHERE: Any = None
"""The neighbour of an entry that is in no queue. Not the entry itself: that would be a cycle."""

_GRID_SHIFT = 8
_MAX_PLACES = 1_000

_SIZE_BITS = 36
_COST_BITS = 44
_LIFE_BITS = 55
_LAG_BITS = 55
_SIZE_AT = 1
_COST_AT = _SIZE_AT + _SIZE_BITS
_LIFE_AT = _COST_AT + _COST_BITS
_LAG_AT = _LIFE_AT + _LIFE_BITS
_GRACE_AT = _LAG_AT + _LAG_BITS
_SIZE_MASK = (1 << _SIZE_BITS) - 1
_COST_MASK = (1 << _COST_BITS) - 1
_LIFE_MASK = (1 << _LIFE_BITS) - 1
_LAG_MASK = (1 << _LAG_BITS) - 1


def round_down(deadline_ns: int, life_ns: int) -> int:
    """Return `deadline_ns` or a little earlier (by at most 1/256 of `life_ns`), on a grid."""
    shift = life_ns.bit_length() - _GRID_SHIFT - 1
    return deadline_ns if shift <= 0 else deadline_ns >> shift << shift


def packed(
    calm_until_ns: int,
    born_ns: int,
    fresh_until_ns: int,
    stale_until_ns: int,
    cost_ns: int,
    size: int,
    negative: bool,
) -> tuple[int, int]:
    """Return an entry's `calm_until_ns`, and its other times and its size in one integer.

    They are put in order: born <= fresh, calm <= fresh <= stale. Lives and allowances are kept up
    to 400 days, costs up to 4 hours, sizes up to 64 GiB; what is larger is cut down to that.
    """
    life_ns, lag_ns = fresh_until_ns - born_ns, fresh_until_ns - calm_until_ns
    grace_ns = stale_until_ns - fresh_until_ns
    # What is negative stays so however far it is shifted.
    if (life_ns | lag_ns | grace_ns) >> _LIFE_BITS or cost_ns >> _COST_BITS or size >> _SIZE_BITS:
        grace_ns = max(grace_ns, 0)
        fresh_until_ns = min(fresh_until_ns, born_ns + _LIFE_MASK)
        life_ns = max(fresh_until_ns - born_ns, 0)
        lag_ns = min(max(fresh_until_ns - calm_until_ns, 0), _LAG_MASK)
        calm_until_ns = fresh_until_ns - lag_ns
        cost_ns, size = min(max(cost_ns, 0), _COST_MASK), min(size, _SIZE_MASK)
    return calm_until_ns, (
        negative
        | size << _SIZE_AT
        | cost_ns << _COST_AT
        | life_ns << _LIFE_AT
        | lag_ns << _LAG_AT
        | grace_ns << _GRACE_AT
    )


class Entry:
    """A value in L1 with its times, on the reader's monotonic clock.

    - `value`, `key`; `calm_until_ns`: up to here the value may be served with nothing to decide.
    - `mark`: truthy when there was a hit since eviction last looked.
    - `queue`, `before`, `after`: the eviction policy's.
    - `cells`: what it lives by. This kind has no tags.
    """

    __slots__ = (
        "_packed",
        "after",
        "before",
        "calm_until_ns",
        "key",
        "mark",
        "queue",
        "value",
    )

    value: Any
    key: str
    calm_until_ns: int
    mark: int
    queue: Any
    before: Entry
    after: Entry
    cells: tuple[Cell, ...] = ()

    def __init__(self, key: str, value: Any, calm_until_ns: int, others: int) -> None:
        """Take the times as `packed` returns them."""
        self.key = key
        self.value = value
        self.mark = 0
        self.queue = None
        self.before = self.after = NOWHERE
        self.calm_until_ns = calm_until_ns
        self._packed = others

    # Each deadline reads `calm_until_ns` before `_packed`; `kill` writes them the other way
    # round. So a deadline is never made of one value from before a kill and one from after it.

    @property
    def fresh_until_ns(self) -> int:
        """When the entry's TTL ends. -1: killed."""
        calm_until_ns = self.calm_until_ns
        packed = self._packed
        return LONG_AGO_NS if packed < 0 else calm_until_ns + (packed >> _LAG_AT & _LAG_MASK)

    @property
    def stale_until_ns(self) -> int:
        """When the allowance to serve the entry after its TTL ends. -1: killed."""
        calm_until_ns = self.calm_until_ns
        packed = self._packed
        if packed < 0:
            return LONG_AGO_NS
        return calm_until_ns + (packed >> _LAG_AT & _LAG_MASK) + (packed >> _GRACE_AT)

    @property
    def born_ns(self) -> int:
        """When the value was loaded. -1: killed."""
        calm_until_ns = self.calm_until_ns
        packed = self._packed
        if packed < 0:
            return LONG_AGO_NS
        lag_ns = packed >> _LAG_AT & _LAG_MASK
        return calm_until_ns + lag_ns - (packed >> _LIFE_AT & _LIFE_MASK)

    @property
    def cost_ns(self) -> int:
        """How long the load took. 0: killed, or not known."""
        packed = self._packed
        return 0 if packed < 0 else packed >> _COST_AT & _COST_MASK

    @property
    def size(self) -> int:
        """What the entry counts against the table's bytes. Still there after a kill."""
        packed = self._packed
        return (~packed if packed < 0 else packed) >> _SIZE_AT & _SIZE_MASK

    def growth(self, old: Entry) -> int:
        """Return how much larger this entry, alive, is than one that it replaces."""
        packed = old._packed
        size = (~packed if packed < 0 else packed) >> _SIZE_AT & _SIZE_MASK
        return (self._packed >> _SIZE_AT & _SIZE_MASK) - size

    @property
    def negative(self) -> bool:
        """Tell whether the source said that there is no such thing. False: killed."""
        packed = self._packed
        return packed >= 0 and bool(packed & 1)

    def is_over(self, now_ns: int, moment: int) -> bool:
        """Tell whether the entry may not even be served stale, at `now_ns`."""
        return self.calm_until_ns <= now_ns and self.stale_until_ns <= now_ns

    @property
    def alive(self) -> bool:
        """Tell whether the entry is in service."""
        return self._packed >= 0

    def kill(self) -> None:
        """Take the entry out of service: no reader that looks from now on may serve it."""
        packed = self._packed
        if packed >= 0:
            self._packed = ~packed
        self.calm_until_ns = LONG_AGO_NS

    def unlink(self) -> None:
        """Remove the entry's alias: this kind has none."""

    end = kill
    """Kills the entry and removes its alias."""

    def __repr__(self) -> str:
        state = "alive" if self.alive else "killed"
        return f"<{type(self).__name__} {state}, {self.size} bytes>"


class Aliases(dict[Any, Entry]):
    """The entries of a cached function, by its arguments."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[Any, Place] = {}

    def place(self, kinds: Any) -> Place:
        """Return what entries found by arguments of these types have in common."""
        known = self._places.get(kinds)
        if known is None:
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            known = self._places[kinds] = Place(self, kinds)
        return known


class Place:
    """Where entries are found by arguments of the same types: kept once, and not in each of them.

    - `aliases`: the function's entries by its arguments. `kinds`: the arguments' types, for the
      wrapper to compare.
    """

    __slots__ = ("aliases", "kinds")

    def __init__(self, aliases: dict[Any, Entry], kinds: Any) -> None:
        self.aliases = aliases
        self.kinds = kinds


_NO_PLACE = Place({}, None)
"""Where an entry without an alias is found: by no arguments."""


class AliasedEntry(Entry):
    """An entry that a cached function can find by its arguments.

    - `alias`: the arguments, as they are spelled in `place.aliases`.
    """

    __slots__ = ("alias", "place")

    alias: Any
    place: Place

    def __init__(self, key: str, value: Any, calm_until_ns: int, others: int) -> None:
        # All of it here: `super` and one call more would be a quarter of making an entry.
        self.key = key
        self.value = value
        self.mark = 0
        self.queue = None
        self.before = self.after = NOWHERE
        self.calm_until_ns = calm_until_ns
        self._packed = others
        self.alias = None
        self.place = _NO_PLACE

    def link(self, place: Place, alias: Any) -> None:
        """Let this entry be found by these arguments, and by no others any more."""
        if self.place is not _NO_PLACE:
            self.unlink()
        self.place, self.alias = place, alias
        place.aliases[alias] = self

    def unlink(self) -> None:
        """Remove the entry's alias, unless another entry has taken it."""
        place = self.place
        if place is not _NO_PLACE:
            if place.aliases.get(self.alias) is self:
                del place.aliases[self.alias]
            self.place, self.alias = _NO_PLACE, None

    def end(self) -> None:
        """Kill the entry and remove its alias."""
        self.kill()
        if self.place is not _NO_PLACE:
            self.unlink()


class TaggedEntry(AliasedEntry):
    """An entry that lives only as long as all of its tags' cells.

    - `cells`: one for each tag. `checked`: the moment of `Stamps` up to which they are known
      to be live; a hit compares it, as its third and last condition.
    """

    __slots__ = ("cells", "checked")

    cells: tuple[Cell, ...]
    checked: int

    def __init__(self, key: str, value: Any, calm_until_ns: int, others: int) -> None:
        super().__init__(key, value, calm_until_ns, others)
        self.cells = ()
        self.checked = -1

    def is_over(self, now_ns: int, moment: int) -> bool:
        """Tell whether the entry may not be served any more, as its tags were at `moment` too."""
        return super().is_over(now_ns, moment) or not self.is_current(moment)

    def is_current(self, moment: int) -> bool:
        """Tell whether no tag has changed up to `moment`, which was read before."""
        if self.checked == moment:
            return True
        for cell in self.cells:
            if not cell.live:
                return False
        self.checked = moment
        return True

    def has_tags(self, digests: tuple[bytes, ...]) -> bool:
        """Tell whether the entry has all these tags, and may have others."""
        own = tuple([cell.digest for cell in self.cells])
        return own == digests or {*own}.issuperset(digests)  # mostly it has just these


def expired(old: Entry, now_ns: int) -> Entry:
    """Return an entry like `old` whose freshness has ended by `now_ns`, without its alias."""
    fresh_until_ns, stale_until_ns, born_ns = old.fresh_until_ns, old.stale_until_ns, old.born_ns
    new = type(old)(
        old.key,
        old.value,
        *packed(
            LONG_AGO_NS,
            born_ns,
            min(fresh_until_ns, now_ns),
            stale_until_ns,
            old.cost_ns,
            old.size,
            old.negative,
        ),
    )
    new.mark = old.mark
    if isinstance(old, TaggedEntry) and isinstance(new, TaggedEntry):
        new.cells, new.checked = old.cells, old.checked
    return new


def aliasable(old: Entry) -> AliasedEntry:
    """Return an entry like `old`, which has no tags, that can have an alias."""
    others = old._packed  # before the other deadline, which a kill writes last
    new = AliasedEntry(old.key, old.value, old.calm_until_ns, others)
    new.mark = old.mark
    return new
