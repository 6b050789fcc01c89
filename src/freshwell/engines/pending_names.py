"""Which entries have accepted writes that are not settled: known without asking the disk."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["PendingNames"]

_SLACK = 1_000


class PendingNames:
    """The sequences of each name: all there are, and for a time some that others have settled.

    Thread-safe. Records that another process settles are noticed by `forget` and `replace`.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        # One alone as it is: a list for each name would be work for every collection of garbage.
        self._sequences: dict[str, int | list[int]] = {}
        self._count = 0

    def __contains__(self, name: str) -> bool:
        return name in self._sequences

    def change(self, added: Sequence[tuple[str, int]], gone: Iterable[tuple[str, int]]) -> None:
        """Note what a transaction has added and taken away. What is not known cannot go."""
        with self._mutex:
            for name, sequence in added:
                its = self._sequences.setdefault(name, sequence)
                if isinstance(its, list):
                    its.append(sequence)
                elif its != sequence:
                    self._sequences[name] = [its, sequence]
            self._count += len(added)
            for name, sequence in gone:
                self._take_out(name, sequence)

    def known(self, name: str) -> list[int]:
        """Return a name's sequences, for `forget`."""
        with self._mutex:
            its = self._sequences.get(name, ())
            return [its] if isinstance(its, int) else list(its)

    def forget(self, name: str, sequences: Iterable[int]) -> None:
        """Forget sequences that were known before the journal was asked and found to have none."""
        with self._mutex:
            for sequence in sequences:
                self._take_out(name, sequence)

    def exceeds(self, records: int) -> bool:
        """Tell whether there are so many more than the journal has that it should be read anew."""
        return self._count > 2 * records + _SLACK

    def replace(self, sequences: Mapping[str, list[int]]) -> None:
        """Begin anew with what the journal has."""
        with self._mutex:
            self._sequences = dict(sequences)
            self._count = sum(map(len, sequences.values()))

    def _take_out(self, name: str, sequence: int) -> None:
        its = self._sequences.get(name)
        if its == sequence or its == [sequence]:
            del self._sequences[name]
        elif isinstance(its, list) and sequence in its:
            its.remove(sequence)
        else:
            return
        self._count -= 1
