"""Versions of tags: how they are asked for, and what is known of them before a load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from freshwell.ground.frame import stamp_in

__all__ = ["Kept", "Question", "Tagged", "Versions"]

Versions = Mapping[bytes, bytes | None]
"""Tags by their digests, and their versions now. None: there is none."""


class Kept(NamedTuple):
    """A version, and until when L2 keeps it."""

    stamp: bytes
    until_ns: int


class Tagged(NamedTuple):
    """What was captured before a load. Tags that could not be captured are left out."""

    versions: Mapping[bytes, Kept]
    life_ns: int
    since: int
    """The table's moment before that."""
    began_ns: int
    busy_ms: int


class Question:
    """What is asked beside an entry that has certain tags, and how the answer is read.

    What the last answer meant is remembered: most answers are the same as the one before.
    """

    __slots__ = ("_last", "_owners", "digests", "keys")

    def __init__(self, digests: Sequence[bytes], places: Iterable[tuple[bytes, bytes]]) -> None:
        self.digests = digests
        own = [*places]
        self.keys = tuple([key for key, _ in own])
        self._owners = tuple([owner for _, owner in own])
        self._last: tuple[Sequence[bytes | None], bytes | None] = (), None

    def versions(self, blobs: Sequence[bytes | None]) -> Versions:
        """Return the versions of the tags."""
        return dict(zip(self.digests, map(stamp_in, blobs, self._owners), strict=True))

    def stamps(self, blobs: Sequence[bytes | None]) -> bytes | None:
        """Return the stamps of an entry that stands under these tags and no others.

        None: none does, as one of them has no version.
        """
        known, stamps = self._last
        if blobs != known:
            found = map(stamp_in, blobs, self._owners)
            parts = [d + s for d, s in zip(self.digests, found, strict=True) if s is not None]
            stamps = b"".join(parts) if len(parts) == len(self.digests) else None
            self._last = blobs, stamps
        return stamps
