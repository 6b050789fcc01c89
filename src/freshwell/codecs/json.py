"""JSON by msgspec, decoded straight into the annotated type; pydantic by its own core."""

from __future__ import annotations

from typing import Any

import msgspec

from freshwell.codecs.base import BoundCodec
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.checked import Checked
from freshwell.codecs.native import native
from freshwell.codecs.types import Adapter, adapter_for

__all__ = ["JsonCodec"]


class JsonCodec:
    """JSON. Readable by others; plain values, and whatever an annotation names.

    What would not come back alike is refused with `CodecError` when it is written.
    """

    name = "json"
    id = 1

    def __init__(self) -> None:
        self._bindings = Bindings(_bound)

    def __repr__(self) -> str:
        return "JsonCodec()"

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of a type. Kept: the next call with it costs a lookup.

        Raises `ConfigurationError` for a type that JSON cannot be decoded to.
        """
        return self._bindings.of(type_)


def _bound(type_: Any) -> BoundCodec:
    adapter = adapter_for(type_)
    if adapter is not None:
        return _pydantic(adapter)
    return native(JsonCodec.id, "JSON", msgspec.json, type_, named_members=True)


def _pydantic(adapter: Adapter) -> BoundCodec:
    def write(value: Any) -> bytes:
        written: bytes = adapter.type.dump_json(value, warnings="none", **adapter.dump)
        return written

    def read(data: bytes | memoryview) -> Any:
        return adapter.type.validate_json(bytes(data), **adapter.validate)

    return Checked(JsonCodec.id, "JSON", write, read, exact=True)
