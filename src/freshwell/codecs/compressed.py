"""Compressed by Zstandard, with a bound on what bytes may become again.

Payload: one byte, 0 for bytes as they are and 1 for a Zstandard frame that tells its size. A frame
that tells none, or more than is allowed, is not decompressed.
"""

from __future__ import annotations

from threading import local
from typing import Any, Final

from freshwell.codecs.base import BoundCodec, Codec, flags_of, is_exact
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.wrapping import inner_codec
from freshwell.errors import CodecError, ConfigurationError
from freshwell.ground.frame import GUARDED, Flag
from freshwell.ground.options import bounded_int

__all__ = ["Compressed"]

_PLAIN: Final = 0
_ZSTANDARD: Final = 1
_MAX_BYTES: Final = 16 * 2**20
_LEAST_LEVEL, _MOST_LEVEL = 1, 19


class Compressed:
    """A codec whose bytes are compressed by Zstandard where that makes them smaller.

    Needs ``freshwell[zstd]``. To encrypt as well, see `Sealed` and its `allow_compressed`.

    Args:
        inner: How values become bytes: ``"json"``, ``"msgpack"`` or a codec object.
        threshold_bytes: Smaller values stay as they are.
        max_bytes: Larger values are not compressed, and nothing is decompressed that would be
            larger. None: 16 MiB. In a cache never more than its `max_value_bytes`.
        level: Of Zstandard, 1 (fast) to 19 (small).

    Raises:
        ConfigurationError: An option is wrong, `inner` is no codec, or sealed, signed or
            compressed already; or ``zstandard`` is not installed.
    """

    def __init__(
        self,
        inner: str | Codec = "json",
        *,
        threshold_bytes: int = 1_024,
        max_bytes: int | None = None,
        level: int = 3,
    ) -> None:
        self._inner = inner_codec(inner, "Compressed")
        if flags_of(self._inner) & (GUARDED | Flag.COMPRESSED):
            raise ConfigurationError(
                f"Compressed was given {self._inner.name!r}: what is sealed does not become "
                "smaller, and what is signed or compressed is so already. Put it inside: "
                'Signed(Compressed("json"), keyring)'
            )
        self._threshold_bytes = bounded_int(threshold_bytes, "threshold_bytes", 0)
        self._max_bytes = bounded_int(
            _MAX_BYTES if max_bytes is None else max_bytes, "max_bytes", 1
        )
        self._level = bounded_int(level, "level", _LEAST_LEVEL)
        if level > _MOST_LEVEL:
            raise ConfigurationError(f"level is {level!r}: use {_LEAST_LEVEL} to {_MOST_LEVEL}")
        self._press = _Press(self._threshold_bytes, self._max_bytes, self._level)
        self.name = f"compressed {self._inner.name}"
        self.id = self._inner.id
        self.flags = Flag.COMPRESSED
        self.exact = is_exact(self._inner)
        self._bindings = Bindings(self._bound)

    def __repr__(self) -> str:
        return (
            f"Compressed({self._inner!r}, threshold_bytes={self._threshold_bytes}, "
            f"max_bytes={self._max_bytes}, level={self._level})"
        )

    def bind(self, type_: Any) -> BoundCodec:
        """Return the codec for values of a type. Raises what that of the inner codec raises."""
        return self._bindings.of(type_)

    def within(self, max_bytes: int) -> Codec:
        """Return this codec for values of so many bytes at the most."""
        if max_bytes >= self._max_bytes:
            return self
        return self._around(self._inner, max_bytes)

    def revealing(self) -> Codec:
        """Return this codec around one that writes what hides itself elsewhere."""
        revealing = getattr(self._inner, "revealing", None)
        return self if revealing is None else self._around(revealing(), self._max_bytes)

    def _around(self, inner: Codec, max_bytes: int) -> Compressed:
        return Compressed(
            inner,
            threshold_bytes=self._threshold_bytes,
            max_bytes=max_bytes,
            level=self._level,
        )

    def _bound(self, type_: Any) -> BoundCodec:
        return _Bound(self._inner.bind(type_), self._press)


class _Bound:
    flags = Flag.COMPRESSED

    def __init__(self, inner: BoundCodec, press: _Press) -> None:
        self.id = inner.id
        self._inner = inner
        self._press = press

    def encode(self, value: Any, associated: bytes) -> bytes:
        return self._press.close(self._inner.encode(value, associated))

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        return self._inner.decode(self._press.open(data), associated)


class _Press:
    """Compresses and decompresses. Thread-safe: what Zstandard makes is not, and is kept apart."""

    def __init__(self, threshold_bytes: int, max_bytes: int, level: int) -> None:
        try:
            import zstandard
        except ImportError:
            raise ConfigurationError(
                'Compressed needs zstandard: pip install "freshwell[zstd]"'
            ) from None
        self._zstandard = zstandard
        self._threshold_bytes = threshold_bytes
        self._max_bytes = max_bytes
        self._level = level
        self._own = local()

    def close(self, data: bytes) -> bytes:
        if self._threshold_bytes <= len(data) <= self._max_bytes:
            made: bytes = self._tools()[0].compress(data)
            if len(made) < len(data):
                return bytes([_ZSTANDARD]) + made
        return bytes([_PLAIN]) + data

    def open(self, data: bytes | memoryview) -> bytes | memoryview:
        if not data:
            raise CodecError("the compressed bytes are cut off", "truncated")
        if data[0] == _PLAIN:
            return data[1:]
        if data[0] != _ZSTANDARD:
            raise CodecError("the bytes are not compressed in this way")
        return self._inflated(data[1:])

    def _inflated(self, data: bytes | memoryview) -> bytes:
        try:
            told = self._zstandard.get_frame_parameters(data).content_size
            # Memory is taken for what the frame tells: so that is looked at before anything.
            if told > self._max_bytes:
                raise CodecError("the bytes are larger than allowed, or do not say", "too large")
            opened: bytes = self._tools()[1].decompress(
                data, max_output_size=self._max_bytes, allow_extra_data=False
            )
        except self._zstandard.ZstdError:
            raise CodecError("the compressed bytes are damaged") from None
        if len(opened) != told:
            raise CodecError("the compressed bytes are damaged")
        return opened

    def _tools(self) -> tuple[Any, Any]:
        tools: tuple[Any, Any] | None = getattr(self._own, "tools", None)
        if tools is None:
            tools = self._own.tools = (
                self._zstandard.ZstdCompressor(level=self._level),
                self._zstandard.ZstdDecompressor(),
            )
        return tools
