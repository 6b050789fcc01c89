"""Pickle, signed: for values that no other codec can write.

Reading a pickle runs code that its writer chose. So every payload carries an HMAC-SHA256 over
the codec, the key and the pickle, and nothing is unpickled whose signature is wrong: who can
write to the server but does not have the secret can cause misses and nothing else.

Payload: 32 bytes of signature, then the pickle (protocol 5, which every supported Python reads).
"""

from __future__ import annotations

import hmac
import pickle
from collections.abc import Iterable
from typing import Any, Final

from freshwell.codecs.base import BoundCodec
from freshwell.errors import CodecError, ConfigurationError

__all__ = ["PickleCodec"]

_PROTOCOL: Final = 5
_DOMAIN: Final = b"freshwell pickle codec 1\0"
_SIGNATURE_BYTES: Final = 32
_MIN_SECRET_BYTES: Final = 16


class PickleCodec:
    """Pickle, signed with a secret. It reads nothing that was written without it.

    Args:
        secret: At least 16 bytes of randomness; a text counts in UTF-8. Whoever knows it and
            can write to the server can run code in every process that reads.
        previous_secrets: Entries signed with these are read too, for as long as a change of
            the secret takes.

    Raises:
        ConfigurationError: A secret is too short or of another type.
    """

    name = "pickle"
    id = 3

    def __init__(
        self, secret: str | bytes, *, previous_secrets: Iterable[str | bytes] = ()
    ) -> None:
        if isinstance(previous_secrets, str | bytes):
            raise ConfigurationError("previous_secrets is one secret: give a tuple of them")
        keyed = [_keyed("secret", secret)]
        keyed += [_keyed("previous_secrets", previous) for previous in previous_secrets]
        self._bound = _Signed(keyed)
        self._previous = len(keyed) - 1

    def __repr__(self) -> str:
        return f"<PickleCodec signed, previous secrets: {self._previous}>"

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of any type: a pickle says its own type."""
        return self._bound


class _Signed:
    id = PickleCodec.id

    def __init__(self, keyed: list[hmac.HMAC]) -> None:
        self._keyed = tuple(keyed)

    def encode(self, value: Any, associated: bytes) -> bytes:
        try:
            data = pickle.dumps(value, _PROTOCOL)
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError(f"a {type(value).__name__} cannot be pickled") from None
        return _signature(self._keyed[0], data, associated) + data

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        signature, pickled = bytes(data[:_SIGNATURE_BYTES]), data[_SIGNATURE_BYTES:]
        # First the signature, and only then the pickle: this order is the codec's whole safety.
        if not self._signed(signature, pickled, associated):
            raise CodecError("the signature is not ours")
        try:
            return pickle.loads(pickled)  # noqa: S301 - signed by us
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError("the pickle cannot be read by this version of the code") from None

    def _signed(self, signature: bytes, data: bytes | memoryview, associated: bytes) -> bool:
        return any(
            hmac.compare_digest(signature, _signature(keyed, data, associated))
            for keyed in self._keyed
        )


def _keyed(option: str, secret: object) -> hmac.HMAC:
    if not isinstance(secret, str | bytes):
        raise ConfigurationError(f"{option} is a {type(secret).__name__}: give bytes or text")
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < _MIN_SECRET_BYTES:
        raise ConfigurationError(
            f"{option} has {len(raw)} bytes: give at least {_MIN_SECRET_BYTES} random ones, such "
            "as secrets.token_hex(32)"
        )
    return hmac.new(raw, _DOMAIN, "sha256")


def _signature(keyed: hmac.HMAC, data: bytes | memoryview, associated: bytes) -> bytes:
    mac = keyed.copy()
    # The length keeps the end of the key and the beginning of the pickle apart.
    mac.update(len(associated).to_bytes(8, "big"))
    mac.update(associated)
    mac.update(data)
    return mac.digest()
