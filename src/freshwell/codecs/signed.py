"""Signed: what is stored can be read by others, and written by none."""

from __future__ import annotations

import hmac
from typing import Any, Final

from freshwell.codecs.base import BoundCodec, Codec, flags_of, is_exact, narrowed
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.guards import Guarded, heading, keyed, named_in, signature
from freshwell.codecs.keyring import Keyring
from freshwell.codecs.wrapping import check_keyring, check_unguarded, inner_codec
from freshwell.errors import CodecError
from freshwell.ground.frame import Flag

__all__ = ["Signed"]

_USE: Final = b"sign"
_DOMAIN: Final = b"freshwell signed 1\0"
_BYTES: Final = 32


class Signed:
    """A codec whose bytes carry an HMAC-SHA256. For values that may be read, but not forged.

    The signature covers the value, the entry's whole key (with namespace and schema version), the
    versions of the formats, the inner codec and the key's id. Whatever does not fit is a miss.
    Sensitive types are refused: they must be sealed (`Sealed`).

    Args:
        inner: How values become bytes: ``"json"``, ``"msgpack"`` or a codec object.
        keyring: The keys. Entries of keys that are no longer on it are misses.

    Raises:
        ConfigurationError: `inner` is no codec, or sealed or signed already.
    """

    def __init__(self, inner: str | Codec, keyring: Keyring) -> None:
        self._inner = inner_codec(inner, "Signed")
        check_unguarded(self._inner, "Signed")
        self._keyring = check_keyring(keyring, "Signed")
        self._signer = _Signer(keyring)
        self.name = f"signed {self._inner.name}"
        self.id = self._inner.id
        self.flags = flags_of(self._inner) | Flag.SIGNED
        self.exact = is_exact(self._inner)
        self._bindings = Bindings(self._bound)

    def __repr__(self) -> str:
        return f"Signed({self._inner!r}, {self._keyring!r})"

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of a type. Raises what that of the inner codec raises."""
        return self._bindings.of(type_)

    def within(self, max_bytes: int) -> Codec:
        """Return this codec for values of so many bytes at the most."""
        inner = narrowed(self._inner, max_bytes)
        return self if inner is self._inner else Signed(inner, self._keyring)

    def _bound(self, type_: Any) -> BoundCodec:
        return Guarded(self._inner.bind(type_), self._signer, Flag.SIGNED, self._inner.name)


class _Signer:
    def __init__(self, keyring: Keyring) -> None:
        keys = keyring.derived(_USE)
        self._heading = heading(next(iter(keys)))
        self._keyed = {id: keyed(key, _DOMAIN + heading(id)) for id, key in keys.items()}
        self._primary = self._keyed[next(iter(keys))]

    def close(self, data: bytes, associated: bytes) -> bytes:
        return self._heading + signature(self._primary, data, associated) + data

    def open(self, data: bytes | memoryview, associated: bytes) -> bytes | memoryview:
        id, end = named_in(data, self._keyed)
        said, signed = data[end : end + _BYTES], data[end + _BYTES :]
        if not hmac.compare_digest(said, signature(self._keyed[id], signed, associated)):
            raise CodecError("the signature is not ours", "not authentic")
        return signed
