"""Hold what writers were told against what the source has, and has been given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.faults.behind.diary import Acked, Diary, Read
from tests.faults.behind.statements import KEPT, LOGGED
from tests.support.postgres import Postgres

__all__ = [
    "Delivered",
    "Kept",
    "Verdict",
    "disordered",
    "false_values",
    "judged",
    "kept_in",
    "logged_in",
    "outdated",
]


class Kept(NamedTuple):
    """A row of the source."""

    value: str
    fence: int


_NOTHING = Kept("", 0)


class Delivered(NamedTuple):
    """What the source was given once."""

    id: int
    value: str
    sequence: int
    token: str
    attempt: int
    applied: bool


@dataclass
class Verdict:
    """What a campaign has shown. All of the second half have to be 0.

    - `covered`: acknowledged, and never given to the source: a later one of the row was.
    - `duplicates`: deliveries of what had been delivered. `absorbed`: deliveries that the source
      has refused to apply, having that or something later.
    - `unasked`: applied without having been acknowledged. Their writers were told that it is not
      known, or were dead.
    - `lost`: acknowledged, and the source has nothing so late of the row.
    - `disordered`: applied over what was later, or once more.
    - `false`: delivered or stored with another value than was acknowledged, or one that nobody put.
    - `burnt`: deliveries that were not the first attempt, although the source refuses nothing.
    - `outdated`: reads of what was older than an acknowledged write of the same process.
    - `differing`: rows that readers see otherwise than the source has them, at the end.
    """

    acknowledged: int = 0
    delivered: int = 0
    covered: int = 0
    duplicates: int = 0
    absorbed: int = 0
    unasked: int = 0
    reads: int = 0
    lost: int = 0
    disordered: int = 0
    false: int = 0
    burnt: int = 0
    outdated: int = 0
    differing: int = 0
    dead: int = 0

    @property
    def wrong(self) -> dict[str, int]:
        """Return what must not be, by name."""
        names = ("lost", "disordered", "false", "burnt", "outdated", "differing", "dead")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def judged(diaries: Sequence[Diary], source: Postgres, *, all_delivered: bool) -> Verdict:
    """Judge. `all_delivered`: the source must have been given every write that was acknowledged."""
    kept, logged = kept_in(source), logged_in(source)
    acked = [write for diary in diaries for write in diary.acked()]
    meant = {pair for diary in diaries for pair in diary.meant()}
    found = Verdict(acknowledged=len(acked), delivered=len(logged))
    tokens = {write.token for write in logged}
    found.duplicates = len(logged) - len(tokens)
    found.absorbed = sum(not write.applied for write in logged)
    found.burnt = sum(write.attempt != 1 for write in logged)
    known = {write.token for write in acked}
    found.unasked = len({write.token for write in logged if write.applied} - known)
    missing = [write for write in acked if write.token not in tokens]
    found.covered = len(missing)
    lost = {write for write in acked if write.sequence > kept.get(write.id, _NOTHING).fence}
    found.lost = len(lost.union(missing) if all_delivered else lost)
    found.disordered = disordered(logged)
    found.false = false_values(acked, logged, kept, meant)
    reads = [read for diary in diaries for read in diary.reads()]
    found.reads = len(reads)
    found.outdated = outdated(reads, acked, logged)
    return found


def disordered(logged: Iterable[Delivered]) -> int:
    """Count what was applied over what is later, or over itself."""
    last: dict[int, int] = {}
    count = 0
    for write in logged:
        if write.applied:
            count += write.sequence <= last.get(write.id, 0)
            last[write.id] = write.sequence
    return count


def false_values(
    acked: Iterable[Acked],
    logged: Iterable[Delivered],
    kept: dict[int, Kept],
    meant: set[tuple[int, str]],
) -> int:
    """Count values that are not those of their writes."""
    of = {write.token: write for write in acked}
    by_place = {(write.id, write.sequence): write.value for write in of.values()}
    by_value = {(write.id, write.value): write.sequence for write in of.values()}
    count = 0
    for write in logged:
        was = of.get(write.token)
        same = was is None or was[:3] == write[:3]
        count += not same or (write.id, write.value) not in meant
    for id, row in kept.items():
        same = by_place.get((id, row.fence), row.value) == row.value
        count += not same or by_value.get((id, row.value), row.fence) != row.fence
    return count


def outdated(reads: Iterable[Read], acked: Iterable[Acked], logged: Iterable[Delivered]) -> int:
    """Count reads of what is older than the write that was acknowledged before, or of nothing."""
    sequences = {(write.id, write.value): write.sequence for write in logged}
    sequences |= {(write.id, write.value): write.sequence for write in acked}
    count = 0
    for read in reads:
        # What is not known was never acknowledged nor delivered: it may be later.
        sequence = sequences.get((read.id, read.value), read.sequence)
        count += sequence < read.sequence or read.value == "None"
    return count


def kept_in(source: Postgres) -> dict[int, Kept]:
    """Return the rows of the source."""
    return {id: Kept(value, fence) for id, value, fence in source.ask(KEPT)}


def logged_in(source: Postgres) -> list[Delivered]:
    """Return what the source was given, in order."""
    return [Delivered(*row) for row in source.ask(LOGGED)]
