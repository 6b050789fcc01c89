"""Entries, tags and the ends of writes, as the suite of stores uses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from freshwell._async.stores.base import Fill, Mark, Settlement, Store
from freshwell.ground.frame import (
    Frame,
    State,
    decode,
    encode,
    stamp_frame,
    stamp_of,
    tombstone_frame,
)
from freshwell.ground.keys import digest8

__all__ = [
    "ANOTHER",
    "INTENT",
    "KEY",
    "MINE",
    "OTHER",
    "TAG",
    "VERSION",
    "Make",
    "Opened",
    "ends",
    "standing",
    "stored",
    "value",
]

KEY = b"fw:e:default:a"
TAG = b"fw:t:default:tag"
MINE, OTHER, VERSION, ANOTHER = b"writer01", b"writer02", b"version1", b"version2"
INTENT = [Mark(KEY, b"", 3_000), Mark(TAG, b"", 3_000)]

Make = Callable[..., Any]
"""Opens an empty store, whose leases stand for `lease_ms` (5,000 where nothing is said)."""


class Opened:
    """A store for the time of a block, and for no longer."""

    def __init__(self, make: Make, **options: int) -> None:
        self._make = make
        self._options = options

    async def __aenter__(self) -> Store:
        store: Store = self._make(**self._options)
        self._store = store
        return store

    async def __aexit__(self, *_: object) -> None:
        await self._store.aclose()


def value(token: bytes = b"", text: bytes = b"1", fresh_ms: int = 60_000, key: bytes = KEY) -> Fill:
    """Return a value to be stored, under a lease where there is a token, for a minute more."""
    frame = encode(
        state=State.VALUE, codec=1, digest=digest8(key), payload=text, token=token or bytes(8)
    )
    return Fill(key, token, frame, fresh_ms, fresh_ms + 60_000)


async def stored(store: Store, key: bytes = KEY) -> Frame | None:
    """Return what stands under a key. None: nothing does."""
    blob = await store.fetch(key)
    if blob is None:
        return None
    frame = decode(blob, digest8(key))
    assert isinstance(frame, Frame)
    return frame


def ends(token: bytes) -> list[Settlement]:
    """End on the entry, with a value, and on a tag, with one version or the other."""
    frame = encode(state=State.VALUE, codec=1, digest=digest8(KEY), payload=b"1", token=token)
    kept = Fill(KEY, token, frame, 60_000, 90_000)
    alone = Fill(TAG, token, stamp_frame(TAG, token, "tag"), 0, 60_000)
    return [
        Settlement(token, Mark(KEY, tombstone_frame(KEY, token), 1_000), kept),
        Settlement(token, Mark(TAG, stamp_frame(TAG, VERSION, "tag"), 60_000), alone),
    ]


async def standing(store: Store) -> tuple[State | None, bytes | None]:
    """Return what the entry is, and the tag's version."""
    entry, tag = await store.fetch_many([KEY, TAG])
    frame = None if entry is None else decode(entry, digest8(KEY))
    return frame.state if isinstance(frame, Frame) else None, stamp_of(tag, TAG)
