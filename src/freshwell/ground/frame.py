"""The bytes of an L2 entry: a fixed header, tag stamps, and the payload.

::

    offset size
     0     2   magic "fw"
     2     1   format version
     3     1   state
     4     1   flags
     5     1   codec id
     6     1   number of tag stamps
     7     1   of an intent: what fell into the time of a write. 2: other writers, and nothing
               else; 1: another change, or a writer of whom nothing is known. Of a value: 1
               where lease_until ends no lease, but the rest of a source that has failed
     8     8   token: the lease holder's, kept by the fill it made; zero: none. A writer's
               in an intent; the tag's version in a stamp
    16     8   lease_until, server milliseconds; 0: no lease stands. The last intent's end
    24     8   fresh_until, server milliseconds
    32     8   born, server milliseconds
    40     4   cost of the load, microseconds; of an intent, how many bytes its end has
    44     8   digest of the whole L2 key
    52     4   CRC-32 of all that follows
    56    16n  tag stamps: digest of the tag's key, stamp
    ...        payload; the writers of an intent: token and end of each; the name of a stamp.
               The end of an intent, if any, is what writers leave who overlapped: its version
               in the source, fresh_ms, keep_ms (8 bytes each), and its whole frame

Big-endian. Scripts on the server read and change the first 52 bytes only. A frame whose digest
is not that of the key it was read from is another key's, and one whose sum is wrong is torn:
both are worth nothing. The sum guards against accidents; against people there are seals.
"""

from __future__ import annotations

from enum import Enum, IntFlag
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from freshwell.ground.keys import digest8

__all__ = [
    "COPIED_BYTES",
    "FRAME_START",
    "GUARDED",
    "HEAD_BYTES",
    "NO_TOKEN",
    "STAMP_BYTES",
    "VERSION",
    "WRITER_BYTES",
    "Body",
    "Flag",
    "Frame",
    "PlainParts",
    "Rejected",
    "State",
    "decode",
    "encode",
    "identity_of",
    "intent_frame",
    "lease_frame",
    "plain_frame",
    "plain_parts",
    "plain_start",
    "rest_until_ms",
    "stamp_frame",
    "stamp_in",
    "stamp_of",
    "stamps_in",
    "tombstone_frame",
    "writers_of",
]

MAGIC: Final = b"fw"
VERSION: Final = 1
NO_TOKEN: Final = bytes(8)
_HEAD: Final = Struct(">2sBcBBBB8sQQQI8sI")
_unpack_times: Final = Struct(">24xQQI8sI").unpack_from
HEAD_BYTES: Final = _HEAD.size
STAMP_BYTES: Final = 16
WRITER_BYTES: Final = 16
_MAX_STAMPS: Final = 255
COPIED_BYTES: Final = 4_096
"""Up to here it takes less to copy bytes than to make a view of them."""
_MAX_NAME_BYTES: Final = 200
FRAME_START: Final = MAGIC + bytes([VERSION])
"""How the frames of this version begin."""
_STAMP_START: Final = FRAME_START + b"S"
_MAX_COST_US: Final = 2**32 - 1
_UNTIMED: Final = bytes(36)
"""What stands between a frame's start and its digest, where there is no token and no time."""

Stamps = tuple[tuple[bytes, bytes], ...]
"""Tags by their digests, and their versions."""
Body = bytes | memoryview
"""What follows the head of a frame: its stamps, then its payload."""

PlainParts = tuple[int, int, int, bytes, bytes | memoryview]
"""Of a plain value: fresh_until_ms, born_ms, cost_us, its stamps (see `stamps_in`), payload."""


class State(Enum):
    """What a frame is."""

    VALUE = b"V"
    LEASE = b"L"
    """Nobody has a value; somebody is loading it."""
    TOMBSTONE = b"T"
    """Invalidated a moment ago."""
    INTENT = b"W"
    """Writers are about to change the source: nothing is stored meanwhile."""
    STAMP = b"S"
    """A tag's version."""


class Flag(IntFlag):
    """What was done to a payload."""

    NEGATIVE = 1
    """The source said that there is none: the value is None, the payload empty."""
    COMPRESSED = 2
    SEALED = 4
    SIGNED = 8


GUARDED: Final = int(Flag.SEALED | Flag.SIGNED)
"""The flags of which one says that the payload cannot be forged."""


class Rejected(Enum):
    """Why bytes are no frame of this key."""

    FOREIGN = "foreign"
    NEWER = "newer version"
    TRUNCATED = "truncated"
    TORN = "torn"
    OTHER_KEY = "other key"
    BAD_STATE = "unknown state"
    BAD_FLAGS = "unknown flags"


class Frame(NamedTuple):
    """A decoded frame. `payload` is a view into the bytes it was decoded from."""

    state: State
    flags: int
    codec: int
    token: bytes
    lease_until_ms: int
    fresh_until_ms: int
    born_ms: int
    cost_us: int
    digest: bytes
    stamps: tuple[tuple[bytes, bytes], ...]
    payload: memoryview


_STATES: Final = {state.value: state for state in State}
_KNOWN_FLAGS: Final = 0x0F


def encode(
    *,
    state: State,
    digest: bytes,
    payload: bytes = b"",
    flags: int = 0,
    codec: int = 0,
    token: bytes = NO_TOKEN,
    lease_until_ms: int = 0,
    fresh_until_ms: int = 0,
    born_ms: int = 0,
    cost_us: int = 0,
    stamps: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """Return the bytes of a frame. A cost that does not fit is stored as the largest that does.

    Raises ValueError for more than 255 tag stamps.
    """
    if len(stamps) > _MAX_STAMPS:
        raise ValueError(f"an entry has at most {_MAX_STAMPS} tags, not {len(stamps)}")
    body = b"".join((*(part for stamp in stamps for part in stamp), payload)) if stamps else payload
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        state._value_,  # what `value` is, without the two calls that it costs Python 3.11
        flags,
        codec,
        len(stamps),
        0,
        token,
        lease_until_ms,
        fresh_until_ms,
        born_ms,
        min(cost_us, _MAX_COST_US),
        digest,
        crc32(body),
    )
    return head + body


def decode(data: bytes, digest: bytes) -> Frame | Rejected:
    """Return the frame that `data` is, or why it is none of the key with this digest.

    Raises nothing, whatever the bytes are.
    """
    if data[:2] != MAGIC:
        return Rejected.FOREIGN if len(data) >= len(MAGIC) else Rejected.TRUNCATED
    if len(data) < HEAD_BYTES:
        return Rejected.TRUNCATED
    head = _HEAD.unpack_from(data)
    _, version, state, flags, codec, count, _, token, lease, fresh, born, cost, owner, total = head
    if version != VERSION:
        return Rejected.NEWER if version > VERSION else Rejected.FOREIGN
    if owner != digest:
        return Rejected.OTHER_KEY
    known = _STATES.get(state)
    if known is None:
        return Rejected.BAD_STATE
    if flags & ~_KNOWN_FLAGS:
        return Rejected.BAD_FLAGS
    start = HEAD_BYTES + count * STAMP_BYTES
    if len(data) < start:
        return Rejected.TRUNCATED
    view = memoryview(data)
    # Scripts keep the list of an intent's writers, and cannot sum.
    if crc32(view[HEAD_BYTES:]) != total and known is not State.INTENT:
        return Rejected.TORN
    stamps = stamps_in(data[HEAD_BYTES:start])
    return Frame(known, flags, codec, token, lease, fresh, born, cost, owner, stamps, view[start:])


def plain_start(codec: int, flags: int = 0) -> bytes:
    """Return how every frame begins that holds a value of `codec` with its flags, and no stamps."""
    return encode(state=State.VALUE, flags=flags, codec=codec, digest=bytes(8))[:8]


def plain_frame(start: bytes, digest: bytes, payload: bytes) -> bytes:
    """Return what `encode` does of a value without stamps, whose times a script is to write.

    The short way for the usual case. `start` is `plain_start` of the codec and its flags.
    """
    return b"".join((start, _UNTIMED, digest, crc32(payload).to_bytes(4), payload))


def plain_parts(data: bytes, start: bytes, digest: bytes) -> PlainParts | None:
    """Return the parts of a frame as its codec writes them.

    The short way for the usual case. None: it has other flags, or the rest of a source that has
    failed, or is no value of this key; `decode` says what it is. `start` is `plain_start` of the
    codec and its flags.
    """
    stamped = 0
    if not data.startswith(start):
        if len(data) < HEAD_BYTES or not data.startswith(start[:6]) or data[7]:
            return None
        stamped = data[6] * STAMP_BYTES
    if len(data) < HEAD_BYTES + stamped:
        return None
    fresh_until_ms, born_ms, cost_us, owner, total = _unpack_times(data)
    if owner != digest:
        return None
    body = data[HEAD_BYTES:] if len(data) <= COPIED_BYTES else memoryview(data)[HEAD_BYTES:]
    if crc32(body) != total:
        return None
    if not stamped:
        return fresh_until_ms, born_ms, cost_us, b"", body
    return fresh_until_ms, born_ms, cost_us, bytes(body[:stamped]), body[stamped:]


def lease_frame(key: bytes) -> bytes:
    """Return the head of a lease on `key` with no body; a script writes token and deadline."""
    return encode(state=State.LEASE, digest=digest8(key))


def tombstone_frame(key: bytes, token: bytes = NO_TOKEN) -> bytes:
    """Return what an invalidation leaves under `key`; that of a writer, with its token."""
    return encode(state=State.TOMBSTONE, token=token, digest=digest8(key))


def intent_frame(key: bytes) -> bytes:
    """Return the head of an intent on `key`; a script writes the writers and their ends."""
    return encode(state=State.INTENT, digest=digest8(key))


def writers_of(intent: Frame) -> memoryview:
    """Return the list of an intent's writers: token and end of each, `WRITER_BYTES` together."""
    return intent.payload[: max(0, len(intent.payload) - intent.cost_us)]


def stamp_frame(key: bytes, stamp: bytes, name: str) -> bytes:
    """Return the version that is stored under a tag's `key`. Its name is for people to read."""
    payload = name.encode("utf-8", "replace")[:_MAX_NAME_BYTES]
    return encode(state=State.STAMP, token=stamp, digest=digest8(key), payload=payload)


def stamp_of(data: bytes | None, key: bytes) -> bytes | None:
    """Return the version that a tag's `key` holds. None: it has none now, whatever is there."""
    return stamp_in(data, digest8(key))


def stamp_in(data: bytes | None, owner: bytes) -> bytes | None:
    """Return what `stamp_of` does, where the digest of the key is at hand: `owner`."""
    if data is None or len(data) < HEAD_BYTES or not data.startswith(_STAMP_START):
        return None
    return data[8:16] if data[44:52] == owner else None


def rest_until_ms(data: bytes) -> int:
    """Return until when the source of a stored value is left alone, by the server's clock.

    0: it is not. `data` is a value's frame.
    """
    return int.from_bytes(data[16:24]) if data[7] else 0


def identity_of(data: bytes) -> bytes:
    """Return what tells a stored value from those before and after it: its two times."""
    return bytes(data[24:40])


def stamps_in(data: bytes) -> Stamps:
    """Return the stamps that a frame carries between its head and its payload."""
    if not data:
        return ()
    flat = iter(_stamps_of(len(data) // STAMP_BYTES).unpack(data))
    return tuple(zip(flat, flat, strict=True))


@lru_cache(maxsize=_MAX_STAMPS + 1)
def _stamps_of(count: int) -> Struct:
    return Struct("8s8s" * count)
