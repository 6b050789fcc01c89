"""What is being invalidated while another server becomes primary is said again like the rest."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache
from tests.faults._sync.late import hold
from tests.support.threads import Latch, start
from tests.support.servers import Server


def by_key(cache: Cache) -> None:
    cache.invalidate("a")


def by_tag(cache: Cache) -> None:
    cache.invalidate_tags("t")


def by_writing(cache: Cache) -> None:
    with cache.writing("a"):
        pass


CALLS = {"key": (by_key, "void"), "tag": (by_tag, "void"), "writing": (by_writing, "settle")}


@pytest.mark.parametrize("name", CALLS)
def test_an_invalidation_whose_answer_is_under_way_is_said_again(
    own_redis: Server, name: str
) -> None:
    call, told = CALLS[name]
    with Cache(own_redis.url, drain=0) as cache:
        applied, may_return = Latch(), Latch()
        engine: Any = cache._core.engine()
        hold(engine.tiers.store, told, applied, may_return)
        calling = start(partial(call, cache))
        applied.passed()
        own_redis.ask("FLUSHALL")  # as a replica that has not heard of it
        engine.writes.say_again(60_000_000_000)
        assert own_redis.ask("DBSIZE") > 0
        may_return.open()
        calling.result()
