"""Callers who do anything that a cache can do, all at once, with one source: see `races.past`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from random import Random

from freshwell._kit.aio import sleep
from freshwell.testing import FaultProxy
from tests.races._async.site import Site
from tests.races._async.world import breaks, opened
from tests.races.loads import LoadJudge
from tests.races.past import Past
from tests.races.worlds import World
from tests.support.aio import all_of

__all__ = ["run"]

_LEAST_READS = 50


async def run(world: World, port: int, seed: int, seconds: float) -> Past:
    """Let callers do anything for so long, and judge what they are given.

    `port`: of L2. Raises `Outdated`, `LoadedTwice`, and whatever callers are not to be told.
    """
    random, count = Random(seed), 2 if world.shared else 1
    cells, callers = random.choice([1, 2, 4]), random.choice([6, 12, 20])
    past = Past(cells, world.lag_s, LoadJudge(lasting=world.breaks))
    with ExitStack() as stack:
        ports = [port] * count if world.shared else []
        ways = [stack.enter_context(FaultProxy(port)) for port in ports]
        sites = [Site(world, past, n, opened(world, past, ways, n, seed)) for n in range(count)]
        try:
            until_s = time.monotonic() + seconds
            calls: list[Callable[[], Awaitable[None]]] = [
                partial(_calls, sites[n % count], Random(f"{seed}:{n}"), until_s)
                for n in range(callers)
            ]
            if world.breaks:
                calls.append(partial(breaks, ways, random, until_s))
            await all_of(*calls)
            for site in sites:
                await site.settle()
        finally:
            for site in sites:
                await site.aclose()
    past.loads.check()
    return past


async def _calls(site: Site, random: Random, until_s: float) -> None:
    while time.monotonic() < until_s or site.past.reads < _LEAST_READS:
        await site.do_anything(random)
        if random.random() < 0.3:
            await sleep(random.uniform(0, 0.01))
