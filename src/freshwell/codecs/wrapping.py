"""What codecs around another codec have in common."""

from __future__ import annotations

from typing import Any

from freshwell.codecs.base import Codec, flags_of, resolve_codec
from freshwell.codecs.keyring import Keyring
from freshwell.errors import ConfigurationError
from freshwell.ground.frame import GUARDED

__all__ = ["check_keyring", "check_unguarded", "inner_codec"]


def inner_codec(given: str | Codec, around: str) -> Codec:
    """Return the codec that another is to be around. Raises `ConfigurationError`."""
    try:
        codec = resolve_codec(given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{around}: {error}") from None
    if not 1 <= codec.id <= 255 or len(codec.name.encode()) > 255:
        raise ConfigurationError(f"{around}: the inner codec has an id or a name that cannot be")
    return codec


def check_unguarded(inner: Codec, around: str) -> None:
    """Refuse a codec that guards its bytes already. Signed pickles may be sealed besides."""
    if flags_of(inner) & GUARDED and not (around == "Sealed" and inner.name == "pickle"):
        raise ConfigurationError(
            f"{around} was given {inner.name!r}, which is sealed or signed already: once is enough"
        )


def check_keyring(given: Any, around: str) -> Keyring:
    """Return what was given as the keys. Raises `ConfigurationError`, which does not repeat it."""
    if not isinstance(given, Keyring):
        raise ConfigurationError(
            f"{around} was given a {type(given).__name__} as its keyring: give a Keyring, such as "
            "Keyring.from_env()"
        )
    return given
