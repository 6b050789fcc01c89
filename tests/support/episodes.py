"""What writers of one key are to leave, whatever they do: the rule, in as few words as possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

__all__ = ["Episodes", "events"]

WRITERS = 4


@dataclass
class Episodes:
    """A key. `left`: the number of the writer whose value stands. None: nothing does."""

    open: set[int] = field(default_factory=set)
    told: list[tuple[int | None, int]] = field(default_factory=list)
    spoilt: bool = False
    left: int | None = None

    def begin(self, writer: int) -> None:
        """Announce."""
        self.open.add(writer)
        self.left = None

    def end(self, writer: int, version: int | None) -> None:
        """End, and leave the best of the episode where it is known."""
        self.open.discard(writer)
        self.told.append((version, writer))
        if self.open:
            return
        versions = [version for version, _ in self.told if version is not None]
        unique = len(set(versions)) == len(self.told)
        if not self.spoilt and (unique or len(self.told) == 1):
            self.left = max(self.told, key=lambda one: -1 if one[0] is None else one[0])[1]
        self.told, self.spoilt = [], False

    def change(self) -> None:
        """Let another change of the entry fall into it."""
        self.left, self.spoilt = None, bool(self.open)


def events(seed: int) -> Iterator[tuple[str, int, int | None]]:
    """Yield what happens, to whom, and with which version; in the end nobody writes."""
    random = Random(seed)
    plain, changes = random.choice([0, 0, 0.2]), random.choice([0, 0, 0.1])
    writing: set[int] = set()
    for number in range(40):
        if random.random() < changes:
            yield "change", 0, None
        elif number < 30 and len(writing) < WRITERS and random.random() < 0.55:
            writing.add(number)
            yield "begin", number, None
        elif writing:
            writer = random.choice(sorted(writing))
            writing.remove(writer)
            version = None if random.random() < plain else random.randrange(2**34)
            yield "end", writer, version
    for writer in sorted(writing):
        yield "end", writer, random.randrange(2**34)
