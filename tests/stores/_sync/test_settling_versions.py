"""What writers leave who overlap and have versions, asked of the store on a real server."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pytest

from freshwell._sync.stores.base import Fill, Mark, Settlement
from freshwell._sync.stores.redis import RedisStore
from freshwell._kit.threads import sleep
from freshwell.ground.frame import Frame, State, decode, encode, stamp_frame, tombstone_frame
from freshwell.ground.frame import writers_of as listed
from freshwell.ground.keys import digest8
from freshwell.testing._sync.store_parts import INTENT, KEY, TAG, standing
from tests.stores._sync.test_settling import opened
from tests.support.episodes import Episodes, events
from tests.support.servers import Server

LOW, HIGH, THIRD = b"writer01", b"writer02", b"writer03"
VERSIONS = {LOW: 2**32 - 1, HIGH: 2**32, THIRD: 5}
"""As texts, and as doubles of their halves, these would be in another order."""


def ends(token: bytes, version: int | None = None) -> list[Settlement]:
    """End on the entry and on the tag. A value is the token of its writer."""
    frame = encode(state=State.VALUE, codec=1, digest=digest8(KEY), payload=token, token=token)
    value = Fill(KEY, token, frame, 60_000, 90_000)
    alone = Fill(TAG, token, stamp_frame(TAG, token, "tag"), 0, 60_000)
    other = stamp_frame(TAG, b"another!", "tag")
    return [
        Settlement(token, Mark(KEY, tombstone_frame(KEY, token), 1_000), value, version),
        Settlement(token, Mark(TAG, other, 60_000), alone, version),
    ]


def value(store: RedisStore) -> bytes | None:
    """Return whose value stands."""
    found = store.fetch(KEY)
    frame = None if found is None else decode(found, digest8(KEY))
    if not isinstance(frame, Frame) or frame.state is not State.VALUE:
        return None
    return bytes(frame.payload)


@pytest.mark.parametrize("order", [(LOW, HIGH, THIRD), (HIGH, THIRD, LOW), (THIRD, HIGH, LOW)])
def test_the_highest_leaves_its_value_and_its_own_version_of_the_tag(
    redis_url: str, order: tuple[bytes, ...]
) -> None:
    store = opened(redis_url)
    for token in VERSIONS:
        store.announce(INTENT, token)
    for token in order[:2]:
        assert store.settle(ends(token, VERSIONS[token])) == [False, False]
        assert standing(store) == (State.INTENT, None)
    assert store.settle(ends(order[2], VERSIONS[order[2]])) == [True, True]
    assert standing(store) == (State.VALUE, HIGH)
    assert value(store) == HIGH
    store.close()


def test_what_is_kept_of_one_stands_behind_the_list_of_the_others(redis_url: str) -> None:
    store = opened(redis_url)
    for token in VERSIONS:
        store.announce(INTENT, token)
    store.settle(ends(HIGH, VERSIONS[HIGH]))
    for _ in range(2):
        store.announce(INTENT, LOW, prolong=True)
        data = store.fetch(KEY)
        assert data is not None
        frame = decode(data, digest8(KEY))
        assert isinstance(frame, Frame)
        writers = bytes(listed(frame))
        assert {writers[:8], writers[16:24]} == {LOW, THIRD}
        assert len(writers) == 32 < len(frame.payload)
    store.settle(ends(THIRD, VERSIONS[THIRD]))
    store.settle(ends(LOW, VERSIONS[LOW]))
    assert value(store) == HIGH
    store.close()


@pytest.mark.parametrize("noticed", ["at an end", "by another", "by nobody"])
@pytest.mark.parametrize("version", [VERSIONS[HIGH], None])
def test_one_whose_announcement_ran_out_leaves_the_entry_absent(
    redis_url: str, noticed: str, version: int | None
) -> None:
    """It has died, or its outcome is unknown: what it wrote may be what the source has."""
    store = opened(redis_url)
    store.announce(INTENT, HIGH)
    store.announce([mark._replace(keep_ms=20) for mark in INTENT], THIRD)
    if noticed == "by nobody":  # the other ends while this one's still stands
        store.settle(ends(HIGH, version))
        sleep(0.03)
        assert standing(store)[0] in (None, State.TOMBSTONE)
    else:
        sleep(0.03)
        if noticed == "by another":
            store.announce(INTENT, LOW)
            store.settle(ends(LOW, VERSIONS[LOW]))
        assert store.settle(ends(HIGH, version)) == [False, False]
        assert standing(store)[0] is State.TOMBSTONE
    store.close()


@pytest.mark.parametrize("version", [1, 2**40])
def test_an_end_that_comes_when_another_has_stored_replaces_nothing(
    redis_url: str, redis_server: Server, version: int
) -> None:
    """A writer froze until its announcement ran out. What it has may be the newer, or not."""
    store = opened(redis_url)
    store.announce(INTENT, LOW)
    redis_server.ask("FLUSHALL")
    store.announce(INTENT, HIGH)
    assert store.settle(ends(HIGH, VERSIONS[HIGH])) == [True, True]
    assert store.settle(ends(LOW, version)) == [False, False]
    assert standing(store) == (State.TOMBSTONE, None)
    store.close()


@pytest.mark.parametrize("version", [1, 2**40])
def test_an_end_without_an_announcement_spoils_what_others_leave(
    redis_url: str, version: int
) -> None:
    store = opened(redis_url)
    store.announce(INTENT, HIGH)
    store.announce(INTENT, THIRD)
    store.settle(ends(HIGH, VERSIONS[HIGH]))
    store.settle(ends(LOW, version))
    store.settle(ends(THIRD, VERSIONS[THIRD]))
    assert standing(store)[0] is State.TOMBSTONE
    store.close()


@pytest.mark.parametrize("crowded", [False, True])
def test_one_who_announces_again_after_a_gap_leaves_nothing(
    redis_url: str, redis_server: Server, crowded: bool
) -> None:
    """What fell into the gap, nobody knows."""
    store = opened(redis_url)
    store.announce(INTENT, HIGH)
    redis_server.ask("FLUSHALL")
    if crowded:
        store.announce(INTENT, LOW)
    store.announce(INTENT, HIGH, prolong=True)
    if crowded:
        store.settle(ends(LOW, VERSIONS[LOW]))
    assert store.settle(ends(HIGH, VERSIONS[HIGH])) == [False, False]
    assert standing(store)[0] is State.TOMBSTONE
    store.close()


def test_a_repeated_end_brings_no_lower_value(redis_url: str) -> None:
    """Of the last one it changes nothing; of the one before, the entry may be absent."""
    store = opened(redis_url)
    store.announce(INTENT, HIGH)
    store.announce(INTENT, LOW)
    store.settle(ends(LOW, VERSIONS[LOW]))
    for _ in range(2):
        assert store.settle(ends(HIGH, VERSIONS[HIGH])) == [True, True]
        assert value(store) == HIGH
    store.settle(ends(LOW, VERSIONS[LOW]))
    assert standing(store) == (State.TOMBSTONE, None)
    store.close()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_writers_do_the_rule_holds(redis_url: str, seed: int) -> None:
    store, episodes, seen = opened(redis_url), Episodes(), set()
    for word, number, version in events(seed):
        token = b"writer%02d" % number
        if word == "begin":
            store.announce(INTENT, token)
            episodes.begin(number)
        elif word == "end":
            store.settle(ends(token, version))
            episodes.end(number, version)
        else:
            store.invalidate([KEY])
            episodes.change()
        left = None if episodes.left is None else b"writer%02d" % episodes.left
        assert value(store) == left
        seen.add(left)
    assert None in seen
    assert len(seen) > 1
    store.close()
