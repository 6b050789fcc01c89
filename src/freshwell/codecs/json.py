"""JSON by msgspec, decoded straight into the annotated type; pydantic by its own core."""

from __future__ import annotations

from typing import Any

import msgspec

from freshwell.codecs.base import BoundCodec
from freshwell.codecs.types import adapter_for
from freshwell.errors import CodecError, ConfigurationError

__all__ = ["JsonCodec"]


class JsonCodec:
    """JSON. Readable by others; text, numbers, lists and mappings, and typed classes."""

    name = "json"
    id = 1

    def bind(self, type_: Any) -> BoundCodec:
        adapter = adapter_for(type_)
        if adapter is not None:
            return _PydanticJson(adapter, type_)
        try:
            return _Json(msgspec.json.Decoder(type_), type_)
        except TypeError as error:
            raise ConfigurationError(
                f"JSON cannot be decoded to {type_!r} ({error}): annotate with a dataclass, a "
                "msgspec Struct or a pydantic model, or give type= or codec="
            ) from None


class _Json:
    id = JsonCodec.id

    def __init__(self, decoder: msgspec.json.Decoder[Any], type_: Any) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._decode = decoder.decode
        self._type = type_

    def encode(self, value: Any, associated: bytes) -> bytes:
        try:
            return self._encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            raise CodecError(_unwritable(value)) from None

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        try:
            return self._decode(data)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            raise CodecError("the bytes are no JSON of the wanted type") from None


class _PydanticJson:
    id = JsonCodec.id

    def __init__(self, adapter: Any, type_: Any) -> None:
        self._adapter = adapter

    def encode(self, value: Any, associated: bytes) -> bytes:
        try:
            encoded: bytes = self._adapter.dump_json(value)
        except Exception:
            raise CodecError(_unwritable(value)) from None
        return encoded

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        try:
            return self._adapter.validate_json(bytes(data))
        except Exception:
            raise CodecError("the bytes are no JSON of the wanted type") from None


def _unwritable(value: Any) -> str:
    return (
        f"JSON cannot write a {type(value).__name__}: return plain values, a dataclass, a "
        "msgspec Struct or a pydantic model, or use another codec"
    )
