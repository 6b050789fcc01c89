"""A codec for a type that has a name already, and is defined later."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from freshwell.codecs.base import BoundCodec, Codec, GuardingCodec, flags_of, guarding
from freshwell.codecs.types import Unresolved
from freshwell.errors import CodecError, ConfigurationError

__all__ = ["LateCodec"]


class LateCodec:
    """Binds the type on first use: a method may return objects of the class that it stands in.

    A name that is not there even then (imported for type checkers only) leaves the type open:
    plain values pass, and others are refused with both reasons. Thread-safe; a race costs a
    second binding.
    """

    __slots__ = ("_bind", "_bound", "_missing", "_type", "flags", "id")

    def __init__(
        self, codec: Codec, type_: Unresolved, bind: Callable[[Codec, Any], BoundCodec]
    ) -> None:
        self.id = codec.id
        self.flags = flags_of(codec)
        self._bind = partial(bind, codec)
        self._type = type_
        self._bound: BoundCodec | None = None
        self._missing = ""

    def encode(self, value: Any, associated: bytes) -> bytes:
        bound = self._resolved()
        try:
            return bound.encode(value, associated)
        except CodecError as error:
            if not self._missing:
                raise
            raise CodecError(f"{error} ({self._missing})") from None

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        return self._resolved().decode(data, associated)

    def encode_absent(self, associated: bytes) -> bytes:
        return self._guarding().encode_absent(associated)

    def check_absent(self, data: bytes | memoryview, associated: bytes) -> None:
        self._guarding().check_absent(data, associated)

    def _guarding(self) -> GuardingCodec:
        bound = guarding(self._resolved())
        assert bound is not None, "what a codec binds does what the codec does"
        return bound

    def _resolved(self) -> BoundCodec:
        if self._bound is None:
            type_ = self._type.resolve()
            if isinstance(type_, Unresolved):
                self._missing = (
                    f"the return annotation of {type_.name} cannot be resolved: import what it "
                    "names at run time, or give type="
                )
                type_ = Any
            try:
                self._bound = self._bind(type_)
            except ConfigurationError as error:
                raise CodecError(str(error)) from None
        return self._bound
