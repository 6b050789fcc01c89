"""The way to L2 comes and goes while a cache reads and invalidates: nothing outdated is served."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import itertools
import random
from functools import partial

import pytest

from freshwell import Cache, InvalidationError
from freshwell._sync import assembly
from freshwell._kit.threads import sleep
from tests.faults._sync.spools import cache_of, is_told, reaches
from tests.support.threads import all_of, until
from tests.support.proxy import Proxy

KEYS = [f"k{number}" for number in range(6)]
FLAPS = 12


class World:
    """A source of numbers that only grow, and what each reader must at least be given."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.source = dict.fromkeys(KEYS, 0)
        self.floor = dict.fromkeys(KEYS, 0)
        self.outdated = 0
        self.over = False

    def write(self, seed: int) -> None:
        """Change the keys that are this writer's, each by itself or all by their tag."""
        chance = random.Random(seed)
        mine = KEYS[seed::2]
        for turn in itertools.count():
            if self.over:
                return
            changed = mine if turn % 5 == 0 else [chance.choice(mine)]
            for key in changed:
                self.source[key] += 1
            now = {key: self.source[key] for key in changed}
            try:
                if len(changed) > 1:
                    self.cache.invalidate_tags(f"writer {seed}")
                else:
                    self.cache.invalidate(*changed)
            except InvalidationError:
                pass  # swallowed: the control's fault
            self.floor.update(now)
            sleep(chance.uniform(0.001, 0.01))

    def read(self, seed: int) -> None:
        """Read on every way, and count what is older than a change that was over before."""
        chance = random.Random(seed)
        while not self.over:
            key = chance.choice(KEYS)
            tags = [f"writer {KEYS.index(key) % 2}"]
            floor = self.floor[key]
            value = self.cache.get_or_load(key, partial(self.load, key), tags=tags)
            self.outdated += value < floor
            floor = self.floor[key]
            seen = self.cache.get(key, read=chance.choice(["eventual", "fresh"]))
            self.outdated += seen is not None and seen < floor
            sleep(chance.uniform(0, 0.002))

    def load(self, key: str) -> int:
        value = self.source[key]
        sleep(0.001)
        return value

    def flap(self, between: Proxy) -> None:
        """Cut the way to L2, again and again, for long enough that something falls into it."""
        for _ in range(FLAPS):
            between.refuse()
            changes = sum(self.floor.values())
            until(partial(self.is_past, changes + 2), "changes in an outage")
            between.heal()
            until(partial(is_told, self.cache), "the replay")
            reaches(self.cache)
            sleep(0.02)
        self.over = True

    def is_past(self, changes: int) -> bool:
        return sum(self.floor.values()) > changes


@pytest.mark.slow
@pytest.mark.parametrize("spool", ["memory", None], ids=["spool", "control: swallowed"])
def test_what_is_older_than_a_change_that_was_over_is_never_served(
    between: Proxy, spool: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_RETURN_NS", 0)  # what is said again would hide the fault
    with cache_of(between.url, spool=spool, max_staleness=0.2) as cache:
        world = World(cache)
        all_of(
            *(partial(world.write, seed) for seed in range(2)),
            *(partial(world.read, seed) for seed in range(4)),
            partial(world.flap, between),
        )
        assert (world.outdated > 0) is (spool is None)
        assert spool is None or cache.stats().replayed >= FLAPS
        assert cache.stats().hits_l1
        assert cache.stats().hits_l2
