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
from freshwell.codecs.guards import Guarded, keyed, signature
from freshwell.errors import CodecError, ConfigurationError
from freshwell.ground.frame import Flag

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
    flags = Flag.SIGNED

    def __init__(
        self, secret: str | bytes, *, previous_secrets: Iterable[str | bytes] = ()
    ) -> None:
        if isinstance(previous_secrets, str | bytes):
            raise ConfigurationError("previous_secrets is one secret: give a tuple of them")
        secrets = [_ready("secret", secret)]
        secrets += [_ready("previous_secrets", previous) for previous in previous_secrets]
        self._bound = Guarded(_Pickles(), _Secrets(secrets), Flag.SIGNED, self.name)
        self._previous = len(secrets) - 1

    def __repr__(self) -> str:
        return f"<PickleCodec signed, previous secrets: {self._previous}>"

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of any type: a pickle says its own type."""
        return self._bound


class _Pickles:
    id = PickleCodec.id

    def encode(self, value: Any, associated: bytes) -> bytes:
        try:
            return pickle.dumps(value, _PROTOCOL)
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError(f"a {type(value).__name__} cannot be pickled") from None

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        try:
            return pickle.loads(data)  # noqa: S301 - signed by us: see `Guarded.decode`
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError("the pickle cannot be read by this version of the code") from None


class _Secrets:
    """Signs with the first of some secrets, and takes what any of them has signed."""

    def __init__(self, keyed: list[hmac.HMAC]) -> None:
        self._keyed = tuple(keyed)

    def close(self, data: bytes, associated: bytes) -> bytes:
        return signature(self._keyed[0], data, associated) + data

    def open(self, data: bytes | memoryview, associated: bytes) -> bytes | memoryview:
        said, signed = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
        made = [signature(keyed, signed, associated) for keyed in self._keyed]
        if not any(hmac.compare_digest(said, own) for own in made):
            raise CodecError("the signature is not ours", "not authentic")
        return signed


def _ready(option: str, secret: object) -> hmac.HMAC:
    if not isinstance(secret, str | bytes):
        raise ConfigurationError(f"{option} is a {type(secret).__name__}: give bytes or text")
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < _MIN_SECRET_BYTES:
        raise ConfigurationError(
            f"{option} has {len(raw)} bytes: give at least {_MIN_SECRET_BYTES} random ones, such "
            "as secrets.token_hex(32)"
        )
    return keyed(raw, _DOMAIN)
