"""A bound codec that reads back what it has written, before anyone relies on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from freshwell.codecs.faithful import a_kind, difference, is_plain
from freshwell.errors import CodecError

__all__ = ["Checked"]


class Checked:
    """Writes only what comes back alike. Thread-safe if `write` and `read` are.

    `exact`: equality is not enough, every type must be the same (`difference`). It is for
    types that leave room, where ``"red"`` would come back for ``Colour.RED`` and compare equal.

    What it writes is the same wherever it is kept.

    Cost of a write: `write`, `read` and one comparison. Writes follow loads, which cost more.
    """

    __slots__ = ("_exact", "_format", "_read", "_write", "id")

    def __init__(
        self,
        id_: int,
        format_: str,
        write: Callable[[Any], bytes],
        read: Callable[[bytes | memoryview], Any],
        *,
        exact: bool,
    ) -> None:
        self.id = id_
        self._format = format_
        self._write = write
        self._read = read
        self._exact = exact

    def encode(self, value: Any, associated: bytes) -> bytes:
        """Return the bytes. Raises `CodecError` for what would not come back alike."""
        try:
            data = self._write(value)
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError(self._refusal(value, "it cannot be written")) from None
        try:
            back = self._read(data)
            # `==` runs in C for most types, and settles most cases before the slow comparison.
            alike = value == back and (not self._exact or is_plain(value))
            unlike = "" if alike else difference(value, back)
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError(self._refusal(value, "it cannot be read back")) from None
        if unlike:
            raise CodecError(self._refusal(value, unlike))
        return data

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        """Return the value. Raises `CodecError`, and nothing else, for any bytes."""
        try:
            return self._read(data)
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError(self._unreadable()) from None

    def decode_many(
        self, payloads: Sequence[bytes | memoryview], associated: Sequence[bytes]
    ) -> list[Any]:
        """Return the values of many. Raises `CodecError` where `decode` does of one of them."""
        try:
            return list(map(self._read, payloads))
        except Exception:  # noqa: BLE001 - classes of users run in here
            raise CodecError(self._unreadable()) from None

    def _unreadable(self) -> str:
        return f"the bytes are no {self._format} of the wanted type"

    def _refusal(self, value: Any, why: str) -> str:
        return (
            f"{a_kind(value)} does not survive {self._format} ({why}): annotate the "
            "function with the type that it returns (or give type=), return plain values, or "
            "use another codec"
        )
