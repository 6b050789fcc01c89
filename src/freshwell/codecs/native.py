"""Types that msgspec itself decodes: bound, and judged before anything is cached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from freshwell.codecs.checked import Checked
from freshwell.errors import ConfigurationError

__all__ = ["native"]

# What JSON has no way to name a member with.
_NO_JSON_NAMES = (
    inspect.BoolType,
    inspect.CollectionType,
    inspect.DataclassType,
    inspect.DictType,
    inspect.NamedTupleType,
    inspect.NoneType,
    inspect.StructType,
    inspect.TupleType,
    inspect.TypedDictType,
)


def native(id_: int, format_: str, msgspec_: Any, type_: Any, *, named_members: bool) -> Checked:
    """Return the codec of a type in one of msgspec's formats, ``msgspec.json`` for instance.

    `named_members`: the format has mappings with texts for keys only.

    Raises `ConfigurationError` for a type that cannot be decoded to.
    """
    vague = _is_vague(type_, named_members=named_members)
    try:
        decoder = msgspec_.Decoder(type_)
    except TypeError as error:
        raise _unreadable(type_, str(error)) from None
    return Checked(id_, format_, msgspec_.Encoder().encode, decoder.decode, exact=vague)


def _is_vague(type_: Any, *, named_members: bool) -> bool:
    """Say whether a type leaves room: it is Any, or holds Any somewhere."""
    try:
        parts = list(_parts(inspect.type_info(type_)))
    except (TypeError, NameError, RecursionError) as error:
        raise _unreadable(type_, str(error)) from None
    vague = False
    for part in parts:
        if isinstance(part, inspect.CustomType) and part.cls is not object:
            raise _unreadable(type_, f"{part.cls.__qualname__} is a class of its own")
        if named_members and isinstance(part, inspect.DictType):
            _check_names(type_, part)
        vague = vague or isinstance(part, inspect.AnyType | inspect.CustomType)
    return vague


def _unreadable(type_: Any, why: str) -> ConfigurationError:
    """Return the error for a type that cannot be decoded to."""
    return ConfigurationError(
        f"bytes cannot be decoded to {type_!r} ({why}): annotate with plain types, a dataclass, "
        "a msgspec Struct or a pydantic model, or give type= or codec="
    )


def _check_names(type_: Any, mapping: inspect.DictType) -> None:
    if isinstance(mapping.key_type, _NO_JSON_NAMES):
        kind = type(mapping.key_type).__name__.removesuffix("Type").lower()
        raise _unreadable(type_, f"JSON has no mappings with {kind} keys; msgpack may")


def _parts(info: inspect.Type) -> Iterator[inspect.Type]:
    """Yield a description and all within it. Types may hold themselves."""
    seen: set[int] = set()
    waiting: list[Any] = [info]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(part)
        elif isinstance(part, inspect.Type | inspect.Field) and id(part) not in seen:
            seen.add(id(part))
            if isinstance(part, inspect.Type):
                yield part
            waiting.extend(getattr(part, name) for name in part.__struct_fields__)
