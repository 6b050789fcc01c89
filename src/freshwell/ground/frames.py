"""Frames that are read together, by those who want many values and nothing but those.

Mostly all frames are plain values that stay fresh for a while. So each question is asked of all
of them at once, and where the worst of them leaves nothing to decide none does. Only otherwise
they are gone through one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, error
from typing import Final, NamedTuple
from zlib import crc32

from freshwell.ground.frame import COPIED_BYTES, HEAD_BYTES, STAMP_BYTES, Body

__all__ = ["CalmFrames", "calm_frames"]

_parts_of: Final = Struct(">8s16xQQI8sI").unpack_from
_NO_FRAME: Final = bytes(HEAD_BYTES)


class CalmFrames(NamedTuple):
    """Frames with nothing to decide, among others: their bodies, and where payloads begin.

    A beginning of -1: there is something to decide.
    """

    bodies: Sequence[Body]
    begins: list[int]
    columns: tuple[Sequence[int], Sequence[int], Sequence[int]]

    @property
    def times(self) -> Iterable[tuple[int, int, int]]:
        """The times of each, as the frame has them: fresh_until_ms, born_ms, cost_us."""
        return zip(*self.columns, strict=True)

    @property
    def is_whole(self) -> bool:
        """Tell whether all of them have nothing to decide."""
        return min(self.begins) >= 0

    @property
    def is_tagged(self) -> bool:
        """Tell whether any of them has tags."""
        return max(self.begins) > 0

    def stamps(self) -> list[bytes | None]:
        """Return the stamps of each as they are written. None: there is something to decide."""
        both = zip(self.bodies, self.begins, strict=True)
        return [None if begin < 0 else bytes(body[:begin]) for body, begin in both]

    def payloads(self) -> Sequence[Body] | None:
        """Return the payloads of all, where they begin alike and nothing is to be decided."""
        begin = self.begins[0]
        if begin < 0 or self.begins.count(begin) < len(self.begins):
            return None
        return [body[begin:] for body in self.bodies] if begin else self.bodies

    def leave_out(self, stand: Iterable[bool]) -> None:
        """Note that there is something to decide about those that do not `stand`."""
        self.begins[:] = [b if s else -1 for b, s in zip(self.begins, stand, strict=True)]


def calm_frames(
    blobs: Sequence[bytes],
    start: bytes,
    digests: tuple[bytes, ...],
    servers_ms: Sequence[int],
    early_ms_per_us: float,
    most_bytes: int,
) -> CalmFrames:
    """Return which of some frames (one at least) are values with nothing to decide.

    There is something to decide where `plain_parts` finds nothing, the payload is larger than
    `most_bytes`, the server's clock is not known (0), or the value may be refreshed by now: up to
    `early_ms_per_us` before its end for each microsecond that its load took.
    """

    def is_calm(fresh_until_ms: int, server_ms: int, cost_us: int) -> bool:
        return server_ms > 0 and fresh_until_ms - server_ms > cost_us * early_ms_per_us

    try:
        heads = list(map(_parts_of, blobs))
    except error:
        blobs = [blob if len(blob) >= HEAD_BYTES else _NO_FRAME for blob in blobs]
        heads = list(map(_parts_of, blobs))
    kinds, fresh_until_ms, born_ms, costs_us, owners, sums = zip(*heads, strict=True)
    lengths = list(map(len, blobs))
    longest = max(lengths)
    if longest <= COPIED_BYTES:
        bodies: list[Body] = [blob[HEAD_BYTES:] for blob in blobs]
    else:
        bodies = [
            (blob if length <= COPIED_BYTES else memoryview(blob))[HEAD_BYTES:]
            for blob, length in zip(blobs, lengths, strict=True)
        ]
    found = tuple(map(crc32, bodies))
    begins = [-1]
    if found == sums and owners == digests and kinds.count(kinds[0]) == len(kinds):
        server_ms = max(servers_ms) if min(servers_ms) > 0 else 0
        if is_calm(min(fresh_until_ms), server_ms, max(costs_us)):
            begins = [_payload_at(kinds[0], start, min(lengths), longest, most_bytes)]
    if begins != [-1]:
        begins *= len(kinds)
    else:
        judged = map(is_calm, fresh_until_ms, servers_ms, costs_us)
        begins = [
            _payload_at(kind, start, length, length, most_bytes)
            if calm and owner == digest and total == own
            else -1
            for calm, kind, length, owner, digest, total, own in zip(
                judged, kinds, lengths, owners, digests, sums, found, strict=True
            )
        ]
    return CalmFrames(bodies, begins, (fresh_until_ms, born_ms, costs_us))


def _payload_at(kind: bytes, start: bytes, shortest: int, longest: int, most_bytes: int) -> int:
    """Return where payloads begin in the bodies of frames that are of such lengths.

    -1: they are not of the kind that begins with `start`, or one of them is too long.
    """
    begin = kind[6] * STAMP_BYTES
    head_bytes = HEAD_BYTES + begin
    fits = head_bytes <= shortest and longest - head_bytes <= most_bytes
    return begin if fits and kind[:6] == start[:6] and not kind[7] else -1
