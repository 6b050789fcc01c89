"""Values as commands show them: those that say what they are without the program of theirs."""

from __future__ import annotations

from typing import Any, Final

from freshwell.codecs.base import BoundCodec, resolve_codec
from freshwell.codecs.plain import PlainJsonCodec
from freshwell.errors import CodecError, ConfigurationError
from freshwell.ground.frame import Flag

__all__ = ["Hidden", "decoded", "shown"]

_JSON: Final = 1
_MSGPACK: Final = 2
_MAX_SHOWN: Final = 2_000


class Hidden(Exception):
    """A value is not shown. Says why."""


def decoded(codec: int, flags: int, data: bytes | memoryview, associated: bytes) -> Any:
    """Return a value that a codec of this number wrote, with these flags. Raises `Hidden`."""
    if flags & Flag.SEALED:
        raise Hidden("sealed: never shown")
    bound = _bound(codec)
    if flags:
        raise Hidden("not shown: only its own cache can read it")
    try:
        return bound.decode(data, associated)
    except CodecError:
        raise Hidden("not shown: it cannot be decoded") from None
    except RecursionError:
        raise Hidden("not shown: it is nested too deep") from None


def shown(value: Any) -> tuple[str, str | None]:
    """Return a value as text, and how much of that was cut off. Raises `Hidden`."""
    try:
        text = repr(value)
    except RecursionError:
        raise Hidden("not shown: it is nested too deep") from None
    if len(text) <= _MAX_SHOWN:
        return text, None
    return text[:_MAX_SHOWN], f"cut: {len(text) - _MAX_SHOWN:,} more characters"


def _bound(codec: int) -> BoundCodec:
    if codec == _JSON:
        return PlainJsonCodec().bind(Any)
    if codec != _MSGPACK:
        raise Hidden("not shown: it is in neither JSON nor MessagePack")
    try:
        return resolve_codec("msgpack").bind(Any)
    except ConfigurationError as error:
        raise Hidden(f"not shown: {error}") from None
