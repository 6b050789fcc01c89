"""Callers of one key who do not name the same tags: each lives by its own."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache
from freshwell._kit.threads import sleep
from freshwell.typing import ReadLevelName
from tests.behaviour._sync.parts import Held, Loader, Make, listening, of
from tests.support.threads import start, until

_LEVELS: tuple[ReadLevelName, ...] = ("eventual", "fresh")


def test_a_load_that_was_not_watched_for_a_tag_is_not_for_who_asks_after_its_end(
    make: Make,
) -> None:
    for level in _LEVELS:
        with make(namespace=level) as cache:
            old, new = Held(), Loader()
            first = start(partial(cache.get_or_load, "a", old))
            old.begun.passed()
            new.calls = old.calls  # the source changes
            cache.invalidate_tags("x")
            ask = partial(cache.get_or_load, "a", new, tags=["x"], read=level)
            after = start(ask)
            until(partial(asked, cache, 2), "it waits")
            old.let_go.open()
            assert (first.result(), after.result()) == (1, 2)


def asked(cache: Cache, misses: int) -> bool:
    return cache.stats().misses >= misses


@pytest.mark.parametrize("level", _LEVELS)
def test_it_is_not_where_another_process_has_ended_the_tag(
    redis_url: str, level: ReadLevelName
) -> None:
    with of(redis_url, max_staleness=0.2) as cache, of(redis_url) as other:
        listening(cache)
        before = cache.stats().misses
        old, new = Held(), Loader()
        first = start(partial(cache.get_or_load, "a", old))
        old.begun.passed()
        new.calls = old.calls
        other.invalidate_tags("x")
        sleep(0.3)  # longer than its memory may answer
        after = start(partial(cache.get_or_load, "a", new, tags=["x"], read=level))
        until(partial(asked, cache, before + 2), "it waits")
        old.let_go.open()
        assert (first.result(), after.result()) == (1, 2)


def test_an_entry_without_the_tag_that_a_leader_finds_is_absent_to_its_rider(
    redis_url: str,
) -> None:
    with of(redis_url) as cache, of(redis_url) as other:
        listening(cache)
        before = cache.stats().misses
        held, new = Held(), Loader()
        lessee = start(partial(other.get_or_load, "a", held))
        held.begun.passed()
        new.calls = held.calls
        leader = start(partial(cache.get_or_load, "a", new))
        until(lambda: cache.stats().lease_waits > 0, "it waits for the other")
        rider = start(partial(cache.get_or_load, "a", new, tags=["x"]))
        until(partial(asked, cache, before + 2), "it rides")
        held.let_go.open()
        assert (lessee.result(), leader.result()) == (1, 1)
        assert rider.result() == 2


def test_crowds_with_tags_of_their_own_all_get_an_answer(make: Make) -> None:
    with make() as cache:
        load = Held()
        crowd = [
            start(partial(cache.get_or_load, "a", load, tags=[f"t{n % 3}"]))
            for n in range(30)
        ]
        load.begun.passed()
        load.let_go.open()
        for caller in crowd:
            assert caller.result() >= 1
        assert load.calls <= 30


def test_a_call_is_not_answered_by_what_has_taken_its_entrys_place_meanwhile(
    make: Make,
) -> None:
    with make() as cache:
        calls: list[int] = []

        @cache.cached("a:{n}", tags=["x"])
        def read(n: int) -> str:
            calls.append(n)
            if len(calls) == 1:
                cache.set("a:1", "set", tags=["y"])
            return f"loaded {len(calls)}"

        assert read(1) == "loaded 1"
        assert read(1) == "loaded 2", "what was set has not the tag"
        cache.invalidate_tags("x")
        assert read(1) == "loaded 3"
