"""A cache that was closed can be entered again: a program is started twice in one process.

It is what tests of a web application do: the cache stands in a module, with its decorated
functions, and each test starts and ends the application.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from pathlib import Path

import pytest

from freshwell import Cache, CacheClosed
from tests.behaviour._sync.behind import Way
from tests.behaviour._sync.ledger import Ledger
from tests.behaviour._sync.parts import Held, Make
from tests.support.threads import start, until


def test_a_cache_that_is_entered_again_serves_what_was_built_with_it(make: Make) -> None:
    cache = make()
    calls: list[int] = []

    @cache.cached("square:{n}")
    def square(n: int) -> int:
        calls.append(n)
        return n * n

    reader, reports = cache.read_through(square.uncached, key="read:{}"), cache.namespace("reports")
    for _ in range(2):
        with cache:
            assert square(3) == square(3) == 9
            assert reader.get(4) == 16
            reports.set("a", 1)
            assert reports.get("a") == 1
            square.invalidate(3)
            reader.invalidate(4)
        with pytest.raises(CacheClosed, match="enter it again"):
            square(3)
    assert calls == [3, 4, 3, 4]


def test_nothing_is_left_in_memory() -> None:
    cache = Cache()
    with cache:
        cache.set("a", 1)
    with cache:
        assert cache.get("a") is None
        assert cache.stats().entries == 0


def test_a_load_that_outlives_the_close_is_not_stored(make: Make) -> None:
    cache, load = make(drain=0), Held()
    with cache:
        loading = start(partial(cache.get_or_load, "a", load))
        load.begun.passed()
    with cache:
        load.let_go.open()
        until(lambda: loading.done, "the call has ended")
        assert cache.get("a") is None
        assert cache.get_or_load("a", load) == 2


def test_a_cache_that_is_being_closed_is_not_entered() -> None:
    cache, load = Cache(drain=10), Held()
    loading = start(partial(cache.get_or_load, "a", load))
    load.begun.passed()
    closing = start(cache.close)
    until(lambda: "closed" in repr(cache), "the close has begun")
    with pytest.raises(CacheClosed):
        with cache:
            pass
    load.let_go.open()
    closing.result()
    assert loading.result() == 1
    with cache:
        cache.set("a", 2)
        assert cache.get("a") == 2


def test_a_writer_is_entered_again_with_its_cache(way: Way) -> None:
    source, cache = Ledger(), way.make()
    rows = way.behind(cache, source, flush_every="1h")
    for value in (1, 2):
        with cache, rows:
            rows.put("a", value)
            assert rows.get("a") == value
        assert source.rows == {"a": value}
    with cache:
        with pytest.raises(CacheClosed, match="enter it again"):
            rows.put("a", 3)
        with rows:
            rows.put("a", 3)
    assert source.rows == {"a": 3}


def test_the_spool_is_open_again(tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'spool.db'}"
    cache = Cache("redis://127.0.0.1:1/0", spool=file, drain=0)
    for key in ("a", "b"):
        with cache:
            cache.invalidate(key)
            waiting = cache.stats().spool_records
    assert waiting == 2
    assert len(Cache("redis://127.0.0.1:1/0", spool=file)._core.spool) == 2
