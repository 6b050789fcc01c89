"""What answered each read within a block."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pytest

from freshwell import Cache
from tests.support.threads import Latch, start


def number(n: int) -> int:
    return n


@pytest.fixture(params=["in process", pytest.param("shared", marks=pytest.mark.server)])
def cache(request: pytest.FixtureRequest) -> Cache:
    """Give a cache that the test closes."""
    if request.param == "in process":
        return Cache(namespace="traced")
    return Cache(request.getfixturevalue("redis_url"), namespace="traced", l1=False)


def where(cache: Cache) -> str:
    return "l1" if "in process" in repr(cache) else "l2"


def test_a_trace_says_what_served_each_read(cache: Cache) -> None:
    with cache:
        double = cache.cached("d:{n}")(number)
        double(1)
        with cache.trace() as trace:
            double(1)
            double(2)
            cache.get("nothing")
            cache.get_or_load("d:1", lambda: number(5))
        seen = [(one.key, one.source, one.state) for one in trace.served]
        assert seen == [
            ("d:1", where(cache), "fresh"),
            ("d:2", "loader", "fresh"),
            ("nothing", None, "absent"),
            ("d:1", where(cache), "fresh"),
        ]


def test_hits_by_arguments_are_traced_only_within_the_block() -> None:
    with Cache(namespace="traced") as cache:
        double = cache.cached("d:{n}")(number)
        double(1)
        double(1)
        with cache.trace() as trace:
            double(1)
            double(1)
        double(1)
        assert len(trace.served) == 2
        before = cache.stats().hits_l1
        double(1)
        assert cache.stats().hits_l1 == before + 1


def test_a_function_that_is_cached_within_a_block_is_traced_and_works_after_it() -> None:
    with Cache(namespace="traced") as cache:
        with cache.trace() as trace:
            double = cache.cached("d:{n}")(number)
            double(1)
            double(1)
        assert [one.source for one in trace.served] == ["loader", "l1"]
        assert double(1) == 1
        assert len(trace.served) == 2


def test_blocks_may_be_nested_and_see_what_is_theirs() -> None:
    with Cache(namespace="one") as cache, Cache(namespace="two") as other:
        with cache.trace() as outer:
            cache.get("a")
            with cache.trace() as inner:
                cache.get("b")
                other.get("c")
            cache.get("d")
        assert [one.key for one in outer.served] == ["a", "b", "d"]
        assert [one.key for one in inner.served] == ["b"]


def test_reads_beside_the_block_are_not_traced() -> None:
    with Cache(namespace="traced") as cache:
        double = cache.cached("d:{n}")(number)
        double(1)
        gate, here = Latch(), Latch()

        def beside() -> None:
            here.open()
            gate.passed()
            double(1)

        running = start(beside)
        here.passed()
        with cache.trace() as trace:
            gate.open()
            running.result()
        assert trace.served == ()


def test_the_age_and_the_time_left_are_told() -> None:
    with Cache(namespace="traced", jitter=0) as cache:
        cache.set("a", 1, ttl=60)
        with cache.trace() as trace:
            cache.get("a")
        (one,) = trace.served
        assert one.age_s is not None
        assert 0 <= one.age_s < 30
        assert one.ttl_left_s is not None
        assert 30 < one.ttl_left_s <= 60


def test_a_stale_answer_is_called_so() -> None:
    with Cache(namespace="traced", stale_ttl=60) as cache:
        cache.set("a", 1)
        cache.expire("a")
        with cache.trace() as trace:
            assert cache.get_or_load("a", lambda: number(2)) == 1
        (one,) = trace.served
        assert (one.source, one.state) == ("l1", "stale")
        assert 'detail="1 stale l1"' in trace.header()


def test_entries_of_a_namespace_are_named_with_it_and_many_at_once_each() -> None:
    with Cache(namespace="traced") as cache:
        reports = cache.namespace("reports")
        reports.set("a", 1)
        with cache.trace() as trace:
            reports.get_many(["a", "b"])
        assert [(one.key, one.source) for one in trace.served] == [
            ("reports:a", "l1"),
            ("reports:b", None),
        ]


def test_the_header_is_a_cache_status_and_names_no_key() -> None:
    with Cache(namespace="traced", jitter=0) as cache:
        with cache.trace() as trace:
            assert trace.header() == ""
            cache.set("secret-a", 1, ttl=60)
            cache.get("secret-a")
            header = trace.header()
            assert header.startswith("freshwell; hit; ttl=")
            assert header.endswith('detail="1 l1"')
            cache.get_or_load("secret-b", lambda: number(1))
            assert trace.header() == 'freshwell; fwd=miss; detail="1 l1, 1 loader"'
            assert "secret" not in trace.header() + repr(trace) + repr(trace.served)
