"""Faults strike the calls that they name, as often as they say, and the cache does what it says."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from pathlib import Path
from typing import Any

import pytest

from freshwell import (
    Cache,
    ConfigurationError,
    InvalidationError,
    JournalUnavailable,
)
from freshwell.codecs.json import JsonCodec
from freshwell.testing import CountingLoader, Chaos, InjectedFault, watched
from tests.behaviour._sync.parts import listening
from tests.support.threads import until


class Rows:
    """A source in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}

    def load(self, id: int) -> str | None:
        return self.rows.get(id)

    def save(self, id: int, value: str) -> None:
        self.rows[id] = value


def of(url: str, chaos: Chaos, **options: Any) -> Cache:
    """Return a cache with chaos in it, and limits for a busy machine."""
    cache = Cache(url, **{"command_timeout": 5, "connect_timeout": 5} | options)
    chaos.into(cache)
    return cache


def called(chaos: Chaos, calls: int, **rule: Any) -> list[bool]:
    """Say which of some calls of a loader are struck."""
    fault = chaos.fail("loader", **rule)
    loads = chaos.wrap("loader", CountingLoader({1: 1}))
    struck = []
    for _ in range(calls):
        before = fault.struck
        try:
            loads(1)
        except InjectedFault:
            assert fault.struck == before + 1
        struck.append(fault.struck > before)
    return struck


def test_the_same_seed_strikes_the_same_calls() -> None:
    first = called(Chaos(seed=3), 50, rate=0.5)
    assert first == called(Chaos(seed=3), 50, rate=0.5)
    assert 10 < sum(first) < 40
    assert first != called(Chaos(seed=4), 50, rate=0.5)


def test_one_rule_meets_the_same_whatever_befalls_other_parts() -> None:
    busy = Chaos(seed=3)
    alone = called(Chaos(seed=3), 20, rate=0.5)
    other = busy.wrap("source", Rows())
    for _ in range(7):
        other.load(1)
    assert called(busy, 20, rate=0.5) == alone


def test_a_fault_strikes_so_often_and_no_more() -> None:
    assert called(Chaos(), 5, times=2) == [True, True, False, False, False]


def test_what_fails_is_not_done_and_what_is_not_answered_is() -> None:
    chaos, rows = Chaos(), Rows()
    source = chaos.wrap("source", rows)
    failed = chaos.fail("source.save", ConnectionError("gone"), times=1)
    with pytest.raises(ConnectionError, match="gone"):
        source.save(1, "a")
    assert rows.rows == {}
    lost = chaos.drop_reply("source.save", times=1)
    with pytest.raises(InjectedFault, match=r"source\.save: drop reply"):
        source.save(1, "b")
    assert rows.rows == {1: "b"}
    source.save(1, "c")
    assert (failed.struck, lost.struck, chaos.calls) == (1, 1, {"source.save": 3})


def test_a_write_whose_answer_is_lost_is_read_from_the_source() -> None:
    chaos, rows = Chaos(), Rows()
    with Cache() as cache:
        names = cache.write_through(chaos.wrap("source", rows), key="name:{}")
        names.put(1, "old")
        chaos.drop_reply("source.save", RuntimeError, times=1)
        with pytest.raises(RuntimeError):
            names.put(1, "new")
        assert names.get(1) == "new"


def test_a_store_that_fails_costs_loads_and_nothing_else(redis_url: str) -> None:
    chaos, loads = Chaos(), CountingLoader({1: "tea"})
    with of(redis_url, chaos, l1=False) as cache:
        names = cache.read_through(loads, key="name:{}")
        chaos.fail("store")
        with watched(cache) as seen:
            assert [names.get(1), names.get(1)] == ["tea", "tea"]
        seen.assert_counts(loads=2, fills=0)
        assert {incident.kind for incident in seen.incidents} == {"L2 failed"}
        chaos.heal()
        assert [names.get(1), names.get(1)] == ["tea", "tea"]
        loads.assert_calls({1: 3})


def test_an_invalidation_whose_answer_is_lost_is_said_and_has_been_made(
    redis_url: str,
) -> None:
    chaos = Chaos()
    with of(redis_url, chaos, l1=False) as cache:
        cache.set("a", 1)
        lost = chaos.drop_reply("store.invalidate", times=1)
        with pytest.raises(InvalidationError):
            cache.invalidate("a")
        assert lost.struck == 1
        assert cache.get("a") is None


def test_a_feed_that_fails_silences_l1_until_it_is_back(redis_url: str) -> None:
    chaos = Chaos()
    with of(redis_url, chaos) as cache:
        listening(cache)
        cut = chaos.fail("feed.receive", times=1)
        cache.set("a", 1)
        until(lambda: cut.struck == 1, "the feed is cut")
        until(lambda: chaos.calls["feed.connect"] == 2, "it connects again")
        listening(cache)


def test_bytes_that_cannot_be_decoded_are_a_miss(redis_url: str) -> None:
    chaos = Chaos()
    codec = chaos.wrap("codec", JsonCodec())
    with of(redis_url, chaos, codec=codec, l1=False) as cache:
        cache.set("a", 1)
        torn = chaos.fail("codec.decode")
        with watched(cache) as seen:
            assert cache.get("a") is None
        seen.assert_counts(codec_errors=1)
        torn.heal()
        assert cache.get("a") == 1


def test_a_journal_that_fails_accepts_nothing(tmp_path: Path) -> None:
    chaos, rows = Chaos(), Rows()
    cache = Cache()
    chaos.into(cache)
    with cache:
        path = f"sqlite:///{tmp_path / 'writes'}"
        names = cache.write_behind(rows, key="name:{}", journal=path)
        chaos.fail("journal.accept", times=1)
        with pytest.raises(JournalUnavailable):
            names.put(1, "a")
        names.put(1, "b")
        names.flush()
    assert rows.rows == {1: "b"}


def test_a_half_open_part_answers_nothing_and_fails_in_the_end() -> None:
    chaos, rows = Chaos(), Rows()
    source = chaos.wrap("source", rows)
    chaos.half_open("source.*", 0.01, TimeoutError, times=1)
    chaos.delay("source.*", 0.01)
    with pytest.raises(TimeoutError):
        source.save(1, "a")
    assert rows.rows == {}
    source.save(1, "a")
    assert rows.rows == {1: "a"}


def test_chaos_comes_before_the_first_use_and_once() -> None:
    with Cache() as cache:
        Chaos().into(cache)
        with pytest.raises(ConfigurationError, match="has chaos in it"):
            Chaos().into(cache)
    with Cache() as used:
        used.get("a")
        with pytest.raises(ConfigurationError, match="has been used already"):
            Chaos().into(used)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 2}, {"times": 0}, {"where": ""}], ids=str)
def test_a_rule_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Chaos().fail(**{"where": "store"} | wrong)


def test_a_part_is_called_by_one_word() -> None:
    with pytest.raises(ConfigurationError, match="use one word"):
        Chaos().wrap("my.source", Rows())


def test_what_a_part_has_besides_methods_is_there() -> None:
    codec = JsonCodec()
    wrapped = Chaos().wrap("codec", codec)
    assert (wrapped.name, wrapped.id) == (codec.name, codec.id)
    assert getattr(Chaos().wrap("source", Rows()), "load_many", None) is None
