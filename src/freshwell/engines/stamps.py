"""Which versions of tags this process knows, and which L1 entries live and die by them.

An L1 entry does not remember its tags' versions: it holds a *cell* for each tag, shared by all
entries under it. To forget a tag is to end its cell, at the same cost for one entry as for
a million. An entry asks its cells only when some cell that is held has ended since it last asked
(`moment`), so that a hit on a tagged entry compares one more integer.

A cell is in here for as long as an entry in the table holds it, because here notices reach it. So
there may be as many as entries have tags, and the table counts them among its bytes. When nobody
holds it any more it is *idle*: its version stays known, until there are too many such cells, and
then the one that has been idle for longest is forgotten, which ends no entry. What is no longer in
here is neither given to an entry nor believed, as no notice would reach it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from freshwell.engines.drops import Drops
from freshwell.ground.memo import Memo

__all__ = ["CELL_BYTES", "Bonds", "Cell", "Digest", "Stamped", "Stamps", "idle_limit"]

CELL_BYTES = 280
"""What a cell takes with its digest, its version and its place in here. See decision record 5."""

_IDLE_BYTES = 410
"""What a cell takes that no entry holds: it has a place in an order too."""

_IDLE_SHARE = 4
_FEWEST_IDLE = 1_000

_MAX_WRITTEN = 2_000
"""Of how many sets of tags it is remembered how their versions are written."""

Digest = bytes
"""What a tag is known by."""

Stamped = tuple[tuple[bytes, bytes], ...]
"""Tags by their digests, and their versions."""


class Bonds(NamedTuple):
    """What an entry lives by: tags' digests and their versions, which were current at `since`.

    `since`: a moment of the table; None: nothing can have changed. `until_ns`: up to when L2
    keeps each version.
    """

    stamps: Stamped
    until_ns: tuple[int, ...]
    since: int | None

    @classmethod
    def of(cls, stamps: Stamped, since: int | None) -> Bonds:
        """Return bonds to versions of which nothing is known but that they were current."""
        return cls(stamps, (0,) * len(stamps), since)


class Cell:
    """A tag's version, as known here. Once it has ended it never comes back.

    - `until_ns`: up to when an entry may rely on L2 to keep the version.
    - `held`: how many entries of the table hold it.
    """

    __slots__ = ("digest", "held", "live", "stamp", "until_ns")

    def __init__(self, digest: bytes, stamp: bytes, until_ns: int) -> None:
        self.digest = digest
        self.stamp = stamp
        self.until_ns = until_ns
        self.held = 0
        self.live = True


def idle_limit(max_entries: int, max_bytes: int) -> int:
    """Return how many cells that no entry holds a table of this size keeps.

    They take no more than a quarter of its bytes, which they are not counted among; but some there
    are where entries are too large for it, so that versions need not be asked for.
    """
    return min(max_entries, max(_FEWEST_IDLE, max_bytes // (_IDLE_SHARE * _IDLE_BYTES)))


class Stamps:
    """The cells of one table, whose lock guards all changes. Readers take none.

    At most `idle_limit` cells that no entry holds are kept.

    - `known`: returns the cell of a tag, or None. Needs no lock.
    - `moment`: counts the times when cells have ended that entries hold.
    - `held`: how many cells entries hold, with those that have ended.
    """

    __slots__ = (
        "_cells",
        "_drops",
        "_idle",
        "_idle_limit",
        "_left",
        "_written",
        "held",
        "known",
        "moment",
    )

    def __init__(self, drops: Drops, idle_limit: int) -> None:
        self._drops = drops
        self._idle_limit = idle_limit
        self._cells: dict[bytes, Cell] = {}
        # The oldest has to be found at once: a dictionary looks for it in linear time.
        self._idle: OrderedDict[bytes, Cell] = OrderedDict()
        self.known: Callable[[bytes], Cell | None] = self._cells.get
        self.held = 0
        self.moment = 0
        self._left = 0
        self._written = Memo[tuple[bytes, ...], tuple[int, bytes]](_MAX_WRITTEN)

    def __len__(self) -> int:
        return len(self._cells)

    def written(self, digests: tuple[bytes, ...]) -> bytes | None:
        """Return the stamps of an entry that has these tags and no others, as frames carry them.

        None: not all versions are known here. Needs no lock. What was found is true for as long
        as no cell has left, and is worked out anew for each set of tags where one has.
        """
        left, known = self._left, self._written.get(digests)  # what has left before the cells
        if known is not None and known[0] == left:
            return known[1]
        cells = [cell for digest in digests if (cell := self.known(digest)) is not None]
        if len(cells) < len(digests):
            return None
        stamps = b"".join([cell.digest + cell.stamp for cell in cells])
        self._written.keep(digests, (left, stamps))
        return stamps

    # -- inside the table's sections ---------------------------------------------------------

    def cells_for(self, bonds: Bonds) -> tuple[Cell, ...] | None:
        """Return the cells for an entry with these versions, which holds them from now on.

        None: one of them has been overtaken, or contradicts what is known.
        """
        stamps, untils_ns, since = bonds
        cells, drops, known, begun = list[Cell](), self._drops, self.known, self._drops.count
        for (digest, stamp), until_ns in zip(stamps, untils_ns, strict=True):
            if since is not None and drops.count > since and drops.overtook(since, digest):
                break
            cell = known(digest)
            if cell is None:
                cell = self._cells[digest] = Cell(digest, stamp, until_ns)
                self.held += 1
            elif cell.stamp != stamp:
                # Which of the two is the newer cannot be told: L2 will say.
                self.drop((digest,))
                break
            else:
                if not cell.held:
                    self._idle.pop(digest, None)
                    self.held += 1
                if cell.until_ns < until_ns:
                    cell.until_ns = until_ns
            cell.held += 1
            cells.append(cell)
        # Whoever has interrupted this may have dropped a tag that had no cell yet.
        if len(cells) == len(stamps) and drops.count == begun:
            return tuple(cells)
        self.release(cells)
        return None

    def release(self, cells: Iterable[Cell]) -> None:
        """Let go of the cells of an entry that has left the table, or has not come into it."""
        idle = self._idle
        for cell in cells:
            cell.held -= 1
            if not cell.held:
                self.held -= 1
                if cell.live:
                    idle[cell.digest] = cell
        if len(idle) > self._idle_limit:
            for _ in range(len(idle) - self._idle_limit):
                digest, cell = idle.popitem(last=False)
                if self.known(digest) is cell:
                    self._cells.pop(digest, None)
            # After the cells, as `written` reads this before them. No entry has to look anew.
            self._left += 1

    def drop(self, digests: Iterable[bytes], *, amid: bool = False) -> None:
        """End the cells of tags, and void the fills that name an older version of them.

        `amid`: in the middle of a section, which may be about to forget one of them. The same is
        to be done once more after it.
        """
        left, held = amid, False
        for digest in digests:
            self._drops.note(digest)
            cell = self._cells.pop(digest, None)
            if not amid:
                self._idle.pop(digest, None)
            if cell is not None:
                cell.live = False
                left, held = True, held or cell.held > 0
        # After the cells: who reads these counts and then a cell sees it ended.
        self._left += left
        self.moment += held

    def clear(self) -> None:
        """End all cells, which no entry holds any more. The table has voided all fills."""
        cells, self._cells, self._idle = self._cells, {}, OrderedDict()
        self.known = self._cells.get
        for cell in cells.values():
            cell.live = False
        self.held = 0
        self._left += 1
        self.moment += 1

    def check(self, holders: Iterable[Iterable[Cell]]) -> None:
        """Raise `AssertionError` where counts are not what the cells of all entries say. O(n)."""
        held = Counter(cell for cells in holders for cell in cells)
        assert self.held == len(held), f"{len(held)} cells are held, and counted as {self.held}"
        for cell, count in held.items():
            assert cell.held == count, f"{count} entries hold a cell that counts {cell.held}"
            assert not cell.live or self.known(cell.digest) is cell, "no notice reaches a live cell"
        for digest, cell in self._cells.items():
            assert cell.live, "a cell has ended and is still known"
            assert cell.digest == digest, "a cell is known under another digest than its own"
            assert (cell in held) != (digest in self._idle), "a cell is idle and held, or neither"
        assert self._idle.keys() <= self._cells.keys(), "an idle cell is not known"
        assert len(self._idle) <= self._idle_limit, f"{len(self._idle)} cells are idle"
