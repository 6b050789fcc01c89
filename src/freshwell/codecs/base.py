"""What a codec is, and which come with freshwell.

A codec is chosen by configuration and never by stored bytes: an entry that another codec wrote
is a miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, Protocol, cast, runtime_checkable

from freshwell.errors import ConfigurationError
from freshwell.ground.frame import GUARDED

__all__ = [
    "BoundCodec",
    "Codec",
    "GuardingCodec",
    "check_codec",
    "decode_many",
    "flags_of",
    "guarding",
    "is_exact",
    "narrowed",
    "resolve_codec",
]


class BoundCodec(Protocol):
    """A codec for values of one type. Thread-safe."""

    @property
    def id(self) -> int:
        """The codec's number in L2 frames."""

    def encode(self, value: Any, associated: bytes) -> bytes:
        """Return `value` as bytes. `associated` (the L2 key) is what a signature covers too.

        Raises `CodecError`, which never holds the value.
        """

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        """Return the value. Raises `CodecError`, and nothing else, for any bytes."""


class GuardingCodec(BoundCodec, Protocol):
    """A bound codec whose `flags` say that what it writes cannot be forged."""

    def encode_absent(self, associated: bytes) -> bytes:
        """Return what says that the source has none."""

    def check_absent(self, data: bytes | memoryview, associated: bytes) -> None:
        """Raise `CodecError` for bytes that do not say so, or are not ours."""

    def close_id(self, id: bytes, associated: bytes) -> bytes:
        """Return what stands for the id of a record in a journal."""

    def open_id(self, data: bytes, associated: bytes) -> bytes:
        """Return the id. Raises `CodecError`."""


@runtime_checkable
class Codec(Protocol):
    """A way of writing values. `id` is 1 to 3 for those of freshwell, 64 to 255 for others.

    A codec, bound or not, may also have `flags`: what it does to its bytes (see ``ground/frame``);
    ``within(max_bytes)``, which returns it with a bound on what it makes of bytes; and `exact`
    (see `is_exact`).
    """

    name: str
    id: int

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of a type (Any: whatever it can write plainly).

        Raises `ConfigurationError` for a type that it cannot read back.
        """


def flags_of(codec: str | Codec | BoundCodec) -> int:
    """Return what a codec does to its bytes: sealed, signed, compressed. 0: nothing.

    Those that have a name alone do nothing.
    """
    return int(getattr(codec, "flags", 0))


def decode_many(
    codec: BoundCodec, payloads: Sequence[bytes | memoryview], associated: Sequence[bytes]
) -> list[Any]:
    """Return the values of many. Raises `CodecError` where one of them cannot be decoded.

    A codec may have a method of this name, to do it at once.
    """
    own = getattr(codec, "decode_many", None)
    if own is None:
        return list(map(codec.decode, payloads, associated))
    values: list[Any] = own(payloads, associated)
    return values


def guarding(codec: BoundCodec) -> GuardingCodec | None:
    """Return the codec if what it writes cannot be forged, else None."""
    guards = flags_of(codec) & GUARDED and hasattr(codec, "encode_absent")
    return cast("GuardingCodec", codec) if guards else None


def is_exact(codec: Codec) -> bool:
    """Tell whether a codec writes what a type says, and refuses whatever else a value holds."""
    return getattr(codec, "exact", False) is True


def narrowed(codec: Codec, max_bytes: int) -> Codec:
    """Return a codec that makes no more than so many bytes of any, as far as that is its task."""
    within = getattr(codec, "within", None)
    made: Codec = codec if within is None else within(max_bytes)
    return made


_PARTS: Final = ("name", "id", "bind")
_BUILT_IN: Final = {
    "json": ("freshwell.codecs.json", "JsonCodec"),
    "msgpack": ("freshwell.codecs.msgpack", "MsgpackCodec"),
}


def check_codec(spec: str | Codec) -> None:
    """Refuse what can be no codec, without importing any. Raises `ConfigurationError`."""
    if spec == "pickle":
        raise ConfigurationError(
            'codec is "pickle": unpickling runs code, so it must be signed: give '
            "freshwell.codecs.pickle.PickleCodec(secret=...)"
        )
    if isinstance(spec, str):
        if spec not in _BUILT_IN:
            names = ", ".join(repr(name) for name in _BUILT_IN)
            raise ConfigurationError(f"codec is {spec!r}: use one of {names}, or a codec object")
    elif isinstance(spec, type) or not all(hasattr(spec, part) for part in _PARTS):
        name = spec.__name__ if isinstance(spec, type) else type(spec).__name__
        what = f"the class {name}" if isinstance(spec, type) else f"an object of type {name}"
        raise ConfigurationError(f"codec is {what}: give a name or a codec object")


def resolve_codec(spec: str | Codec) -> Codec:
    """Return the codec of that name, or the codec given.

    Raises `ConfigurationError` for an unknown name, or a package that is not installed.
    """
    check_codec(spec)
    if not isinstance(spec, str):
        return spec
    module, name = _BUILT_IN[spec]
    try:
        made: Codec = getattr(import_module(module), name)()
    except ImportError as error:
        raise ConfigurationError(
            f'codec {spec!r} needs {error.name}: pip install "freshwell[redis]"'
        ) from None
    return made
