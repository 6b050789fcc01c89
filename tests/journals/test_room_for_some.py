"""Of many writes for which there is room for some, the others' entries can be filled at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from freshwell import AsyncCache, BacklogFull
from tests.behaviour._async.ledger import Ledger


async def test_entries_that_were_refused_are_filled_without_waiting(
    redis_url: str, tmp_path: Path
) -> None:
    async with AsyncCache(redis_url, namespace="room", intent=30) as cache:
        rows = cache.write_behind(
            Ledger(a=1, b=1),
            key="row:{}",
            journal=f"sqlite:///{tmp_path}/j.db",
            max_backlog=1,
            on_full="reject",
            flusher=False,
            drain=0,
        )
        with pytest.raises(BacklogFull):
            await rows.put_many({"a": 2, "b": 2})
        assert [await rows.get("a"), await rows.get("b")] == [2, 1]
        async with AsyncCache(redis_url, namespace="room") as other:
            assert await other.get("row:b") == 1
