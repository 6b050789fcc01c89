"""Write-behind: what `start` refuses, and how long a close takes."""

from __future__ import annotations

import pytest

from freshwell import AsyncCache, JournalUnfit
from tests.behaviour._async.ledger import Ledger
from tests.support.aio import Latch


async def test_a_close_takes_as_long_as_it_is_told() -> None:
    source = Ledger()
    source.gate = Latch()
    async with AsyncCache() as cache:
        rows = cache.write_behind(source, key="row:{}", journal="memory", drain="10m")
        await rows.put("a", 1)
        left = await rows.aclose(drain=0)
        assert left is not None
        assert left.records == 1
        source.gate.open()


async def test_a_server_that_would_lose_writes_is_refused_at_the_start(redis_url: str) -> None:
    async with AsyncCache(redis_url, command_timeout=2) as cache:
        rows = cache.write_behind(Ledger(), key="row:{}", journal="redis")
        with pytest.raises(JournalUnfit, match="append-only"):
            await rows.start()
        assumed = cache.write_behind(Ledger(), key="row:{}", journal="redis", assume_durable=True)
        await assumed.start()
