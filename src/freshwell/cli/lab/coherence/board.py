"""What the two processes of the coherence view tell each other, in shared memory.

Each round has a key, which the writer changes and invalidates, and the reader reads all the
while. The value of a key is the number of the round that changed it last, so that the reader
can tell an old value from the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Final

__all__ = ["Board", "Plan", "Word"]

_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. `run` names it on the server. `tags`: how many there are; 0: by key only.

    With tags, every second round invalidates by the tag of its key.
    """

    run: str
    redis: str
    rounds: int
    keys: int
    tags: int
    seconds: float
    max_staleness_s: float

    @property
    def kinds(self) -> tuple[str, ...]:
        """How entries are invalidated, in turn."""
        return ("key", "tag") if self.tags else ("key",)

    def kind(self, number: int) -> str:
        """Return how the round of this number (from 1) invalidates."""
        return self.kinds[number % len(self.kinds)]

    def key(self, number: int) -> int:
        """Return what the round of this number reads and changes."""
        return number // len(self.kinds) % self.keys


class Word:
    """The words that stand before the lists."""

    ROUND: Final = 0
    """The round that the reader is to read for; `ENDED` after the last."""
    WARM: Final = 1
    """The round whose key the reader has served from its L1."""
    SEEN: Final = 2
    """The round whose new value the reader has seen."""
    READS: Final = 3
    STALE: Final = 4
    """Reads that began after the ack of their round, and returned an old value."""
    DONE: Final = 5
    """How many rounds are over."""
    COUNT: Final = 6


class Board:
    """The shared memory of a run. Each word is written by one of the processes only."""

    ENDED: Final = 2**63

    def __init__(self, memory: SharedMemory, plan: Plan) -> None:
        self._memory = memory
        assert memory.buf is not None
        self._all = memory.buf.cast("Q")
        lists = self._all[Word.COUNT :]
        self.words = self._all[: Word.COUNT]
        self.values = lists[: plan.keys]
        """By key: what the source has now."""
        self.acks_ns = lists[plan.keys : plan.keys + plan.rounds]
        """By round: when its invalidation returned."""
        self.olds_ns = lists[plan.keys + plan.rounds : plan.keys + 2 * plan.rounds]
        """By round: when the last read began that returned an older value than its own."""
        self._views = (lists, self.words, self.values, self.acks_ns, self.olds_ns, self._all)

    @classmethod
    def create(cls, plan: Plan) -> tuple[SharedMemory, Board]:
        """Create the board of a run. Whoever creates the memory unlinks it."""
        words = Word.COUNT + plan.keys + 2 * plan.rounds
        memory = SharedMemory(create=True, size=_BYTES * words)
        return memory, cls(memory, plan)

    def late_ns(self, number: int) -> int:
        """Return how long after the ack of a round its last stale read began. 0: there is none."""
        return max(0, self.olds_ns[number - 1] - self.acks_ns[number - 1])

    def close(self) -> None:
        """Let go of the memory."""
        for view in self._views:
            view.release()
        self._memory.close()
