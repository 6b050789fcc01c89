"""MessagePack by msgspec: smaller than JSON, and with bytes of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from freshwell.codecs.base import BoundCodec
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.checked import Checked
from freshwell.codecs.native import native
from freshwell.codecs.types import Adapter, adapter_for, revealed_by

__all__ = ["MsgpackCodec"]


class MsgpackCodec:
    """MessagePack. Plain values, bytes, keys that are no text, and what an annotation names.

    What would not come back alike is refused with `CodecError` when it is written. Integers
    have 64 bits at the most.
    """

    name = "msgpack"
    exact = True
    id = 2

    def __init__(self) -> None:
        self._bindings = Bindings(partial(_bound, revealed=False))

    def __repr__(self) -> str:
        return "MsgpackCodec()"

    def revealing(self) -> MsgpackCodec:
        """Return the codec that writes pydantic's secrets as they are. For `Sealed`."""
        codec = MsgpackCodec()
        codec._bindings = Bindings(partial(_bound, revealed=True))
        return codec

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of a type. Kept: the next call with it costs a lookup.

        Raises `ConfigurationError` for a type that MessagePack cannot be decoded to.
        """
        return self._bindings.of(type_)


def _bound(type_: Any, *, revealed: bool) -> BoundCodec:
    adapter = adapter_for(type_)
    if adapter is not None:
        return _pydantic(adapter, revealed=revealed and adapter.has_secrets)
    return native(MsgpackCodec.id, "MessagePack", msgspec.msgpack, type_, named_members=False)


def _pydantic(adapter: Adapter, *, revealed: bool) -> BoundCodec:
    pack, unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode

    def write(value: Any) -> bytes:
        if revealed:
            return pack(revealed_by(adapter, value))
        # What pydantic makes of a value for JSON is what it also reads back.
        plain = adapter.type.dump_python(value, mode="json", warnings="none", **adapter.dump)
        return pack(plain)

    def read(data: bytes | memoryview) -> Any:
        return adapter.type.validate_python(unpack(data), **adapter.validate)

    return Checked(MsgpackCodec.id, "MessagePack", write, read, exact=True)
