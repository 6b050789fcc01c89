"""The library with a mechanism taken out, or with its times shortened. In this process only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from freshwell._async.coordination.delivering import Report
from freshwell._async.coordination.flushing import Flusher
from freshwell._async.stores import redis_owners
from freshwell._async.stores.redis_journal import RedisJournal
from freshwell.engines.window import Handout
from freshwell.ground.flushes import FlushOptions

__all__ = ["sabotage", "set_lease"]

_NS_PER_S = 1_000_000_000


def sabotage(name: str) -> None:
    """Take out the mechanism of that name. Empty: none."""
    if name:
        {"settle first": settle_first}[name]()


def settle_first() -> None:
    """Settle what is handed out before the source is called."""

    async def deliver(self: Any, lane: Any, handouts: Sequence[Handout]) -> None:
        await self._settle(lane, Report(stored=list(handouts), answered=True))
        await self._courier.run(handouts)

    assert hasattr(Flusher, "_deliver"), "there is no _deliver to take out"
    Flusher._deliver = deliver  # type: ignore[method-assign]


def set_lease(lease_s: float) -> None:
    """Let shards in Redis be owned for so long without renewal. All that follows, in proportion."""
    journal: Any = RedisJournal.__init__
    options: Any = FlushOptions.__init__
    assert {"beat_ns", "trust_ns"} <= options.__kwdefaults__.keys()
    assert "lease_ms" in journal.__kwdefaults__
    journal.__kwdefaults__["lease_ms"] = int(lease_s * 1_000)
    options.__kwdefaults__["trust_ns"] = int(lease_s * 0.6 * _NS_PER_S)
    options.__kwdefaults__["beat_ns"] = int(lease_s * 0.2 * _NS_PER_S)
    redis_owners._LOOK_EVERY_NS = int(lease_s * 0.2 * _NS_PER_S)
