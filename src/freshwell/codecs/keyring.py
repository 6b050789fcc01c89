"""Secret keys with names, of which one writes and all read: so that keys can be changed."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from freshwell.errors import ConfigurationError

__all__ = ["Keyring", "hashing_key"]

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_LEAST_BYTES: Final = 32
_MOST_BYTES: Final = 1_024
_MOST_KEYS: Final = 64
_LEAST_VARIETY: Final = 8
_DOMAIN: Final = b"freshwell key 1\0"
_ENVIRONMENT: Final = "FRESHWELL_KEYS"
_HOW: Final = "make one with Keyring.new_key()"


class Keyring:
    """Secret keys by their ids: the primary one for writing, all of them for reading.

    To change a key, add the new one everywhere, then make it the primary one everywhere, and
    take the old one out when nothing that it wrote is needed any more. What a key wrote that
    was taken out is a miss.

    Each use (sealing, signing, hashing of names) has keys of its own, derived from these.
    Immutable and thread-safe. Ids are no secrets: they stand in what is stored.

    Args:
        keys: From 1 to 64 keys of at least 32 random bytes, by ids of letters, digits, ``.``,
            ``_`` and ``-``.
        primary: The id of the key to write with. None: the first one.

    Raises:
        ConfigurationError: A key is short or not random, an id cannot be. Names ids alone.
    """

    __slots__ = ("_keys", "primary")

    def __init__(self, keys: Mapping[str, bytes], *, primary: str | None = None) -> None:
        if not isinstance(keys, Mapping) or not 1 <= len(keys) <= _MOST_KEYS:
            raise ConfigurationError(
                f"a keyring holds 1 to {_MOST_KEYS} keys: give a mapping from ids to keys"
            )
        self._keys = {_checked_id(id): _checked_key(id, key) for id, key in keys.items()}
        if len(set(self._keys.values())) < len(self._keys):
            raise ConfigurationError("two ids of a keyring have the same key: take one out")
        self.primary = next(iter(self._keys)) if primary is None else primary
        """The id of the key that writes."""
        if self.primary not in self._keys:
            raise ConfigurationError("primary names none of the keyring's keys")

    @classmethod
    def from_base64(cls, text: str) -> Keyring:
        """Return the keys of a text such as ``"2027:BASE64,2026:BASE64"``: the first one writes.

        Raises `ConfigurationError`, which never repeats the text.
        """
        if not isinstance(text, str):
            raise ConfigurationError(f"the keys are a {type(text).__name__}: give text")
        keys: dict[str, bytes] = {}
        for part in filter(None, map(str.strip, text.split(","))):
            id, colon, coded = part.partition(":")
            if not colon or not _ID.fullmatch(id):
                raise ConfigurationError('keys are written as "ID:BASE64,ID:BASE64"')
            if id in keys:
                raise ConfigurationError(f"key {id!r} is there twice")
            keys[id] = _decoded(id, coded)
        return cls(keys)

    @classmethod
    def from_env(cls, name: str = _ENVIRONMENT) -> Keyring:
        """Return the keys of an environment variable, written as for `from_base64`.

        Raises `ConfigurationError` where it is not set, or holds no keys.
        """
        text = os.environ.get(name, "")
        if not text.strip():
            raise ConfigurationError(f'{name} is not set: give it "ID:BASE64", and {_HOW}')
        try:
            return cls.from_base64(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None

    @staticmethod
    def new_key() -> str:
        """Return 32 random bytes in Base64, for a text that `from_base64` reads."""
        return base64.b64encode(secrets.token_bytes(_LEAST_BYTES)).decode()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, that of the primary one first."""
        others = (id for id in self._keys if id != self.primary)
        return (self.primary, *others)

    def derived(self, use: bytes) -> dict[bytes, bytes]:
        """Return the keys for one use, 32 bytes each, by id; the primary one first."""
        return {
            id.encode(): hmac.digest(self._keys[id], _DOMAIN + use, "sha256") for id in self.ids
        }

    def __repr__(self) -> str:
        others = ", ".join(map(repr, self.ids[1:]))
        return f"<Keyring writes with {self.primary!r}{f', reads {others} too' if others else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a keyring is not pickled or copied: its keys would go with it")


def hashing_key(given: Keyring | bytes) -> bytes:
    """Return the key by which names are hashed. Raises `ConfigurationError`."""
    if isinstance(given, Keyring):
        keyring = given
    elif isinstance(given, bytes):
        keyring = Keyring({"hash_keys": given})
    else:
        raise ConfigurationError(
            f"hash_keys is a {type(given).__name__}: give a Keyring, or at least {_LEAST_BYTES} "
            "random bytes"
        )
    return keyring.derived(b"names")[keyring.primary.encode()]


def _checked_id(id: Any) -> str:
    if not isinstance(id, str) or not _ID.fullmatch(id):
        # It may be the key, given in the place of the id.
        raise ConfigurationError(
            "the id of a key is 1 to 32 letters, digits, '.', '_' or '-', such as \"2026-11\""
        )
    return id


def _checked_key(id: str, key: Any) -> bytes:
    if not isinstance(key, bytes):
        raise ConfigurationError(
            f"key {id!r} is a {type(key).__name__}: give bytes, or use Keyring.from_base64"
        )
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ConfigurationError(
            f"key {id!r} has {len(key)} bytes: give {_LEAST_BYTES} to {_MOST_BYTES}; {_HOW}"
        )
    if len(set(key)) < _LEAST_VARIETY:
        raise ConfigurationError(f"key {id!r} repeats a few bytes, and is not random: {_HOW}")
    return key


def _decoded(id: str, coded: str) -> bytes:
    try:
        return base64.b64decode(
            coded, altchars=b"-_" if set("-_") & set(coded) else None, validate=True
        )
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"key {id!r} is not written in Base64: {_HOW}") from None
