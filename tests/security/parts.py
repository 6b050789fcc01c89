"""Keys and codecs of the tests, and every way in which bytes are guarded."""

from __future__ import annotations

from typing import Any, Final

import pytest

from freshwell import Compressed, Keyring, Sealed, Signed
from freshwell.codecs.base import Codec
from freshwell.codecs.pickle import PickleCodec

__all__ = ["GUARDED", "KEYS", "NEWER", "OTHERS", "bound", "each_guard", "keyring"]


def keyring(*ids: str) -> Keyring:
    """Return a keyring with those ids, the first of which writes. The same id, the same key."""
    return Keyring({id: (id.encode() + bytes(range(32)))[:32] for id in ids})


KEYS: Final = keyring("old")
NEWER: Final = keyring("new", "old")
OTHERS: Final = keyring("new")

GUARDED: Final[dict[str, Any]] = {
    "sealed": lambda keys: Sealed("json", keys),
    "sealed msgpack": lambda keys: Sealed("msgpack", keys),
    "sealed, compressed": lambda keys: Sealed(
        Compressed("json", threshold_bytes=0), keys, allow_compressed=True
    ),
    "sealed pickle": lambda keys: Sealed(PickleCodec(b"0123456789abcdef"), keys),
    "signed": lambda keys: Signed("json", keys),
    "signed, compressed": lambda keys: Signed(Compressed("json", threshold_bytes=0), keys),
}
"""What makes each codec of a keyring."""

each_guard: Final = pytest.mark.parametrize("make", GUARDED.values(), ids=GUARDED.keys())


def bound(codec: Codec, type_: Any = Any) -> Any:
    """Return a codec bound to a type."""
    return codec.bind(type_)
