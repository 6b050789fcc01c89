"""JSON by the standard library, for journals where nothing is installed."""

from __future__ import annotations

import json
from typing import Any

from freshwell.codecs.base import BoundCodec
from freshwell.codecs.checked import Checked
from freshwell.errors import ConfigurationError

__all__ = ["PlainJsonCodec"]


class PlainJsonCodec:
    """Plain values as JSON: text, numbers, None, lists, dicts. `JsonCodec` reads it too."""

    name = "json"
    id = 1

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec. Raises `ConfigurationError` for a type that would be decoded to."""
        if type_ is not Any:
            raise ConfigurationError(
                f"type is {type_!r}, and writing values of a type takes msgspec: "
                'pip install "freshwell[redis]", or give plain values'
            )
        return Checked(self.id, "JSON", _write, _read, exact=True)


def _write(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _read(data: bytes | memoryview) -> Any:
    return json.loads(str(data, "utf-8"))  # of bytes it would look for the encoding first
