"""Turn values into L2 frames and back, and say what an L2 frame is worth to a caller.

Nothing read from L2 raises: bytes that are foreign, torn, newer, another key's, or unreadable
by the codec in force are counted and treated as absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from freshwell.codecs.base import BoundCodec, flags_of, guarding
from freshwell.engines.incidents import Incidents
from freshwell.errors import CodecError
from freshwell.ground.frame import (
    GUARDED,
    Flag,
    Frame,
    Rejected,
    State,
    decode,
    encode,
    plain_parts,
    plain_start,
    rest_until_ms,
)
from freshwell.ground.freshness import Times, Verdict, judge, local_times
from freshwell.ground.keys import digest8
from freshwell.ground.options import EntryPolicy
from freshwell.ground.plan import WORDS, L2Word, ReadLevel
from freshwell.ground.ttl import EARLIEST_COSTS

__all__ = ["ABSENT", "DOWN", "UNREAD", "Reading", "Shelf", "Terms"]

_EARLIEST_MS_PER_US: Final = EARLIEST_COSTS / 1_000
_FRESH: Final = L2Word.FRESH  # to look a member up takes Python 3.11 as long as a hash of the key


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a caller reads and loads: how long, in which form, how fresh."""

    policy: EntryPolicy
    codec: BoundCodec
    level: ReadLevel
    plain: bytes = field(init=False)
    """How the frames begin that these terms mostly meet."""
    early_ms_per_us: float = field(init=False)
    """How long before its end a value may be refreshed, for each microsecond its load took."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", plain_start(self.codec.id, flags_of(self.codec)))
        object.__setattr__(self, "early_ms_per_us", self.policy.beta * _EARLIEST_MS_PER_US)


class Reading(NamedTuple):
    """What a tier has of one entry, on the caller's terms. Nothing is loaded to say it.

    `times` is None where there is nothing to serve, and where nobody asked for them.
    """

    word: L2Word
    value: Any = None
    negative: bool = False
    times: Times | None = None
    reason: str = "absent"
    tier: Literal["l1", "l2"] = "l2"
    stamps: tuple[tuple[bytes, bytes], ...] = ()
    """The tags that it was stored under, and their versions then."""
    rest_ms: int = 0
    """Stale: for how long the source is left alone with it, having failed."""


ABSENT: Final = Reading(L2Word.ABSENT)
UNREAD: Final = object()
"""In the place of a value that is not known yet."""
DOWN: Final = Reading(L2Word.DOWN, reason="l2 down")


class Shelf:
    """Writes and reads the frames of one cache. Thread-safe."""

    def __init__(self, incidents: Incidents, *, max_value_bytes: int) -> None:
        self._incidents = incidents
        self._max_value_bytes = max_value_bytes

    def read(
        self, key: bytes, blob: bytes | None, terms: Terms, *, now_ns: int, server_ms: int, u: float
    ) -> Reading:
        """Judge what L2 holds under `key` at `now_ns`, which is `server_ms` on L2's clock."""
        if blob is None:
            return ABSENT
        frame = decode(blob, digest8(key))
        if isinstance(frame, Rejected):
            self._incidents.rejected(frame.value)
            return ABSENT._replace(reason=f"rejected: {frame.value}")
        if frame.state is not State.VALUE:
            return ABSENT._replace(reason=frame.state.name.lower())
        if server_ms <= 0:
            # Its times are the server's, whose clock is not known at the moment.
            return ABSENT._replace(reason="no clock")
        times = local_times(
            frame.fresh_until_ms,
            frame.born_ms,
            frame.cost_us,
            server_ms,
            now_ns,
            terms.policy.stale_ns,
        )
        verdict = judge(times, now_ns, stale_ns=terms.policy.stale_ns, beta=terms.policy.beta, u=u)
        if verdict is Verdict.ABSENT:
            return ABSENT._replace(reason="expired", times=times)
        reading = self._decoded(key, frame, times, WORDS[verdict], terms.codec)
        rest_ms = rest_until_ms(blob) - server_ms
        if rest_ms > 0 and reading.word is L2Word.STALE:
            return reading._replace(rest_ms=rest_ms)
        return reading

    def read_calm(
        self, key: bytes, blob: bytes, terms: Terms, *, now_ns: int, server_ms: int, timed: bool
    ) -> Reading | None:
        """Read a plain value that is fresh with nothing to decide: the usual case, at less cost.

        The reading has times where they are asked for. None: let `read` say what it is.
        """
        if server_ms <= 0:
            return None
        found = plain_parts(blob, terms.plain, digest8(key))
        if found is None:
            return None
        fresh_until_ms, born_ms, cost_us, stamps, payload = found
        if len(payload) > self._max_value_bytes:
            return None
        if fresh_until_ms - server_ms <= cost_us * terms.early_ms_per_us:
            return None
        try:
            value = terms.codec.decode(payload, key)
        except CodecError:
            return None
        times = None
        if timed:
            stale_ns = terms.policy.stale_ns
            times = local_times(fresh_until_ms, born_ms, cost_us, server_ms, now_ns, stale_ns)
        return Reading(_FRESH, value, False, times, "fresh", "l2", stamps)

    def values(
        self,
        keys: Sequence[bytes],
        blobs: Sequence[bytes | None],
        terms: Terms,
        servers_ms: Iterable[int],
    ) -> list[Any]:
        """Return the values of frames that `read_calm` would read, and `UNREAD` for the others.

        For those who ask for many at once, and for nothing but the values: frames with tags
        are left unread too.
        """
        start, early_ms_per_us = terms.plain, terms.early_ms_per_us
        decode, most_bytes = terms.codec.decode, self._max_value_bytes
        values: list[Any] = []
        for key, blob, server_ms in zip(keys, blobs, servers_ms, strict=True):
            found = None if blob is None else plain_parts(blob, start, digest8(key))
            value: Any = UNREAD
            if found is not None and not found[3] and len(found[4]) <= most_bytes:
                calm = found[0] - server_ms > found[2] * early_ms_per_us
                try:
                    value = decode(found[4], key) if calm and server_ms > 0 else UNREAD
                except CodecError:
                    value = UNREAD
            values.append(value)
        return values

    def frame(
        self,
        key: bytes,
        token: bytes,
        value: object,
        codec: BoundCodec,
        *,
        negative: bool,
        cost_ns: int,
        stamps: tuple[tuple[bytes, bytes], ...] = (),
        payload: bytes | None = None,
    ) -> bytes | None:
        """Return the frame that stores `value`, or None where it is larger than allowed.

        `payload`: the value as the codec has written it for this key (None: not yet). Raises
        `CodecError` for a value that the codec cannot write.
        """
        if payload is None:
            id, flags, payload = _written(key, value, codec, negative=negative)
        else:
            id, flags = codec.id, flags_of(codec)
        if len(payload) > self._max_value_bytes:
            self._incidents.oversize(len(payload), self._max_value_bytes)
            return None
        return encode(
            state=State.VALUE,
            flags=flags,
            codec=id,
            token=token,
            cost_us=cost_ns // 1_000,
            digest=digest8(key),
            stamps=stamps,
            payload=payload,
        )

    def _decoded(
        self, key: bytes, frame: Frame, times: Times, word: L2Word, codec: BoundCodec
    ) -> Reading:
        try:
            if len(frame.payload) > self._max_value_bytes:
                raise CodecError("the entry is larger than this cache allows", "too large")
            if frame.flags & Flag.NEGATIVE:
                _check_negative(key, frame, codec)
                return Reading(word, None, True, times, word.value, stamps=frame.stamps)
            flags = flags_of(codec)
            if frame.codec != codec.id or frame.flags != flags:
                raise _foreign(frame.flags, flags)
            value = codec.decode(frame.payload, key)
        except CodecError as error:
            self._incidents.undecodable(str(error))
            return ABSENT._replace(reason=error.reason)
        return Reading(word, value, False, times, word.value, stamps=frame.stamps)


def _written(
    key: bytes, value: object, codec: BoundCodec, *, negative: bool
) -> tuple[int, int, bytes]:
    """Return the codec's number, the flags and the payload of a value."""
    if not negative:
        return codec.id, flags_of(codec), codec.encode(value, key)
    guard = guarding(codec)
    if guard is None:
        return 0, Flag.NEGATIVE, b""
    return codec.id, flags_of(codec) | Flag.NEGATIVE, guard.encode_absent(key)


def _check_negative(key: bytes, frame: Frame, codec: BoundCodec) -> None:
    """Raise `CodecError` unless the codec in force says that there is none."""
    guard = guarding(codec)
    if guard is not None and frame.codec == codec.id:
        wanted = flags_of(codec) | Flag.NEGATIVE
        if frame.flags == wanted:
            guard.check_absent(frame.payload, key)
            return
    elif guard is None and frame.flags == Flag.NEGATIVE:
        return
    raise _foreign(frame.flags, flags_of(codec))


def _foreign(found: int, wanted: int) -> CodecError:
    """Return the error for an entry of another codec, or guarded in another way."""
    if wanted & GUARDED & ~found:
        return CodecError("the entry is not sealed or signed as it has to be", "unguarded")
    return CodecError("the entry was written by another codec")
