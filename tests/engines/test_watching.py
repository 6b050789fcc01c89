"""Events, spreads of times, hot keys, and the table of metrics, each by itself."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

from freshwell import Cache, Stats
from freshwell.engines.bus import Bus
from freshwell.engines.hot import HotKeys
from freshwell.engines.metrics import METRICS, prometheus_name
from freshwell.engines.spread import Spreading
from freshwell.ground.events import Event, Invalidated
from tests.support.switching import switching_every

MS = 1_000_000
NOT_METRICS = {"load_ns", "invalidations"}
"""Fields of Stats that no metric shows as they are: a histogram and a count of kinds do."""


def told(number: int) -> Event:
    return Invalidated("n", "keys", number)


def test_who_listens_gets_what_is_told_from_then_on_in_order() -> None:
    bus = Bus()
    bus.tell(told(1))
    with bus.subscribe(10) as subscription:
        bus.tell(told(2))
        bus.tell(told(3))
        assert subscription.take() == [told(2), told(3)]
        assert subscription.take() == []
    bus.tell(told(4))
    assert subscription.take() == []
    assert not bus.heard


def test_a_slow_listener_loses_the_oldest_and_knows_how_many() -> None:
    bus = Bus()
    slow, quick = bus.subscribe(2), bus.subscribe(10)
    for number in range(5):
        bus.tell(told(number))
    assert slow.take() == [told(3), told(4)]
    assert slow.dropped == 3
    assert (len(quick.take()), quick.dropped) == (5, 0)


def test_nothing_is_lost_or_doubled_between_threads() -> None:
    bus, taken = Bus(), []
    subscription = bus.subscribe(1_000_000)

    def tell() -> None:
        for number in range(500):
            bus.tell(told(number))

    tellers = [threading.Thread(target=tell) for _ in range(4)]
    for teller in tellers:
        teller.start()
    while any(teller.is_alive() for teller in tellers):
        taken += subscription.take()
    taken += subscription.take()
    assert Counter(taken) == Counter({told(n): 4 for n in range(500)})


def test_times_are_counted_up_to_each_bound() -> None:
    spreading = Spreading()
    for taken_ms in (0.5, 0.6, 1, 20_000):
        spreading.add(int(taken_ms * MS))
    spread = spreading.now()
    assert spread.times == 4
    assert dict(zip(spread.bounds_s, spread.counts, strict=False))[0.0005] == 1
    assert dict(zip(spread.bounds_s, spread.counts, strict=False))[0.001] == 2
    assert spread.counts[-1] == 1
    assert spread.total_s == 20.0021


def test_the_keys_asked_for_most_are_found_among_many() -> None:
    hot, draw = HotKeys(kept=32), random.Random(7)
    asked: Counter[str] = Counter()
    for _ in range(50_000):
        key = f"k{int(draw.paretovariate(0.9))}"
        asked[key] += 1
        hot.add(key)
    best = {key for key, _ in asked.most_common(5)}
    found = hot.top(5)
    assert {one.key for one in found} == best
    assert all(one.reads >= asked[one.key] for one in found)


def test_what_was_hot_once_fades() -> None:
    hot = HotKeys(kept=8, fade_after=1_000)
    for _ in range(900):
        hot.add("yesterday")
    for number in range(8_000):
        hot.add(("today", f"k{number}")[number % 2])
    assert hot.top(1)[0].key == "today"


def test_no_more_keys_are_remembered_than_the_bound() -> None:
    hot = HotKeys(kept=10)
    for number in range(10_000):
        hot.add(f"k{number}")
    assert len(hot.top(1_000)) <= 40


def test_each_read_is_counted_once_whoever_counts() -> None:
    hot, calls = HotKeys(), 20_000

    def ask(key: str) -> None:
        for _ in range(calls):
            hot.add(key)

    with switching_every(1e-6), ThreadPoolExecutor(4) as threads:
        threads.map(ask, ("a", "b", "a", "c"))
    assert {one.key: one.reads for one in hot.top(3)} == {"a": 2 * calls, "b": calls, "c": calls}


# -- the table of metrics ------------------------------------------------------------------------


def test_every_count_of_a_cache_is_in_a_metric() -> None:
    with Cache(namespace="n") as cache:
        seen = cache.observe()
    shown = 0
    for field in fields(Stats):
        if field.name in NOT_METRICS:
            continue
        value = object()
        stats = Stats(**{f.name: value if f == field else 0 for f in fields(Stats)})  # type: ignore[arg-type]
        changed = seen._replace(stats=stats)
        samples = [sample for metric in METRICS for sample in metric.read(changed)]
        assert any(value in (sample.value, *sample.labels) for sample in samples), field.name
        shown += 1
    assert shown > 30


def test_names_are_different_and_as_both_systems_have_them() -> None:
    names = [metric.name for metric in METRICS]
    exported = [prometheus_name(metric) for metric in METRICS]
    assert len(set(names)) == len(set(exported)) == len(METRICS)
    assert all(re.fullmatch(r"freshwell(\.[a-z0-9_]+)+", name) for name in names)
    assert all(re.fullmatch(r"freshwell(_[a-z0-9]+)+", name) for name in exported)


def test_no_metric_has_a_label_that_could_hold_a_key() -> None:
    allowed = {"how", "journal", "tier", "of", "outcome", "kind", "reason", "mode", "state"}
    assert {label for metric in METRICS for label in metric.labels} <= allowed
