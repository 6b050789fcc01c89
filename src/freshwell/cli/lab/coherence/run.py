"""Run the coherence view in two processes of its own, and gather what they measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from freshwell.cli.lab.coherence.board import Board, Plan, Word
from freshwell.cli.lab.coherence.lateness import Lateness
from freshwell.cli.lab.coherence.sides import read, write
from freshwell.cli.lab.crew import crew, gather
from freshwell.cli.lab.servers import removed_keys

__all__ = ["Coherence", "result", "run"]

_NS_PER_S: Final = 1_000_000_000

Progress = Callable[[int], None]
"""Called with the number of invalidations so far."""


@dataclass(frozen=True, slots=True)
class Coherence:
    """What was measured. `reads` of the reading process, `stale_reads` of them after the ack."""

    kinds: list[Lateness]
    reads: int
    stale_reads: int

    @property
    def invalidations(self) -> int:
        return sum(len(lateness.late_ns) for lateness in self.kinds)

    @property
    def beyond(self) -> int:
        """How many invalidations had a stale read later than `max_staleness`."""
        return sum(lateness.beyond for lateness in self.kinds)


def run(plan: Plan, progress: Progress) -> Coherence:
    """Run both processes to their end. Leaves nothing behind, also when it is interrupted.

    Raises `LabRunError` where one of them could not go on, or died.
    """
    memory, board = Board.create(plan)
    try:
        members = [(side, (plan, memory.name)) for side in (write, read)]
        with removed_keys(plan.redis, plan.run), crew(members) as started:
            gather(started, "coherence", lambda: progress(board.words[Word.DONE]))
        return result(plan, board)
    finally:
        board.close()
        memory.unlink()


def result(plan: Plan, board: Board) -> Coherence:
    """Return what stands on a board."""
    late_ns: dict[str, list[int]] = {kind: [] for kind in plan.kinds}
    for number in range(1, board.words[Word.DONE] + 1):
        late_ns[plan.kind(number)].append(board.late_ns(number))
    most_ns = round(plan.max_staleness_s * _NS_PER_S)
    kinds = [Lateness(kind, late, most_ns) for kind, late in late_ns.items()]
    return Coherence(kinds, board.words[Word.READS], board.words[Word.STALE])
