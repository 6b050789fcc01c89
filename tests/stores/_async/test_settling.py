"""What the end of an announcement leaves that was touched, asked of the store on a real server."""

from __future__ import annotations

import pytest

from freshwell._async.stores.base import Mark
from freshwell._async.stores.redis import RedisStore
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell.engines.tokens import Tokens
from freshwell.ground.frame import State, stamp_frame
from freshwell.testing._async.store_parts import (
    ANOTHER,
    INTENT,
    KEY,
    MINE,
    TAG,
    VERSION,
    ends,
    standing,
)
from tests.support.servers import Server


def opened(url: str) -> RedisStore:
    return RedisStore(Link(Endpoint.of(url)), lease_ms=5_000, new_token=Tokens(8))


@pytest.mark.parametrize("how", ["invalidated", "lost", "never announced"])
async def test_whose_announcement_was_touched_leaves_nothing(
    redis_url: str, redis_server: Server, how: str
) -> None:
    store = opened(redis_url)
    if how != "never announced":
        await store.announce(INTENT, MINE)
    if how == "invalidated":
        await store.invalidate([KEY], [Mark(TAG, stamp_frame(TAG, ANOTHER, "tag"), 60_000)])
    if how == "lost":
        redis_server.ask("FLUSHALL")
    assert await store.settle(ends(MINE)) == [False, False]
    left = VERSION if how == "invalidated" else None
    assert await standing(store) == (State.TOMBSTONE, left)
    await store.aclose()
