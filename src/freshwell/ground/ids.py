"""What the source calls an entry, as bytes that can be read back: journals outlive processes."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from freshwell.errors import KeyRejected

__all__ = ["decode_id", "encode_id"]

_MAX_DEPTH: Final = 4
_MAX_BYTES: Final = 65_536
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_HIGHEST: Final = 10**100
"""Python does not write numbers of thousands of digits as text."""


def encode_id(id: object) -> bytes:
    """Return an id as text: JSON that says the types.

    Ids are whole numbers, texts, bytes, `UUID`s, and tuples of those. Raises `KeyRejected` for
    any other, kinds of them included: what was put as one type must not be saved as another. And
    for one that takes more than 64 KiB.
    """
    if type(id) is int and -_HIGHEST <= id <= _HIGHEST:
        return b"%d" % id
    told = _ENCODER.encode(_told(id, _MAX_DEPTH)).encode()
    if len(told) > _MAX_BYTES:
        raise KeyRejected(f"an id takes {len(told):,} bytes in a journal, more than {_MAX_BYTES:,}")
    return told


def decode_id(data: bytes) -> Any:
    """Return the id. Raises `ValueError`, and nothing else, for bytes that are none."""
    try:
        return _meant(json.loads(data.decode()), _MAX_DEPTH)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("not an id") from error


def _told(id: object, depth: int) -> Any:
    kind = type(id)
    if kind is str or (kind is int and -_HIGHEST <= id <= _HIGHEST):  # type: ignore[operator]
        return id
    if kind is bytes:
        return {"b": id.hex()}  # type: ignore[attr-defined]
    if kind is UUID:
        return {"u": str(id)}
    if kind is tuple and depth:
        return [_told(part, depth - 1) for part in id]  # type: ignore[attr-defined]
    raise KeyRejected(
        f"an id of type {kind.__name__} cannot be kept in a journal: give whole numbers, text, "
        "bytes, UUIDs, or tuples of those"
    )


def _meant(told: Any, depth: int) -> Any:
    if type(told) is int or type(told) is str:
        return told
    if type(told) is list and depth:
        return tuple(_meant(part, depth - 1) for part in told)
    if type(told) is dict and len(told) == 1:
        if "b" in told:
            return bytes.fromhex(told["b"])
        return UUID(told["u"])
    raise ValueError("not an id")
