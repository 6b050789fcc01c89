"""Which versions of tags this process knows, and which L1 entries live and die by them.

An L1 entry does not remember its tags' versions: it holds a *cell* for each tag, shared by all
entries under it. To forget a tag is to end its cell, at the same cost for one entry as for
a million. An entry asks its cells only when some cell has ended since it last asked (`moment`),
so that a hit on a tagged entry compares one more integer.

A cell may be given to entries while it is in here, because then notices reach it. One that is
dropped, forgotten for lack of room, or replaced has ended, and its entries with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from freshwell.engines.drops import Drops

__all__ = ["Bonds", "Cell", "Stamped", "Stamps"]

_MAX_WRITTEN = 2_000
"""Of how many sets of tags it is remembered how their versions are written."""

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
    """

    __slots__ = ("digest", "live", "stamp", "until_ns")

    def __init__(self, digest: bytes, stamp: bytes, until_ns: int) -> None:
        self.digest = digest
        self.stamp = stamp
        self.until_ns = until_ns
        self.live = True


class Stamps:
    """The cells of one table, whose lock guards all changes. Readers take none.

    - `known`: returns the cell of a tag, or None. Needs no lock.
    - `moment`: counts the cells that have ended.
    """

    __slots__ = ("_cells", "_drops", "_limit", "_written", "known", "moment")

    def __init__(self, drops: Drops, limit: int) -> None:
        self._drops = drops
        self._limit = limit
        # The oldest has to be found at once: a dictionary looks for it in linear time.
        self._cells: OrderedDict[bytes, Cell] = OrderedDict()
        self.known: Callable[[bytes], Cell | None] = self._cells.get
        self.moment = 0
        self._written: dict[tuple[bytes, ...], tuple[int, bytes]] = {}

    def __len__(self) -> int:
        return len(self._cells)

    def written(self, digests: tuple[bytes, ...]) -> bytes | None:
        """Return the stamps of an entry that has these tags and no others, as frames carry them.

        None: not all versions are known here. Needs no lock. What was found is true for as long
        as no cell has ended, and is worked out anew for each set of tags where one has.
        """
        moment, known = self.moment, self._written.get(digests)  # the moment before the cells
        if known is not None and known[0] == moment:
            return known[1]
        cells = [cell for digest in digests if (cell := self.known(digest)) is not None]
        if len(cells) < len(digests):
            return None
        stamps = b"".join([cell.digest + cell.stamp for cell in cells])
        if len(self._written) >= _MAX_WRITTEN:
            self._written.clear()
        self._written[digests] = moment, stamps
        return stamps

    # -- inside the table's sections ---------------------------------------------------------

    def cells_for(self, bonds: Bonds) -> tuple[Cell, ...] | None:
        """Return the cells for an entry with these versions.

        None: one of them has been overtaken, or contradicts what is known.
        """
        stamps, untils_ns, since = bonds
        cells, drops, known = [], self._drops, self.known
        for (digest, stamp), until_ns in zip(stamps, untils_ns, strict=True):
            if since is not None and drops.count > since and drops.overtook(since, digest):
                return None
            cell = known(digest)
            if cell is None:
                cell = self._add(digest, stamp, until_ns)
            elif cell.stamp != stamp:
                # Which of the two is the newer cannot be told: L2 will say.
                self.drop((digest,))
                return None
            if cell.until_ns < until_ns:
                cell.until_ns = until_ns
            cells.append(cell)
        return tuple(cells)

    def drop(self, digests: Iterable[bytes]) -> None:
        """End the cells of tags, and void the fills that name an older version of them."""
        ended = False
        for digest in digests:
            self._drops.note(digest)
            cell = self._cells.pop(digest, None)
            if cell is not None:
                cell.live = False
                ended = True
        if ended:
            # After the cells: who reads this count and then a cell sees it ended.
            self.moment += 1

    def clear(self) -> None:
        """End all cells. The table has voided all fills."""
        cells, self._cells = self._cells, OrderedDict()
        self.known = self._cells.get
        for cell in cells.values():
            cell.live = False
        self.moment += 1

    def _add(self, digest: bytes, stamp: bytes, until_ns: int) -> Cell:
        if len(self._cells) >= self._limit:
            _, oldest = self._cells.popitem(last=False)
            oldest.live = False
            self.moment += 1
        cell = self._cells[digest] = Cell(digest, stamp, until_ns)
        return cell
