"""Keys: what may name an entry, and how arguments become a name.

`encode_arguments` is injective: different arguments never get the same text. Each value is
written with its type, and text with its length, so that ``("a b",)`` and ``("a", "b")``, and
``1``, ``"1"``, ``1.0`` and ``True``, all differ. Text longer than a bound is replaced by its
digest, marked as such.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence, Sized
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from freshwell.errors import ConfigurationError, KeyRejected

__all__ = [
    "DIGEST_BYTES",
    "MAX_AT_ONCE",
    "check_count",
    "check_key",
    "check_keys",
    "check_namespace",
    "check_version",
    "digest8",
    "encode_arguments",
    "encode_value",
    "escaped",
    "new_digest8",
    "short_digest",
]

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.@:/+=,-]*")
DIGEST_BYTES: Final = 8
MAX_AT_ONCE: Final = 100_000
"""How many keys, ids or tags a call may name."""
_MAX_TEXT: Final = 200
_MAX_DEPTH: Final = 16
_MAX_ITEMS: Final = 10_000
_MAX_DECIMAL_BITS: Final = 256


_new_digest: Final = blake2b(digest_size=DIGEST_BYTES).copy  # half the time of a new one


def new_digest8(text: bytes) -> bytes:
    """Return what `digest8` does, for those who remember it themselves."""
    digest = _new_digest()
    digest.update(text)
    return digest.digest()


@lru_cache(maxsize=8_192)
def digest8(key: bytes) -> bytes:
    """Return the 8-byte digest that an L2 frame carries of its key. Lately asked for: a lookup."""
    return new_digest8(key)


def short_digest(key: str) -> str:
    """Return a digest by which logs and errors name a key without telling it."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def check_key(key: str, max_bytes: int) -> str:
    """Return `key` if it can name an entry.

    Raises:
        KeyRejected: It is no text, empty, longer than `max_bytes` in UTF-8, or has control
            characters or lone surrogates. The error names the key by its digest.
    """
    if key.__class__ is not str and not isinstance(key, str):
        spread = ": give several one by one, as in invalidate(*keys)"
        hint = spread if isinstance(key, list | tuple | set | frozenset) else ""
        raise KeyRejected(f"a key is text, not {type(key).__name__}{hint}")
    if not key:
        raise KeyRejected("a key has at least one character")
    if len(key) * 4 > max_bytes and _length(key) > max_bytes:
        raise KeyRejected(
            f"key {short_digest(key)} is longer than max_key_bytes ({max_bytes}): use a "
            "digest of what it names"
        )
    if not key.isprintable():
        _check_characters(key)
    return key


def check_keys(keys: Sequence[str], max_bytes: int) -> None:
    """Refuse keys that `check_key` would refuse, one of them. Raises `KeyRejected`.

    All together are looked at first, which takes a third of the time: where none is empty or long,
    and all in one are printable text, each of them is fit.
    """
    try:
        text = "".join(keys)
    except TypeError:  # one of them is no text
        text = "\0"
    if text.isprintable() and all(keys) and len(max(keys, key=len, default="")) * 4 <= max_bytes:
        return
    for key in keys:
        check_key(key, max_bytes)


def check_count(count: int) -> None:
    """Refuse more keys, ids or tags than one call may name. Raises `KeyRejected`."""
    if count > MAX_AT_ONCE:
        raise KeyRejected(
            f"a call names at most {MAX_AT_ONCE:,} keys, ids or tags, and not {count:,}: make "
            "several calls of it"
        )


def check_namespace(name: str) -> str:
    """Return `name` if it can be a namespace, else raise `ConfigurationError`."""
    if not isinstance(name, str) or not _NAMESPACE.fullmatch(name):
        raise ConfigurationError(
            f"namespace is {name!r}: use 1 to 64 letters, digits, '.', '_' or '-'"
        )
    return name


def check_version(version: str | int | None) -> str:
    """Return a schema version as text, empty for None; else raise `ConfigurationError`."""
    if version is None:
        return ""
    plain = isinstance(version, str | int) and not isinstance(version, bool)
    if not plain or not _VERSION.fullmatch(str(version)):
        raise ConfigurationError(
            f"version is {version!r}: use a number, or 1 to 32 letters, digits, '.', '_' or '-'"
        )
    return str(version)


def encode_arguments(values: Sequence[object]) -> str:
    """Return the name of a sequence of arguments. Printable ASCII without glob characters.

    Raises:
        KeyRejected: A value is of a type that has no canonical form, nested too deep, or huge.
    """
    return _bounded(",".join(_encoded(value, _MAX_DEPTH) for value in values))


def encode_value(value: object) -> str:
    """Return the name of one value. As `encode_arguments`."""
    return _bounded(_encoded(value, _MAX_DEPTH))


def escaped(text: str, *, also: str = "") -> str:
    """Return `text` percent-escaped: ASCII letters, digits and ``_.@:/+=,-`` stay as they are.

    Characters in `also` are escaped too. Injective.
    """
    if not also and _PLAIN.fullmatch(text):
        return text
    return "".join(
        char if _PLAIN.fullmatch(char) and char not in also else _percent(char) for char in text
    )


# -- inside -----------------------------------------------------------------------------------


def _length(key: str) -> int:
    return len(key.encode("utf-8", "surrogatepass"))


def _check_characters(key: str) -> None:
    if _UNFIT.search(key) or any("\ud800" <= char <= "\udfff" for char in key):
        raise KeyRejected(
            f"key {short_digest(key)} has control characters or lone surrogates: escape them"
        )


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _bounded(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    # No plain encoding begins with "#".
    return f"#{blake2b(text.encode(), digest_size=16).hexdigest()}"


def _encoded(value: object, depth: int) -> str:
    encoder = _SCALARS.get(value.__class__)
    if encoder is not None:
        return encoder(value)
    if depth == 0:
        raise KeyRejected(f"arguments are nested more than {_MAX_DEPTH} deep")
    if isinstance(value, Enum):
        # Combinations of flags may have no name.
        member = value.value if value.name is None else value.name
        return f"E{_named(type(value))}.{_encoded(member, depth - 1)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return f"D{_named(type(value))}{_items((getattr(value, n) for n in names), depth)}"
    container = _CONTAINERS.get(value.__class__)
    if container is None:
        raise KeyRejected(
            f"an argument of type {type(value).__qualname__} cannot be part of a key: name "
            'what matters of it in the key template ("{arg.id}"), or leave it out (ignore=)'
        )
    if isinstance(value, Sized) and len(value) > _MAX_ITEMS:
        raise KeyRejected(f"an argument has more than {_MAX_ITEMS} items")
    return container(value, depth)


def _text(value: Any) -> str:
    plain = escaped(value, also=",()")
    return f"s{len(plain)}:{plain}"


def _bytes(value: Any) -> str:
    return f"b{value.hex()}"


def _float(value: Any) -> str:
    # Equal floats are one argument (0.0 and -0.0), and so are all NaNs.
    return "fnan" if math.isnan(value) else f"f{(value + 0.0)!r}"


def _integer(value: Any) -> str:
    # Python refuses to write very long numbers in decimals.
    return f"i{value}" if value.bit_length() <= _MAX_DECIMAL_BITS else f"x{value:x}"


def _clock_text(value: Any) -> str:
    # A zone is more than its offset at that instant, and a time alone may have no offset.
    text = f"{value.isoformat()}~{value.fold}".replace(":", ".")
    zone = value.tzinfo
    if zone is None or zone.__class__ is timezone:
        return text
    return f"{text}~{escaped(str(zone), also=',()')}"


_SCALARS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda value: "n",
    bool: lambda value: "t" if value else "u",
    int: _integer,
    str: _text,
    bytes: _bytes,
    float: _float,
    Decimal: lambda value: f"c{value}",
    UUID: lambda value: f"g{value.hex}",
    datetime: lambda value: f"d{_clock_text(value)}",
    date: lambda value: f"y{value.isoformat()}",
    time: lambda value: f"h{_clock_text(value)}",
    timedelta: lambda value: f"p{value // timedelta(microseconds=1)}",
}


def _items(values: Any, depth: int) -> str:
    return f"({','.join(_encoded(value, depth - 1) for value in values)})"


def _unordered(mark: str) -> Callable[[Any, int], str]:
    def encode(value: Any, depth: int) -> str:
        return f"{mark}({','.join(sorted(_encoded(item, depth - 1) for item in value))})"

    return encode


def _mapping(value: Mapping[Any, Any], depth: int) -> str:
    pairs = [
        f"{_encoded(key, depth - 1)}={_encoded(item, depth - 1)}" for key, item in value.items()
    ]
    return f"M({','.join(sorted(pairs))})"


_CONTAINERS: Final[dict[type, Callable[[Any, int], str]]] = {
    tuple: lambda value, depth: f"T{_items(value, depth)}",
    list: lambda value, depth: f"L{_items(value, depth)}",
    set: _unordered("S"),
    frozenset: _unordered("F"),
    dict: _mapping,
}


@lru_cache(maxsize=1024)
def _named(kind: type) -> str:
    name = escaped(f"{kind.__module__}.{kind.__qualname__}", also=",()")
    return f"{len(name)}:{name}"
