"""Types and values that must not be written unless they are sealed.

`Sensitive` marks them, and pydantic's secrets are marked by themselves. A type that holds one is
refused where it is bound to a codec that does not seal, with the path that leads to it. Codecs
that write values whatever their type is (pickle, and those of users) have each value looked at.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any, Final

from freshwell.codecs.base import BoundCodec, Codec, flags_of, is_exact
from freshwell.errors import CodecError, ConfigurationError
from freshwell.ground.frame import Flag

__all__ = ["Sensitive", "bind_checked", "holds_secrets", "is_secret", "sensitive_path"]

_SECRETS: Final = frozenset({"SecretStr", "SecretBytes", "Secret", "_SecretBase"})
_MAX_PARTS: Final = 100_000
_ATOMS: Final = frozenset({str, int, float, bool, bytes, type(None)})


class Sensitive:
    """Marks a type whose values are stored only where a codec seals them.

    ::

        class Account(msgspec.Struct):
            name: str
            token: Annotated[str, Sensitive()]

    For fields of dataclasses, msgspec structs, ``TypedDict``, ``NamedTuple`` and pydantic models,
    and for return types. pydantic's ``SecretStr`` and ``SecretBytes`` need no mark. The memory
    of this process (L1) holds values as they are, marked or not.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Sensitive()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sensitive)

    def __hash__(self) -> int:
        return hash(Sensitive)


def bind_checked(codec: Codec, type_: Any) -> BoundCodec:
    """Bind a codec to a type. Raises `ConfigurationError` for one that it must not write."""
    if flags_of(codec) & Flag.SEALED:
        return codec.bind(type_)
    path = sensitive_path(type_)
    if path is not None:
        raise ConfigurationError(
            f"{path} is sensitive, and {codec.name!r} would store it in the clear: give the "
            'cache codec=Sealed("json", Keyring.from_env()), or leave it out of what is cached'
        )
    bound = codec.bind(type_)
    return bound if is_exact(codec) else _Vetted(bound)


class _Vetted:
    """A codec that looks at each value before it is written. Reads at the inner one's cost."""

    __slots__ = ("_inner", "check_absent", "decode", "encode_absent", "flags", "id")

    def __init__(self, inner: BoundCodec) -> None:
        self.id = inner.id
        self.flags = flags_of(inner)
        self._inner = inner
        self.decode = inner.decode
        for name in ("encode_absent", "check_absent"):
            if hasattr(inner, name):
                setattr(self, name, getattr(inner, name))

    def encode(self, value: Any, associated: bytes) -> bytes:
        path = _path_in_value(value)
        if path is not None:
            raise CodecError(
                f"{path} is sensitive, and would be stored in the clear: give the cache "
                "codec=Sealed(...), or leave it out of what is cached"
            )
        return self._inner.encode(value, associated)


# -- types ------------------------------------------------------------------------------------


def sensitive_path(type_: Any) -> str | None:
    """Return where in a type something sensitive is, such as ``Account.token``. None: nowhere.

    What cannot be resolved is left to the codec, which cannot write it either.
    """
    path = _find(type_, "", set(), _is_sensitive)
    if path == "":
        return type_.__qualname__ if isinstance(type_, type) else "the type"
    return path


def holds_secrets(type_: Any) -> bool:
    """Tell whether there is one of pydantic's secrets somewhere in a type."""
    return _find(type_, "", set(), is_secret) is not None


def _find(type_: Any, path: str, seen: set[int], is_wanted: Callable[[Any], bool]) -> str | None:
    if id(type_) in seen:
        return None
    seen.add(id(type_))
    if is_wanted(type_):
        return path
    for name, part in _parts(type_):
        # The record that comes first gives its name to the path.
        whole = f"{path or type_.__qualname__}.{name}" if name else path
        found = _find(part, whole, seen, is_wanted)
        if found is not None:
            return found
    return None


def _is_sensitive(type_: Any) -> bool:
    marks = getattr(type_, "__metadata__", ())
    return any(mark is Sensitive or isinstance(mark, Sensitive) for mark in marks) or is_secret(
        type_
    )


def is_secret(type_: Any) -> bool:
    """Tell whether a class is one of pydantic's secrets."""
    return isinstance(type_, type) and any(
        base.__name__ in _SECRETS and base.__module__ == "pydantic.types" for base in type_.__mro__
    )


def _parts(type_: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a type is made of, with the names of its fields."""
    origin = typing.get_origin(type_)
    if origin is typing.Literal:
        return
    for part in (*typing.get_args(type_), origin):
        yield "", part
    for name in ("__value__", "__supertype__", "__bound__"):
        part = getattr(type_, name, None)
        if part is not None and not isinstance(type_, type):
            yield "", part
    if not isinstance(type_, type):
        return
    for name, field in getattr(type_, "__pydantic_fields__", {}).items():
        yield name, field.annotation
        if any(isinstance(mark, Sensitive) or mark is Sensitive for mark in field.metadata):
            yield name, typing.Annotated[Any, Sensitive()]
    if _has_fields(type_):
        yield from _hints(type_).items()


def _has_fields(type_: type) -> bool:
    return (
        dataclasses.is_dataclass(type_)
        or typing.is_typeddict(type_)
        or any(hasattr(type_, mark) for mark in ("__struct_fields__", "__attrs_attrs__", "_fields"))
    )


def _hints(type_: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(type_, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}


# -- values -----------------------------------------------------------------------------------


def _path_in_value(value: Any) -> str | None:
    """Return where in a value something sensitive is; None: nowhere that is looked at.

    Looked at are containers and the fields of records, each object once.
    """
    seen: set[int] = set()
    known: dict[type, str | None] = {}
    waiting = [value]
    while waiting and len(seen) < _MAX_PARTS:
        part = waiting.pop()
        kind = type(part)
        if kind in _ATOMS or id(part) in seen:
            continue
        seen.add(id(part))
        if kind not in known:
            known[kind] = sensitive_path(kind)
        if known[kind] is not None:
            return known[kind]
        waiting.extend(_held(part))
    return None


def _held(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    state = getattr(value, "__dict__", None)
    if isinstance(state, dict):
        yield from state.values()
    for name in _slots(type(value)):
        yield getattr(value, name, None)


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots
    yield from getattr(kind, "__struct_fields__", ())
