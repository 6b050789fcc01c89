"""What a writer meant to write, what was acknowledged, and what it read afterwards.

Each line is in the file before the writer goes on, so that a SIGKILL takes none of them back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from freshwell import Ack

__all__ = ["Acked", "Diary", "Read"]

_TAIL = 1 << 14


class Acked(NamedTuple):
    """A write that was acknowledged."""

    id: int
    value: str
    sequence: int
    token: str


class Read(NamedTuple):
    """What was read after the write with `sequence` had been acknowledged."""

    id: int
    sequence: int
    value: str


class Diary:
    """One writer's, over all of its lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def next_number(self) -> int:
        """Return the number that no write has had so far."""
        with self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = [line.split() for line in file.read().decode().splitlines()]
        meant = [line[2] for line in lines if line[:1] == ["?"] and len(line) == 3]
        return 1 + max((int(value.rpartition(":")[2]) for value in meant), default=-1)

    def mean(self, values: Mapping[int, str]) -> None:
        """Note what will be put next."""
        self._write(*(f"? {id} {value}" for id, value in values.items()))

    def acknowledge(self, values: Mapping[int, str], acks: Mapping[int, Ack]) -> None:
        """Note what has been acknowledged."""
        told = ((id, ack.sequence, ack.idempotency_id) for id, ack in acks.items())
        self._write(*(f"! {id} {values[id]} {sequence} {token}" for id, sequence, token in told))

    def read(self, id: int, ack: Ack, found: str | None) -> None:
        """Note what was read after an acknowledgement."""
        self._write(f"< {id} {ack.sequence} {found}")

    def meant(self) -> Iterator[tuple[int, str]]:
        """Yield the ids and values that the writer has tried to put."""
        for words in self._lines("?"):
            yield int(words[0]), words[1]

    def acked(self) -> Iterator[Acked]:
        """Yield the writes that were acknowledged."""
        for id, value, sequence, token in self._lines("!"):
            yield Acked(int(id), value, int(sequence), token)

    def reads(self) -> Iterator[Read]:
        """Yield what was read."""
        for id, sequence, value in self._lines("<"):
            yield Read(int(id), int(sequence), value)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, *lines: str) -> None:
        text = "".join(f"{line}\n" for line in lines).encode()
        assert os.write(self._file, text) == len(text)

    def _lines(self, kind: str) -> Iterator[list[str]]:
        with self._path.open(encoding="ascii") as file:
            for line in file:
                if line[0] == kind:
                    yield line.split()[1:]
