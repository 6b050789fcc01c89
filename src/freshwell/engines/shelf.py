"""Turn values into L2 frames and back, and say what an L2 frame is worth to a caller.

Nothing read from L2 raises: bytes that are foreign, torn, newer, another key's, or unreadable
by the codec in force are counted and treated as absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from freshwell.codecs.base import BoundCodec, decode_many, flags_of, guarding
from freshwell.engines.incidents import Incidents
from freshwell.errors import CodecError
from freshwell.ground.frame import (
    GUARDED,
    Flag,
    Frame,
    PlainParts,
    Rejected,
    State,
    decode,
    encode,
    plain_frame,
    plain_parts,
    plain_start,
    rest_until_ms,
    stamps_in,
)
from freshwell.ground.frames import CalmFrames, calm_frames
from freshwell.ground.freshness import Times, Verdict, judge, local_times
from freshwell.ground.keys import digest8
from freshwell.ground.options import EntryPolicy
from freshwell.ground.plan import WORDS, L2Word, ReadLevel
from freshwell.ground.ttl import EARLIEST_COSTS

__all__ = ["ABSENT", "DOWN", "UNREAD", "Calm", "Reading", "Shelf", "Terms"]

_EARLIEST_MS_PER_US: Final = EARLIEST_COSTS / 1_000
# Members of enumerations: to look one up takes Python 3.11 as long as a hash of the key.
_FRESH: Final = L2Word.FRESH
_EVENTUAL: Final = ReadLevel.EVENTUAL


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The terms on which a caller reads and loads: how long, in which form, how fresh.

    Equal to themselves only: callers of one function, or of one scope, have the same.
    """

    policy: EntryPolicy
    codec: BoundCodec
    level: ReadLevel
    plain: bytes = field(init=False)
    """How the frames begin that these terms mostly meet."""
    early_ms_per_us: float = field(init=False)
    """How long before its end a value may be refreshed, for each microsecond its load took."""
    shares: bool = field(init=False)
    """Whether a caller may wait for what another is about to find in L2, or to load.

    Not where L1 is not asked, nor where one has more to see to while it waits.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", plain_start(self.codec.id, flags_of(self.codec)))
        object.__setattr__(self, "early_ms_per_us", self.policy.beta * _EARLIEST_MS_PER_US)
        patient = self.policy.stale_ns == 0 and self.policy.limit_ns is None
        object.__setattr__(self, "shares", patient and self.level is _EVENTUAL)


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


Calm = tuple[Any, PlainParts]
"""A value, and the parts of the frame that it was read from."""


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

    def calm(self, key: bytes, blob: bytes, terms: Terms, server_ms: int) -> Calm | None:
        """Return a plain value that is fresh with nothing to decide, and the parts of its frame.

        The usual case, at the least cost. None: let `read` say what it is.
        """
        parts = plain_parts(blob, terms.plain, digest8(key))
        if parts is None or server_ms <= 0:
            return None
        fresh_until_ms, _, cost_us, _, payload = parts
        if len(payload) > self._max_value_bytes:
            return None
        if fresh_until_ms - server_ms <= cost_us * terms.early_ms_per_us:
            return None
        try:
            return terms.codec.decode(payload, key), parts
        except CodecError:
            return None

    def read_calm(
        self, calm: Calm, terms: Terms, *, now_ns: int, server_ms: int, timed: bool
    ) -> Reading:
        """Return the reading of what `calm` has found. It has times where they are asked for."""
        value, (fresh_until_ms, born_ms, cost_us, stamps, _) = calm
        times = None
        if timed:
            stale_ns = terms.policy.stale_ns
            times = local_times(fresh_until_ms, born_ms, cost_us, server_ms, now_ns, stale_ns)
        return Reading(_FRESH, value, False, times, "fresh", "l2", stamps_in(stamps))

    def calm_frames(
        self,
        digests: tuple[bytes, ...],
        blobs: Sequence[bytes],
        terms: Terms,
        servers_ms: Sequence[int],
    ) -> CalmFrames:
        """Return of some frames what `values` makes values of: those that `calm` would find.

        For those who ask for many at once, and for nothing but the values. `digests`: of their
        keys.
        """
        early, most_bytes = terms.early_ms_per_us, self._max_value_bytes
        return calm_frames(blobs, terms.plain, digests, servers_ms, early, most_bytes)

    def values(self, keys: Sequence[bytes], calm: CalmFrames, terms: Terms) -> list[Any]:
        """Return the values of calm frames, and `UNREAD` for all that is not known to be one.

        Of what cannot be decoded it is noted that there is something to decide.
        """
        payloads = calm.payloads()
        if payloads is not None:
            with suppress(CodecError):  # mostly all are as simple as that
                return decode_many(terms.codec, payloads, keys)
        decode = terms.codec.decode
        values = [UNREAD] * len(keys)
        for at, begin in enumerate(calm.begins):
            if begin >= 0:
                try:
                    values[at] = decode(calm.bodies[at][begin:], keys[at])
                except CodecError:
                    calm.begins[at] = -1
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

    def plain_frame(
        self, key: bytes, value: object, terms: Terms, payload: bytes | None
    ) -> bytes | None:
        """Return what `frame` does for a value without tags that was not loaded."""
        if payload is None:
            payload = terms.codec.encode(value, key)
        if len(payload) > self._max_value_bytes:
            self._incidents.oversize(len(payload), self._max_value_bytes)
            return None
        return plain_frame(terms.plain, digest8(key), payload)

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
