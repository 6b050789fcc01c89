"""A codec whose bytes are guarded: sealed or signed, and bound to where they belong.

What a guard covers besides the bytes, its *associated data*, is the entry's whole key (with the
namespace and the schema version in it), what the bytes are (a value, or word that there is none),
the versions of the formats, and the inner codec. So bytes that were moved to another key, or are
given out for something else, are worth nothing.

That the source has none is guarded as values are: else who can write to L2 could say so.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final, Protocol

from freshwell.codecs.base import BoundCodec, flags_of
from freshwell.errors import CodecError
from freshwell.ground.frame import VERSION as FRAME_VERSION
from freshwell.ground.frame import Flag

__all__ = ["FORMAT", "Guard", "Guarded", "heading", "keyed", "named_in", "signature"]

FORMAT: Final = 1
_DOMAIN: Final = b"freshwell guard\0"
_VALUE: Final = b"v"
_ABSENT: Final = b"n"
_ID: Final = b"i"


class Guard(Protocol):
    """Makes bytes such that a change of them, or of what they belong to, is found. Thread-safe."""

    def close(self, data: bytes, associated: bytes) -> bytes:
        """Return the bytes, guarded."""

    def open(self, data: bytes | memoryview, associated: bytes) -> bytes | memoryview:
        """Return the bytes. Raises `CodecError`, and nothing else, for any that are not ours."""


class Guarded:
    """A bound codec behind a guard. Thread-safe. Raises `CodecError` alone, for any bytes."""

    def __init__(self, inner: BoundCodec, guard: Guard, flag: Flag, name: str) -> None:
        self.id = inner.id
        self.flags = flags_of(inner) | flag
        self._inner = inner
        self._guard = guard
        called = name.encode()
        about = bytes([FORMAT, FRAME_VERSION, self.id, self.flags, len(called)]) + called
        self._value = _DOMAIN + _VALUE + about
        self._absent = _DOMAIN + _ABSENT + about
        self._id = _DOMAIN + _ID + about

    def encode(self, value: Any, associated: bytes) -> bytes:
        return self._guard.close(self._inner.encode(value, associated), self._value + associated)

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        # Nothing is decoded that the guard has not let through.
        opened = self._guard.open(data, self._value + associated)
        return self._inner.decode(opened, associated)

    def encode_absent(self, associated: bytes) -> bytes:
        """Return the word that there is none."""
        return self._guard.close(b"", self._absent + associated)

    def check_absent(self, data: bytes | memoryview, associated: bytes) -> None:
        """Raise `CodecError` unless `data` is that word, and ours."""
        self._guard.open(data, self._absent + associated)

    def close_id(self, id: bytes, associated: bytes) -> bytes:
        """Return what stands for the id of a record in a journal."""
        return self._guard.close(id, self._id + associated)

    def open_id(self, data: bytes, associated: bytes) -> bytes:
        """Return the id. Raises `CodecError`."""
        return bytes(self._guard.open(data, self._id + associated))


def heading(key_id: bytes) -> bytes:
    """Return how bytes begin that were guarded with a key: the format, and the key's id."""
    return bytes([FORMAT, len(key_id)]) + key_id


def named_in(data: bytes | memoryview, keys: Mapping[bytes, Any]) -> tuple[bytes, int]:
    """Return the id of the key that `data` names, and where its heading ends.

    Raises `CodecError` where it has none, or names another than `keys`.
    """
    if len(data) < 2 or data[0] != FORMAT or not data[1] or len(data) < 2 + data[1]:
        raise CodecError("the bytes are not guarded in this way", "unguarded")
    end = 2 + data[1]
    id = bytes(data[2:end])
    if id not in keys:
        raise CodecError("the bytes name a key that is not on the keyring", "unknown key")
    return id, end


def keyed(secret: bytes, domain: bytes) -> hmac.HMAC:
    """Return an HMAC-SHA256 that is ready to sign under a key."""
    return hmac.new(secret, domain, "sha256")


def signature(keyed: hmac.HMAC, data: bytes | memoryview, associated: bytes) -> bytes:
    """Return the 32 bytes that sign `data` and `associated`."""
    mac = keyed.copy()
    # The length keeps the end of the one and the beginning of the other apart.
    mac.update(len(associated).to_bytes(8, "big"))
    mac.update(associated)
    mac.update(data)
    return mac.digest()
