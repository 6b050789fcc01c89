"""What the end of a writer's announcement leaves, asked of the store on a real server."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import itertools

import pytest

from freshwell._sync.stores.base import Fill, Mark, Settlement
from freshwell._sync.stores.redis import RedisStore
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
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
from tests.support.servers import Server

KEY = b"fw:e:default:a"
TAG = b"fw:t:default:tag"
MINE, OTHER, VERSION, ANOTHER = b"writer01", b"writer02", b"version1", b"version2"
INTENT = [Mark(KEY, b"", 3_000), Mark(TAG, b"", 3_000)]


def opened(url: str) -> RedisStore:
    numbers = itertools.count(1)
    return RedisStore(
        Link(Endpoint.of(url)), lease_ms=5_000, new_token=lambda: b"token%03d" % next(numbers)
    )


def ends(token: bytes) -> list[Settlement]:
    """End on the entry, with a value, and on a tag, with one version or the other."""
    frame = encode(state=State.VALUE, codec=1, digest=digest8(KEY), payload=b"1", token=token)
    value = Fill(KEY, token, frame, 60_000, 90_000)
    alone = Fill(TAG, token, stamp_frame(TAG, token, "tag"), 0, 60_000)
    return [
        Settlement(token, Mark(KEY, tombstone_frame(KEY, token), 1_000), value),
        Settlement(token, Mark(TAG, stamp_frame(TAG, VERSION, "tag"), 60_000), alone),
    ]


def standing(store: RedisStore) -> tuple[State | None, bytes | None]:
    """Return what the entry is, and the tag's version."""
    entry, tag = store.fetch_many([KEY, TAG])
    frame = None if entry is None else decode(entry, digest8(KEY))
    return frame.state if isinstance(frame, Frame) else None, stamp_of(tag, TAG)


def test_who_was_alone_leaves_the_value_and_its_own_version(redis_url: str) -> None:
    store = opened(redis_url)
    store.announce(INTENT, MINE)
    for _ in range(2):  # a repetition says the same
        assert store.settle(ends(MINE)) == [True, True]
        assert standing(store) == (State.VALUE, MINE)
    store.close()


def test_whoever_overlapped_leaves_neither(redis_url: str) -> None:
    store = opened(redis_url)
    store.announce(INTENT, MINE)
    store.announce(INTENT, OTHER)
    assert store.settle(ends(MINE)) == [False, False]
    assert standing(store) == (State.INTENT, None)
    assert store.settle(ends(OTHER)) == [False, False]
    assert standing(store) == (State.TOMBSTONE, VERSION)
    store.close()


@pytest.mark.parametrize("how", ["invalidated", "lost", "never announced"])
def test_whose_announcement_was_touched_leaves_nothing(
    redis_url: str, redis_server: Server, how: str
) -> None:
    store = opened(redis_url)
    if how != "never announced":
        store.announce(INTENT, MINE)
    if how == "invalidated":
        store.invalidate([KEY], [Mark(TAG, stamp_frame(TAG, ANOTHER, "tag"), 60_000)])
    if how == "lost":
        redis_server.ask("FLUSHALL")
    assert store.settle(ends(MINE)) == [False, False]
    left = VERSION if how == "invalidated" else None
    assert standing(store) == (State.TOMBSTONE, left)
    store.close()


@pytest.mark.parametrize("alone", [True, False])
def test_a_late_repetition_brings_no_version_back(redis_url: str, alone: bool) -> None:
    """What was stored under it in the meantime must stay outdated."""
    store = opened(redis_url)
    store.announce(INTENT, MINE)
    if not alone:
        store.announce(INTENT, OTHER)
        store.settle(ends(OTHER))
    store.settle(ends(MINE))
    assert standing(store)[1] == (MINE if alone else VERSION)
    store.invalidate([KEY], [Mark(TAG, stamp_frame(TAG, ANOTHER, "tag"), 60_000)])
    assert store.settle(ends(MINE)) == [False, False]
    assert standing(store) == (State.TOMBSTONE, None)
    store.close()
