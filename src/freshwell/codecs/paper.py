"""What a write looks like in a journal: its id, its kind and its payload as bytes, and back.

A payload begins with the number of the codec that wrote it; where that does more to its bytes
(see ``ground/frame``), with a zero, the flags, and the number. A codec that seals or signs covers
the journal's cache, the entry's name and the id, and writes a payload for deletions too: so none of
them can be put together anew by who can write to the journal.
"""

from __future__ import annotations

from typing import Any, Final

from freshwell.codecs.base import BoundCodec, flags_of, guarding
from freshwell.codecs.checked import Checked
from freshwell.errors import CodecError
from freshwell.ground.ids import decode_id, encode_id
from freshwell.ground.records import Kind, Record

__all__ = ["Paper", "is_hidden", "marked"]

_FLAGGED: Final = 0
_FLAGGED_BYTES: Final = 3


class Paper:
    """Writes and reads records for one strategy. Thread-safe.

    `hides_ids`: ids are sealed too, behind a zero, with which no other begins.
    """

    def __init__(self, codec: BoundCodec, namespace: str, *, hides_ids: bool) -> None:
        flags = flags_of(codec)
        self._mark = bytes([_FLAGGED, flags, codec.id]) if flags else bytes([codec.id])
        self._codec = codec
        self._is_bare = isinstance(codec, Checked)
        self._guard = guarding(codec)
        self._sealer = self._guard if hides_ids else None
        # No entry's key in L2 begins like this.
        self._place = b"journal\0" + namespace.encode() + b"\0"

    def written(self, name: str, id: Any, value: Any) -> tuple[bytes, Kind, bytes]:
        """Return the id, the kind and the payload of a record. `value` None: it is a deletion.

        Raises `CodecError`, and `KeyRejected` for what is no id.
        """
        plain = encode_id(id)
        if self._is_bare and value is not None:  # its bytes are the same in any place
            return plain, Kind.PUT, self._mark + self._codec.encode(value, b"")
        place = self._at(name)
        kept = plain
        if self._sealer is not None:
            kept = bytes([_FLAGGED]) + self._sealer.close_id(plain, place)
        if value is not None:
            return kept, Kind.PUT, self._mark + self._codec.encode(value, place + plain)
        payload = b""
        if self._guard is not None:
            payload = self._mark + self._guard.encode_absent(place + plain)
        return kept, Kind.DELETE, payload

    def payload_at(self, codec: BoundCodec) -> int | None:
        """Return where in a payload begins what `codec` makes of the same value for an entry.

        None: nowhere. What a codec writes may belong to its place, but for one that only checks.
        """
        return len(self._mark) if codec is self._codec and self._is_bare else None

    def read(self, record: Record) -> tuple[Any, Any]:
        """Return the id and the value of a record. The value None: it is a deletion.

        Raises `CodecError` where this program cannot read it.
        """
        place = self._at(record.name)
        plain = self._plain_id(record.id, place)
        try:
            id = decode_id(plain)
        except ValueError:
            raise CodecError("the id of the write cannot be read") from None
        if record.is_delete and self._guard is None:
            return id, None
        if not record.payload.startswith(self._mark):
            raise CodecError("the write was accepted under another codec")
        data = record.payload[len(self._mark) :]
        if record.is_delete:
            assert self._guard is not None
            self._guard.check_absent(data, place + plain)
            return id, None
        return id, self._codec.decode(data, place + plain)

    def _plain_id(self, kept: bytes, place: bytes) -> bytes:
        if self._sealer is None:
            return kept
        if not is_hidden(kept):
            raise CodecError("the id of the write is not sealed", "unguarded")
        return self._sealer.open_id(kept[1:], place)

    def _at(self, name: str) -> bytes:
        told = name.encode("utf-8", "surrogatepass")
        return self._place + len(told).to_bytes(4, "big") + told


def marked(payload: bytes) -> tuple[int, int, bytes]:
    """Return the codec's number and flags that a payload begins with, and what follows.

    Raises nothing: 0 is the number of no codec.
    """
    if not payload:
        return 0, 0, b""
    if payload[0] != _FLAGGED:
        return payload[0], 0, payload[1:]
    if len(payload) < _FLAGGED_BYTES:
        return 0, 0, b""
    return payload[2], payload[1], payload[_FLAGGED_BYTES:]


def is_hidden(id: bytes) -> bool:
    """Tell whether the id of a record is sealed."""
    return id[:1] == bytes([_FLAGGED])
