"""What every store of the L2 tier does to one entry, step by step."""

from __future__ import annotations

from typing import ClassVar

import pytest

from freshwell._async.stores.base import Grant, Mark
from freshwell._kit.aio import sleep
from freshwell.ground.frame import State, identity_of, rest_until_ms, stamp_frame
from freshwell.testing._async.store_parts import (
    ANOTHER,
    INTENT,
    KEY,
    MINE,
    OTHER,
    TAG,
    VERSION,
    Make,
    Opened,
    ends,
    standing,
    stored,
    value,
)
from freshwell.testing._marks.aio import MARKS

__all__ = ["AsyncStoreConformance"]


class AsyncStoreConformance:
    """What every store does: one lease for each entry, and no fill without it.

    For those who work on freshwell's own stores. No other can be given to a cache: what a store
    must do is not public yet, and may change with any version.

    A subclass overrides the fixture `make` with a function that opens the store of the test's own
    place, empty at first, as often as it is called. `lease_ms` says for how long its leases stand.
    Each one that is opened is closed by the test.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = MARKS

    @pytest.fixture
    def make(self) -> Make:
        """Open a store: to be overridden."""
        pytest.fail("give the class a fixture `make`: see the docstring of the suite")

    # -- leases and fills --------------------------------------------------------------------

    async def test_the_first_gets_the_lease_and_the_second_is_told_to_wait(
        self, make: Make
    ) -> None:
        async with Opened(make) as store:
            first, second = (await store.acquire([KEY]))[0], (await store.acquire([KEY]))[0]
            assert first.grant is Grant.GRANTED
            assert second.grant is Grant.HELD
            assert 0 < second.left_ms <= 5_000

    async def test_a_fill_stands_while_its_lease_does(self, make: Make) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            assert await store.fill([value(lease.token)]) == [True]
            frame = await stored(store)
            assert frame is not None
            assert bytes(frame.payload) == b"1"
            found = (await store.acquire([KEY]))[0]
            assert found.grant is Grant.FRESH

    async def test_a_fill_that_is_repeated_says_the_same(self, make: Make) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            assert await store.fill([value(lease.token)]) == [True]
            assert await store.fill([value(lease.token)]) == [True]

    async def test_a_fill_after_an_invalidation_is_refused(self, make: Make) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            await store.invalidate([KEY])
            assert await store.fill([value(lease.token)]) == [False]
            frame = await stored(store)
            assert frame is not None
            assert frame.state is State.TOMBSTONE

    async def test_a_lease_that_has_ended_is_granted_anew_and_the_first_holder_stores_nothing(
        self, make: Make
    ) -> None:
        async with Opened(make, lease_ms=50) as hasty, Opened(make) as store:
            first = (await hasty.acquire([KEY]))[0]
            await sleep(0.08)
            second = (await store.acquire([KEY]))[0]
            assert second.grant is Grant.GRANTED
            assert await store.fill([value(first.token, b"1")]) == [False]
            assert await store.fill([value(second.token, b"2")]) == [True]

    async def test_a_beat_prolongs_the_own_lease_only(self, make: Make) -> None:
        async with Opened(make) as store, Opened(make, lease_ms=60_000) as patient:
            lease = (await store.acquire([KEY]))[0]
            assert await patient.beat([(KEY, lease.token), (KEY, b"somebody")]) == [True, False]
            assert (await store.acquire([KEY]))[0].left_ms > 5_000

    async def test_a_beat_after_an_invalidation_says_that_the_lease_is_gone(
        self, make: Make
    ) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            await store.invalidate([KEY])
            assert await store.beat([(KEY, lease.token)]) == [False]

    async def test_a_released_lease_is_granted_at_once(self, make: Make) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            await store.release([(KEY, b"somebody")])
            assert (await store.acquire([KEY]))[0].grant is Grant.HELD
            await store.release([(KEY, lease.token)])
            assert (await store.acquire([KEY]))[0].grant is Grant.GRANTED

    async def test_a_lease_in_front_of_an_outdated_value_leaves_it_readable(
        self, make: Make
    ) -> None:
        async with Opened(make) as store:
            await store.fill([value(fresh_ms=20)])
            await sleep(0.03)
            assert (await store.acquire([KEY]))[0].grant is Grant.GRANTED
            frame = await stored(store)
            assert frame is not None
            assert frame.state is State.VALUE
            assert frame.lease_until_ms > 0

    async def test_a_fresh_value_is_refreshed_only_where_little_is_left(self, make: Make) -> None:
        async with Opened(make) as store:
            await store.fill([value(fresh_ms=10_000)])
            assert (await store.acquire([KEY], fresh_beyond_ms=5_000))[0].grant is Grant.FRESH
            assert (await store.acquire([KEY], fresh_beyond_ms=20_000))[0].grant is Grant.GRANTED
            assert (await store.acquire([KEY], fresh_beyond_ms=20_000))[0].grant is Grant.HELD

    async def test_a_forced_lease_voids_anothers(self, make: Make) -> None:
        async with Opened(make) as store:
            first = (await store.acquire([KEY]))[0]
            second = (await store.acquire([KEY], forced=True))[0]
            assert second.grant is Grant.GRANTED
            assert await store.fill([value(first.token)]) == [False]
            assert await store.fill([value(second.token)]) == [True]

    async def test_a_value_without_a_lease_replaces_what_stands_and_voids_the_lease(
        self, make: Make
    ) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            assert await store.fill([value(b"", b"2")]) == [True]
            assert await store.fill([value(lease.token, b"1")]) == [False]
            frame = await stored(store)
            assert frame is not None
            assert bytes(frame.payload) == b"2"

    async def test_expiring_ends_freshness_and_the_lease_and_keeps_the_body(
        self, make: Make
    ) -> None:
        async with Opened(make) as store:
            await store.fill([value()])
            lease = (await store.acquire([KEY], forced=True))[0]
            await store.expire([KEY])
            frame = await stored(store)
            assert frame is not None
            assert bytes(frame.payload) == b"1"
            assert frame.fresh_until_ms <= store.server_ms(KEY) + 2
            assert await store.fill([value(lease.token, b"2")]) == [False]

    async def test_expiring_a_key_that_is_being_loaded_voids_the_load(self, make: Make) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            await store.expire([KEY])
            assert await store.fill([value(lease.token)]) == [False]

    async def test_keys_are_answered_in_their_order_and_do_not_touch_each_other(
        self, make: Make
    ) -> None:
        keys = [b"fw:e:default:%d" % number for number in range(20)]
        async with Opened(make) as store:
            leases = await store.acquire(keys)
            await store.invalidate(keys[:10])
            fills = [
                value(lease.token, key, key=key) for key, lease in zip(keys, leases, strict=True)
            ]
            assert await store.fill(fills) == [False] * 10 + [True] * 10
            for key in keys[10:]:
                frame = await stored(store, key)
                assert frame is not None
                assert bytes(frame.payload) == key
            assert await store.fetch_many([b"fw:e:default:none"]) == [None]

    # -- sources that have failed ------------------------------------------------------------

    async def test_a_source_that_rests_is_asked_by_those_who_accept_nothing_stale(
        self, make: Make
    ) -> None:
        async with Opened(make) as store:
            await store.fill([value()])
            await store.expire([KEY])
            failing = (await store.acquire([KEY]))[0]
            await store.release([(KEY, failing.token)], rest_ms=60_000)
            frame = await store.fetch(KEY)
            assert frame is not None
            assert rest_until_ms(frame) > store.server_ms(KEY) + 50_000
            assert await store.beat([(KEY, failing.token)]) == [False], "the lease is gone"
            assert (await store.acquire([KEY], stale_does=True))[0].grant is Grant.FRESH
            useless = {KEY: identity_of(frame)}
            anew = (await store.acquire([KEY], stale_does=True, useless=useless))[0]
            assert anew.grant is Grant.GRANTED
            held = (await store.acquire([KEY], stale_does=True))[0]
            assert held.grant is Grant.HELD, "a lease has ended the rest"

    async def test_a_rest_is_ended_by_expiring(self, make: Make) -> None:
        async with Opened(make) as store:
            await store.fill([value()])
            await store.expire([KEY])
            failing = (await store.acquire([KEY]))[0]
            await store.release([(KEY, failing.token)], rest_ms=60_000)
            await store.expire([KEY])
            frame = await store.fetch(KEY)
            assert frame is not None
            assert rest_until_ms(frame) == 0
            assert (await store.acquire([KEY], stale_does=True))[0].grant is Grant.GRANTED

    async def test_a_rest_ends_when_its_time_is_over(self, make: Make) -> None:
        async with Opened(make) as store:
            await store.fill([value()])
            await store.expire([KEY])
            failing = (await store.acquire([KEY], stale_does=True))[0]
            await store.release([(KEY, failing.token)], rest_ms=1)
            for _ in range(1_000):
                if (await store.acquire([KEY], stale_does=True))[0].grant is Grant.GRANTED:
                    break
            else:
                raise AssertionError("it rests for ever")

    async def test_only_the_holder_of_the_lease_drops_what_stands_there(self, make: Make) -> None:
        async with Opened(make) as store:
            await store.fill([value()])
            await store.expire([KEY])
            lease = (await store.acquire([KEY]))[0]
            await store.release([(KEY, b"notmine!")], drop=True)
            await store.release([(KEY, b"notmine!")], rest_ms=60_000)
            assert await store.fetch(KEY) is not None
            assert (await store.acquire([KEY]))[0].grant is Grant.HELD
            await store.release([(KEY, lease.token)], drop=True)
            assert await store.fetch(KEY) is None

    # -- tags --------------------------------------------------------------------------------

    async def test_the_version_of_a_tag_stays_until_it_is_replaced(self, make: Make) -> None:
        async with Opened(make) as store:
            wanted = [Mark(TAG, stamp_frame(TAG, VERSION, "tag"), 60_000)]
            (first,) = await store.capture(wanted)
            (second,) = await store.capture([Mark(TAG, stamp_frame(TAG, OTHER, "tag"), 60_000)])
            assert first.stamp == second.stamp == VERSION
            await store.void([Mark(TAG, stamp_frame(TAG, ANOTHER, "tag"), 60_000)])
            (third,) = await store.capture(wanted)
            assert third.stamp == ANOTHER

    # -- writers -----------------------------------------------------------------------------

    async def test_nothing_is_filled_while_a_writer_has_announced_itself(self, make: Make) -> None:
        async with Opened(make) as store:
            lease = (await store.acquire([KEY]))[0]
            await store.announce(INTENT[:1], MINE)
            assert await store.fill([value(lease.token)]) == [False]
            assert (await store.acquire([KEY]))[0].grant is Grant.ANNOUNCED

    async def test_who_was_alone_leaves_the_value_and_its_own_version(self, make: Make) -> None:
        async with Opened(make) as store:
            await store.announce(INTENT, MINE)
            for _ in range(2):  # a repetition says the same
                assert await store.settle(ends(MINE)) == [True, True]
                assert await standing(store) == (State.VALUE, MINE)

    async def test_whoever_overlapped_leaves_neither(self, make: Make) -> None:
        async with Opened(make) as store:
            await store.announce(INTENT, MINE)
            await store.announce(INTENT, OTHER)
            assert await store.settle(ends(MINE)) == [False, False]
            assert await standing(store) == (State.INTENT, None)
            assert await store.settle(ends(OTHER)) == [False, False]
            assert await standing(store) == (State.TOMBSTONE, VERSION)

    @pytest.mark.parametrize("alone", [True, False])
    async def test_a_late_repetition_brings_no_version_back(self, make: Make, alone: bool) -> None:
        """What was stored under it in the meantime must stay outdated."""
        async with Opened(make) as store:
            await store.announce(INTENT, MINE)
            if not alone:
                await store.announce(INTENT, OTHER)
                await store.settle(ends(OTHER))
            await store.settle(ends(MINE))
            assert (await standing(store))[1] == (MINE if alone else VERSION)
            await store.invalidate([KEY], [Mark(TAG, stamp_frame(TAG, ANOTHER, "tag"), 60_000)])
            assert await store.settle(ends(MINE)) == [False, False]
            assert await standing(store) == (State.TOMBSTONE, None)
