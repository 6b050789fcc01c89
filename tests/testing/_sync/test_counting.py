"""Loaders that count, and what a watched cache is seen to do."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache, ConfigurationError
from freshwell.testing import CountingLoader, watched
from tests.support.threads import start, until


def test_loads_are_counted_by_id_and_what_is_missing_is_none() -> None:
    loads = CountingLoader({1: "tea"})
    assert [loads(1), loads(2), loads(1)] == ["tea", None, "tea"]
    loads.assert_calls({1: 2, 2: 1})
    assert (loads.total, loads.most_at_once, loads.running) == (3, 1, 0)
    loads.reset()
    loads.assert_calls({})


def test_a_count_that_is_not_as_expected_is_told() -> None:
    loads = CountingLoader(str)
    assert [loads(1), loads(1)] == ["1", "1"]
    with pytest.raises(AssertionError, match=r"\{1: 2\}, and \{1: 1\} were expected"):
        loads.assert_once_each(1)


def test_a_stampede_is_one_load() -> None:
    loads = CountingLoader({1: "tea"})
    loads.hold()
    with Cache() as cache:
        names = cache.read_through(loads, key="name:{}")
        callers = [start(partial(names.get, 1)) for _ in range(20)]
        until(lambda: loads.running == 1, "the load has begun")
        loads.let_go()
        assert {caller.result() for caller in callers} == {"tea"}
    loads.assert_once_each(1)


def test_what_runs_at_once_is_counted() -> None:
    """The control of the one above: without a cache, each caller loads."""
    loads = CountingLoader({1: "tea"})
    loads.hold()
    callers = [start(loads.of(1)) for _ in range(5)]
    until(lambda: loads.running == 5, "all have begun")
    loads.let_go()
    assert [caller.result() for caller in callers] == ["tea"] * 5
    assert (loads.most_at_once, loads.calls) == (5, {1: 5})


def test_a_loader_that_raises_is_counted() -> None:
    loads: CountingLoader[str] = CountingLoader({}.__getitem__)
    with pytest.raises(KeyError):
        loads(1)
    assert (loads.calls, loads.running) == ({1: 1}, 0)


def test_what_a_cache_does_within_the_block_is_seen() -> None:
    with Cache(jitter=0) as cache:
        cache.get("a")
        with watched(cache.namespace("shop")) as seen:
            cache.set("a", 1)
            assert cache.get("a") == 1
            assert seen["hits_l1"] == 1
        cache.get("a")
        assert seen.counts == {"hits_l1": 1}
        seen.assert_counts(hits_l1=1, loads=0)
        seen.assert_calm()
        with pytest.raises(
            AssertionError, match=r"expected \{'loads': 1\}; in all \{'hits_l1': 1\}"
        ):
            seen.assert_counts(loads=1)
        with pytest.raises(KeyError):
            seen["hits"]


def test_every_incident_is_seen_and_none_after_the_block() -> None:
    def fails() -> None:
        raise ValueError

    with Cache(stale_ttl="1h") as cache:
        cache.set_many({"a": 1, "b": 2, "c": 3})
        cache.expire("a", "b", "c")
        with watched(cache) as seen:
            for count, key in enumerate(("a", "b"), 1):
                cache.get_or_load(key, fails)
                until(partial(lambda n: len(seen.incidents) == n, count))
        assert [tuple(one) for one in seen.incidents] == [("a refresh failed", "ValueError")] * 2
        with pytest.raises(AssertionError, match="2 incidents"):
            seen.assert_calm()
        cache.get_or_load("c", fails)
        until(lambda: cache.stats().refresh_errors == 3, "it failed too")
        assert len(seen.incidents) == 2


def test_what_no_loader_can_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="type int"):
        CountingLoader(3)  # type: ignore[arg-type]
