"""Records of one shard that were taken from its journal and are not settled: who is next.

Records of one key leave one after the other: a key that was handed out is *busy* until it is said
what came of it, and one that failed is *parked* until an instant, with all its later records.
Other keys go on meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import NamedTuple

from freshwell.ground.records import Record

__all__ = ["Handout", "Window"]


class Handout(NamedTuple):
    """What is to be delivered for a key.

    `record` is the last of `covers`, the records that are settled with it, in order. Its attempts
    are the most that any of them has had.
    """

    record: Record
    covers: tuple[Record, ...]


class Window:
    """Records in order, by key. For one task or thread; any may read the numbers.

    With `coalesce` the newest record of a key covers those before it, else each goes alone.
    """

    def __init__(self, *, most_records: int, most_bytes: int, coalesce: bool = True) -> None:
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._coalesce = coalesce
        self.clear()

    def clear(self) -> None:
        """Forget everything, as if nothing had been taken."""
        self._queues: dict[str, deque[Record]] = {}
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._alarms: list[tuple[int, str]] = []
        self._apart: dict[str, int] = {}
        self._records = self._bytes = 0
        self.last = 0
        """The highest sequence that was added: what to take comes after it."""

    def __len__(self) -> int:
        return self._records

    @property
    def room(self) -> int:
        """How many records may be added. The bytes may be exceeded by one addition."""
        return self._most_records - self._records if self._bytes < self._most_bytes else 0

    @property
    def parked(self) -> int:
        """How many keys wait for another try."""
        return len(self._alarms)

    @property
    def next_due_ns(self) -> int | None:
        """When the first of the parked keys may go. None: there is none."""
        return self._alarms[0][0] if self._alarms else None

    def ready(self, now_ns: int) -> int:
        """Return how many keys could be handed out now."""
        self._wake(now_ns)
        return len(self._ready)

    def add(self, records: Sequence[Record]) -> None:
        """Add records in the order of their sequences. Those that were added before are ignored."""
        for record in records:
            if record.sequence <= self.last:
                continue
            self.last = record.sequence
            queue = self._queues.get(record.name)
            if queue is None:
                queue = self._queues[record.name] = deque()
                self._ready[record.name] = None
            queue.append(record)
            self._records += 1
            self._bytes += record.size

    def park(self, name: str, until_ns: int) -> None:
        """Let a key that is not busy wait until an instant."""
        if name in self._ready:
            del self._ready[name]
            heappush(self._alarms, (until_ns, name))

    def hand_out(self, now_ns: int, limit: int, most_bytes: int) -> list[Handout]:
        """Return what to deliver next, up to `limit` records and `most_bytes`, but at least one.

        Keys go in the order in which they became ready, each once.
        """
        self._wake(now_ns)
        out: list[Handout] = []
        size = 0
        for name in islice(self._ready, limit):
            handout = self._handout(self._queues[name])
            size += handout.record.size
            if out and size > most_bytes:
                break
            out.append(handout)
        for handout in out:
            del self._ready[handout.record.name]
        return out

    def stored(self, handout: Handout) -> None:
        """Forget what a handout covers; the key may go on."""
        self._forget(handout, len(handout.covers))

    def dead(self, handout: Handout) -> None:
        """Forget what a handout covers: the source will not have it. The key may go on."""
        self._forget(handout, len(handout.covers))

    def apart(self, handout: Handout) -> None:
        """Take back what covers several records, to be handed out one by one.

        The source has refused the last of them for good, and said nothing of those before it.
        """
        self._apart[handout.record.name] = handout.record.sequence
        self._free(handout.record.name)

    def failed(self, handout: Handout, attempts: int, until_ns: int) -> None:
        """Park the key. Its record has been refused `attempts` times."""
        queue = self._queues[handout.record.name]
        at = len(handout.covers) - 1
        queue[at] = queue[at]._replace(attempts=attempts)
        heappush(self._alarms, (until_ns, handout.record.name))

    def back(self, handouts: Sequence[Handout], *, last: bool = False) -> None:
        """Take back, as if they had not been handed out, or with `last` behind the other keys."""
        for handout in handouts if last else reversed(handouts):
            self._free(handout.record.name)
            self._ready.move_to_end(handout.record.name, last=last)

    def _handout(self, queue: deque[Record]) -> Handout:
        if not self._coalesce or len(queue) == 1 or self._is_apart(queue[0]):
            return Handout(queue[0], (queue[0],))
        attempts = max(record.attempts for record in queue)
        return Handout(queue[-1]._replace(attempts=attempts), tuple(queue))

    def _is_apart(self, record: Record) -> bool:
        return record.sequence <= self._apart.get(record.name, 0)

    def _forget(self, handout: Handout, count: int) -> None:
        queue = self._queues[handout.record.name]
        for _ in range(count):
            self._count_out(queue.popleft())
        self._free(handout.record.name)

    def _count_out(self, record: Record) -> None:
        self._records -= 1
        self._bytes -= record.size

    def _free(self, name: str) -> None:
        if self._queues[name]:
            self._ready[name] = None
        else:
            del self._queues[name]
            self._apart.pop(name, None)

    def _wake(self, now_ns: int) -> None:
        while self._alarms and self._alarms[0][0] <= now_ns:
            _, name = heappop(self._alarms)
            self._ready[name] = None
