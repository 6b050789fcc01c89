"""Write-behind: what `start` refuses, and how long a close takes."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pytest

from freshwell import Cache, JournalUnfit
from tests.behaviour._sync.ledger import Ledger
from tests.support.threads import Latch


def test_a_close_takes_as_long_as_it_is_told() -> None:
    source = Ledger()
    source.gate = Latch()
    with Cache() as cache:
        rows = cache.write_behind(source, key="row:{}", journal="memory", drain="10m")
        rows.put("a", 1)
        left = rows.close(drain=0)
        assert left is not None
        assert left.records == 1
        source.gate.open()


def test_a_server_that_would_lose_writes_is_refused_at_the_start(redis_url: str) -> None:
    with Cache(redis_url, command_timeout=2) as cache:
        rows = cache.write_behind(Ledger(), key="row:{}", journal="redis")
        with pytest.raises(JournalUnfit, match="append-only"):
            rows.start()
        assumed = cache.write_behind(Ledger(), key="row:{}", journal="redis", assume_durable=True)
        assumed.start()
