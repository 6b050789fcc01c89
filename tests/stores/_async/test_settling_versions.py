"""What writers leave who overlap and have versions, asked of the store on a real server."""

from __future__ import annotations

import pytest

from freshwell._async.stores.base import Fill, Mark, Settlement
from freshwell._async.stores.redis import RedisStore
from freshwell._kit.aio import sleep
from freshwell.ground.frame import Frame, State, decode, encode, stamp_frame, tombstone_frame
from freshwell.ground.frame import writers_of as listed
from freshwell.ground.keys import digest8
from freshwell.testing._async.store_parts import INTENT, KEY, TAG, standing
from tests.stores._async.test_settling import opened
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


async def value(store: RedisStore) -> bytes | None:
    """Return whose value stands."""
    found = await store.fetch(KEY)
    frame = None if found is None else decode(found, digest8(KEY))
    if not isinstance(frame, Frame) or frame.state is not State.VALUE:
        return None
    return bytes(frame.payload)


@pytest.mark.parametrize("order", [(LOW, HIGH, THIRD), (HIGH, THIRD, LOW), (THIRD, HIGH, LOW)])
async def test_the_highest_leaves_its_value_and_its_own_version_of_the_tag(
    redis_url: str, order: tuple[bytes, ...]
) -> None:
    store = opened(redis_url)
    for token in VERSIONS:
        await store.announce(INTENT, token)
    for token in order[:2]:
        assert await store.settle(ends(token, VERSIONS[token])) == [False, False]
        assert await standing(store) == (State.INTENT, None)
    assert await store.settle(ends(order[2], VERSIONS[order[2]])) == [True, True]
    assert await standing(store) == (State.VALUE, HIGH)
    assert await value(store) == HIGH
    await store.aclose()


async def test_what_is_kept_of_one_stands_behind_the_list_of_the_others(redis_url: str) -> None:
    store = opened(redis_url)
    for token in VERSIONS:
        await store.announce(INTENT, token)
    await store.settle(ends(HIGH, VERSIONS[HIGH]))
    for _ in range(2):
        await store.announce(INTENT, LOW, prolong=True)
        data = await store.fetch(KEY)
        assert data is not None
        frame = decode(data, digest8(KEY))
        assert isinstance(frame, Frame)
        writers = bytes(listed(frame))
        assert {writers[:8], writers[16:24]} == {LOW, THIRD}
        assert len(writers) == 32 < len(frame.payload)
    await store.settle(ends(THIRD, VERSIONS[THIRD]))
    await store.settle(ends(LOW, VERSIONS[LOW]))
    assert await value(store) == HIGH
    await store.aclose()


@pytest.mark.parametrize("noticed", ["at an end", "by another", "by nobody"])
@pytest.mark.parametrize("version", [VERSIONS[HIGH], None])
async def test_one_whose_announcement_ran_out_leaves_the_entry_absent(
    redis_url: str, noticed: str, version: int | None
) -> None:
    """It has died, or its outcome is unknown: what it wrote may be what the source has."""
    store = opened(redis_url)
    await store.announce(INTENT, HIGH)
    await store.announce([mark._replace(keep_ms=20) for mark in INTENT], THIRD)
    if noticed == "by nobody":  # the other ends while this one's still stands
        await store.settle(ends(HIGH, version))
        await sleep(0.03)
        assert (await standing(store))[0] in (None, State.TOMBSTONE)
    else:
        await sleep(0.03)
        if noticed == "by another":
            await store.announce(INTENT, LOW)
            await store.settle(ends(LOW, VERSIONS[LOW]))
        assert await store.settle(ends(HIGH, version)) == [False, False]
        assert (await standing(store))[0] is State.TOMBSTONE
    await store.aclose()


@pytest.mark.parametrize("version", [1, 2**40])
async def test_an_end_that_comes_when_another_has_stored_replaces_nothing(
    redis_url: str, redis_server: Server, version: int
) -> None:
    """A writer froze until its announcement ran out. What it has may be the newer, or not."""
    store = opened(redis_url)
    await store.announce(INTENT, LOW)
    redis_server.ask("FLUSHALL")
    await store.announce(INTENT, HIGH)
    assert await store.settle(ends(HIGH, VERSIONS[HIGH])) == [True, True]
    assert await store.settle(ends(LOW, version)) == [False, False]
    assert await standing(store) == (State.TOMBSTONE, None)
    await store.aclose()


@pytest.mark.parametrize("version", [1, 2**40])
async def test_an_end_without_an_announcement_spoils_what_others_leave(
    redis_url: str, version: int
) -> None:
    store = opened(redis_url)
    await store.announce(INTENT, HIGH)
    await store.announce(INTENT, THIRD)
    await store.settle(ends(HIGH, VERSIONS[HIGH]))
    await store.settle(ends(LOW, version))
    await store.settle(ends(THIRD, VERSIONS[THIRD]))
    assert (await standing(store))[0] is State.TOMBSTONE
    await store.aclose()


@pytest.mark.parametrize("crowded", [False, True])
async def test_one_who_announces_again_after_a_gap_leaves_nothing(
    redis_url: str, redis_server: Server, crowded: bool
) -> None:
    """What fell into the gap, nobody knows."""
    store = opened(redis_url)
    await store.announce(INTENT, HIGH)
    redis_server.ask("FLUSHALL")
    if crowded:
        await store.announce(INTENT, LOW)
    await store.announce(INTENT, HIGH, prolong=True)
    if crowded:
        await store.settle(ends(LOW, VERSIONS[LOW]))
    assert await store.settle(ends(HIGH, VERSIONS[HIGH])) == [False, False]
    assert (await standing(store))[0] is State.TOMBSTONE
    await store.aclose()


async def test_a_repeated_end_brings_no_lower_value(redis_url: str) -> None:
    """Of the last one it changes nothing; of the one before, the entry may be absent."""
    store = opened(redis_url)
    await store.announce(INTENT, HIGH)
    await store.announce(INTENT, LOW)
    await store.settle(ends(LOW, VERSIONS[LOW]))
    for _ in range(2):
        assert await store.settle(ends(HIGH, VERSIONS[HIGH])) == [True, True]
        assert await value(store) == HIGH
    await store.settle(ends(LOW, VERSIONS[LOW]))
    assert await standing(store) == (State.TOMBSTONE, None)
    await store.aclose()


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_writers_do_the_rule_holds(redis_url: str, seed: int) -> None:
    store, episodes, seen = opened(redis_url), Episodes(), set()
    for word, number, version in events(seed):
        token = b"writer%02d" % number
        if word == "begin":
            await store.announce(INTENT, token)
            episodes.begin(number)
        elif word == "end":
            await store.settle(ends(token, version))
            episodes.end(number, version)
        else:
            await store.invalidate([KEY])
            episodes.change()
        left = None if episodes.left is None else b"writer%02d" % episodes.left
        assert await value(store) == left
        seen.add(left)
    assert None in seen
    assert len(seen) > 1
    await store.aclose()
