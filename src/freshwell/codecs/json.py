"""JSON by msgspec, decoded straight into the annotated type; pydantic by its own core."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from freshwell.codecs.base import BoundCodec
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.checked import Checked
from freshwell.codecs.native import native
from freshwell.codecs.types import Adapter, adapter_for, revealed_by

__all__ = ["JsonCodec"]


class JsonCodec:
    """JSON. Readable by others; plain values, and whatever an annotation names.

    What would not come back alike is refused with `CodecError` when it is written.
    """

    name = "json"
    exact = True
    id = 1

    def __init__(self) -> None:
        self._bindings = Bindings(partial(_bound, revealed=False))

    def __repr__(self) -> str:
        return "JsonCodec()"

    def revealing(self) -> JsonCodec:
        """Return the codec that writes pydantic's secrets as they are. For `Sealed`."""
        codec = JsonCodec()
        codec._bindings = Bindings(partial(_bound, revealed=True))
        return codec

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of a type. Kept: the next call with it costs a lookup.

        Raises `ConfigurationError` for a type that JSON cannot be decoded to.
        """
        return self._bindings.of(type_)


def _bound(type_: Any, *, revealed: bool) -> BoundCodec:
    adapter = adapter_for(type_)
    if adapter is not None:
        return _pydantic(adapter, revealed=revealed and adapter.has_secrets)
    return native(JsonCodec.id, "JSON", msgspec.json, type_, named_members=True)


def _pydantic(adapter: Adapter, *, revealed: bool) -> BoundCodec:
    def write(value: Any) -> bytes:
        if revealed:
            return msgspec.json.encode(revealed_by(adapter, value))
        written: bytes = adapter.type.dump_json(value, warnings="none", **adapter.dump)
        return written

    def read(data: bytes | memoryview) -> Any:
        return adapter.type.validate_json(bytes(data), **adapter.validate)

    return Checked(JsonCodec.id, "JSON", write, read, exact=True)
