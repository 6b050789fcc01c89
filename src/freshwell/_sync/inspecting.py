"""Look at what L2 has of one entry, and change nothing: for people who want to know why."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping
from typing import NamedTuple

from freshwell._sync.scope import Scope
from freshwell._sync.stores.base import Peeked
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import Frame, Rejected, State, decode
from freshwell.ground.keys import digest8
from freshwell.ground.names import key_tag

__all__ = ["Inspected", "inspect"]


class Inspected(NamedTuple):
    """What L2 has of one entry: undecoded, and what its bytes are."""

    l2_key: bytes
    peeked: Peeked
    frame: Frame | Rejected | None
    """None: nothing stands under the key."""
    server_ms: int
    """The server's clock, when that was asked for."""
    tags: Mapping[bytes, Frame | Rejected | None]
    """What stands under the versions of the entry's tags, by their digests."""
    names: Mapping[bytes, str]
    """The inner names of tags by their digests, as far as they are known or stand there.

    One that ends with ``...`` was cut.
    """


def inspect(scope: Scope, key: str) -> Inspected:
    """Ask L2 about one entry, in two round trips, without a script and without L1.

    The tags are asked for after the entry: a change in between shows.

    Raises `StoreUnavailable`, and `KeyRejected` for a bad key.
    """
    core = scope._core
    store, names, name = core.engine().tiers.store, core.names, scope._name(key)
    l2_key = names.entry(name)
    peeked = store.peek(l2_key)
    server_ms = store.server_ms(l2_key)
    if store.shared and not server_ms:
        raise StoreUnavailable("the server does not tell its time")
    frame = None if peeked.data is None else decode(peeked.data, digest8(l2_key))
    digests = [digest for digest, _ in frame.stamps] if isinstance(frame, Frame) else []
    keys = [names.version_key(digest) for digest in digests]
    tags: dict[bytes, Frame | Rejected | None] = {}
    called = {names.digest(tag): tag for tag in (*scope._implied, key_tag(name))}
    for digest, its_key, blob in zip(digests, keys, store.fetch_many(keys), strict=True):
        version = None if blob is None else decode(blob, digest8(its_key))
        tags[digest] = version
        if isinstance(version, Frame) and version.state is State.STAMP and digest not in called:
            text = bytes(version.payload).decode("utf-8", "replace")
            if text:  # that of a cache with hashed names says nothing
                called[digest] = text if names.digest(text) == digest else f"{text}..."
    return Inspected(l2_key, peeked, frame, server_ms, tags, called)
