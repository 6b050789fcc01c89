"""Sealed: what is stored can be read and written by nobody without the key.

AES-256-GCM by ``cryptography``, with a random nonce of 96 bits for each write. Payload: the
format, the length of the key's id, the id, the nonce, then the ciphertext with its tag of 16 bytes.
Which algorithm is a matter of configuration, and never of what the bytes say.
"""

from __future__ import annotations

import os
from typing import Any, Final

from freshwell.codecs.base import BoundCodec, Codec, flags_of, is_exact, narrowed
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.guards import Guarded, heading, named_in
from freshwell.codecs.keyring import Keyring
from freshwell.codecs.wrapping import check_keyring, check_unguarded, inner_codec
from freshwell.errors import CodecError, ConfigurationError
from freshwell.ground.frame import Flag

__all__ = ["Sealed"]

_USE: Final = b"seal"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class Sealed:
    """A codec whose bytes are encrypted and authenticated: AES-256-GCM.

    What is covered is the value, the entry's whole key (with namespace and schema version), the
    versions of the formats, the inner codec and the key's id. Bytes that were changed, copied from
    another key, or written in any other way are misses. With it, `Sensitive` types are allowed.

    Not hidden are the names of keys (see `hash_keys`), how large values are, and when they are
    read and written. Keys should be changed before one has made 2**32 writes. Needs
    ``freshwell[crypto]``. Cost: 4 to 7 µs for each write and read of 1 KB, and 29 bytes and the
    key's id more in L2.

    Args:
        inner: How values become bytes: ``"json"``, ``"msgpack"`` or a codec object.
        keyring: The keys. Entries of keys that are no longer on it are misses.
        allow_compressed: Take an inner codec that compresses. Whoever can have values stored that
            hold text of theirs beside a secret can then find out the secret by their sizes.

    Raises:
        ConfigurationError: `inner` is no codec, or sealed or signed already, or compresses
            without `allow_compressed`; or ``cryptography`` is not installed.
    """

    def __init__(
        self, inner: str | Codec, keyring: Keyring, *, allow_compressed: bool = False
    ) -> None:
        self._inner = _revealing(inner_codec(inner, "Sealed"))
        check_unguarded(self._inner, "Sealed")
        if flags_of(self._inner) & Flag.COMPRESSED and allow_compressed is not True:
            raise ConfigurationError(
                "Sealed was given a codec that compresses: sizes then tell something of what is "
                "sealed. Leave Compressed out, or give allow_compressed=True where no value holds "
                "a secret beside text that others choose"
            )
        self._keyring = check_keyring(keyring, "Sealed")
        self._allow_compressed = allow_compressed
        self._sealer = _Sealer(keyring)
        self.name = f"sealed {self._inner.name}"
        self.id = self._inner.id
        self.flags = flags_of(self._inner) | Flag.SEALED
        self.exact = is_exact(self._inner)
        self._bindings = Bindings(self._bound)

    def __repr__(self) -> str:
        return f"Sealed({self._inner!r}, {self._keyring!r})"

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of a type. Raises what that of the inner codec raises."""
        return self._bindings.of(type_)

    def within(self, max_bytes: int) -> Codec:
        """Return this codec for values of so many bytes at the most."""
        inner = narrowed(self._inner, max_bytes)
        if inner is self._inner:
            return self
        return Sealed(inner, self._keyring, allow_compressed=self._allow_compressed)

    def _bound(self, type_: Any) -> BoundCodec:
        return Guarded(self._inner.bind(type_), self._sealer, Flag.SEALED, self._inner.name)


def _revealing(codec: Codec) -> Codec:
    """Return a codec that writes what hides itself elsewhere, such as pydantic's secrets."""
    revealing = getattr(codec, "revealing", None)
    made: Codec = codec if revealing is None else revealing()
    return made


class _Sealer:
    def __init__(self, keyring: Keyring) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise ConfigurationError(
                'Sealed needs cryptography: pip install "freshwell[crypto]"'
            ) from None
        keys = keyring.derived(_USE)
        self._ciphers = {id: AESGCM(key) for id, key in keys.items()}
        primary = next(iter(keys))
        self._primary, self._heading = self._ciphers[primary], heading(primary)
        self._invalid = InvalidTag

    def close(self, data: bytes, associated: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        head = self._heading
        return head + nonce + self._primary.encrypt(nonce, data, head + associated)

    def open(self, data: bytes | memoryview, associated: bytes) -> bytes:
        id, end = named_in(data, self._ciphers)
        start = end + _NONCE_BYTES
        if len(data) < start + _TAG_BYTES:
            raise CodecError("the sealed bytes are cut off", "truncated")
        head, nonce = bytes(data[:end]), bytes(data[end:start])
        try:
            return self._ciphers[id].decrypt(nonce, data[start:], head + associated)
        except self._invalid:
            raise CodecError("the seal is broken, or another's", "not authentic") from None
