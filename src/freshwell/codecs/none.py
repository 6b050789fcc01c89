"""The codec of a cache without L2: nothing is ever written."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from freshwell.codecs.base import BoundCodec

__all__ = ["NO_CODEC"]


class _NoCodec:
    id = 0

    def encode(self, value: Any, associated: bytes) -> NoReturn:
        raise AssertionError("a cache without L2 has nothing to write")

    def decode(self, data: bytes | memoryview, associated: bytes) -> NoReturn:
        raise AssertionError("a cache without L2 has nothing to read")


NO_CODEC: Final[BoundCodec] = _NoCodec()
