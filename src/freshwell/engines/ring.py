"""A queue of entries, linked through the entries themselves: any of them leaves in O(1).

Not thread-safe: the table's lock guards it.
"""

from __future__ import annotations

from collections.abc import Iterator

from freshwell.engines.entry import NOWHERE, Entry
from freshwell.ground.freshness import LONG_AGO_NS

__all__ = ["Ring"]


class Ring:
    """A first-in-first-out queue; from `end.after`, the oldest, to `end.before`.

    `end` stands between the newest and the oldest, and is no entry of the queue's.
    """

    __slots__ = ("count", "end")

    def __init__(self) -> None:
        self.end = Entry("", None, LONG_AGO_NS, 0)
        self.end.before = self.end.after = self.end
        self.count = 0

    def __iter__(self) -> Iterator[Entry]:
        entry = self.end.after
        while entry is not self.end:
            yield entry
            entry = entry.after

    def append(self, entry: Entry) -> None:
        """Add an entry that is in no queue, as the newest."""
        end = self.end
        newest = end.before
        entry.before = newest
        entry.after = end
        newest.after = entry
        end.before = entry
        entry.queue = self
        self.count += 1

    def remove(self, entry: Entry) -> None:
        """Take out an entry of this queue."""
        before, after = entry.before, entry.after
        before.after = after
        after.before = before
        entry.before = entry.after = NOWHERE
        entry.queue = None
        self.count -= 1

    @staticmethod
    def substitute(old: Entry, new: Entry) -> None:
        """Put `new`, which is in no queue, in the place of `old` in its own."""
        before, after = old.before, old.after
        new.before, new.after, new.queue = before, after, old.queue
        before.after = new
        after.before = new
        old.before = old.after = NOWHERE
        old.queue = None

    def check(self) -> None:
        """Raise `AssertionError` unless the links are whole and the count is right."""
        count, before = 0, self.end
        for entry in self:
            assert entry.before is before, f"entry {count} of a queue is not linked backwards"
            assert entry.queue is self, f"entry {count} of a queue names another queue"
            count, before = count + 1, entry
        assert self.end.before is before, "a queue's end is not linked to its newest entry"
        assert count == self.count, f"a queue of {count} entries counts {self.count}"
