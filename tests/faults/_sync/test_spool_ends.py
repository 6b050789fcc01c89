"""What becomes of a spool: one outage after another, its close, its file, who else replays it."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freshwell import InvalidationError
from freshwell.engines.recent import Recent
from tests.faults._sync.spools import (
    Held,
    Source,
    assert_withheld,
    by_key,
    by_tag,
    cache_of,
    is_told,
    load_of,
    reaches,
)
from tests.support.threads import until
from tests.support.proxy import Proxy
from tests.support.servers import Server


@pytest.mark.parametrize("spool", ["memory", "file"])
def test_closing_replays_for_as_long_as_it_may_and_says_what_is_left(
    own_redis: Server,
    between: Proxy,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spool: str,
) -> None:
    where = "memory" if spool == "memory" else f"sqlite:///{tmp_path / 'spool.db'}"
    for drains in (True, False):
        caplog.clear()
        cache = cache_of(between.url, spool=where, drain=20 if drains else 0)
        cache.set("a", 1)
        between.refuse()
        cache.invalidate("a")
        if drains:
            between.heal()
        cache.close()
        between.heal()
        with cache_of(own_redis.url, l1=False) as other:
            assert other.get("a") == (None if drains else 1)
        left = [r.message for r in caplog.records if "closed with invalidations" in r.message]
        assert len(left) == (0 if drains else 1)
        assert not left or ("lost" if spool == "memory" else "next process") in left[0]


def test_what_one_left_in_a_file_the_next_withholds_from_its_first_read_on(
    own_redis: Server, between: Proxy, tmp_path: Path, held: Held
) -> None:
    options: dict[str, Any] = {"spool": f"sqlite:///{tmp_path / 'spool.db'}"}
    source = Source()
    with cache_of(between.url, version="1", **options) as cache:
        assert load_of(source, cache)() == 1
        between.refuse()
        source.value = 2
        by_key(cache)
        by_tag(cache)
    between.heal()
    with (
        cache_of(own_redis.url, version="1", **options) as cache,
        cache_of(own_redis.url, version="1", l1=False) as other,
    ):
        assert cache.stats().spool_records == 2
        assert_withheld(cache, source)
        assert load_of(source, other)() == 1
        held.let_go()
        until(partial(is_told, cache), "the replay")
        assert load_of(source, other)() == 2
    with cache_of(own_redis.url, version="1", **options) as cache:
        assert cache.stats().spool_records == 0


def test_another_schema_version_replays_for_the_one_before(
    own_redis: Server, between: Proxy, tmp_path: Path
) -> None:
    spool = f"sqlite:///{tmp_path / 'spool.db'}"
    with cache_of(between.url, spool=spool, l1=False) as cache:
        cache.set("a", 1)
        between.refuse()
        cache.invalidate("a")
    between.heal()
    with (
        cache_of(own_redis.url, version="2", spool=spool) as newer,
        cache_of(own_redis.url, l1=False) as older,
    ):
        assert newer.get("a") is None
        until(partial(is_told, newer), "the replay")
        assert older.get("a") is None


def test_a_replay_reaches_the_entries_of_all_schema_versions(
    own_redis: Server, between: Proxy
) -> None:
    with (
        cache_of(between.url, version="1", spool="memory", l1=False) as cache,
        cache_of(own_redis.url, version="2", l1=False) as other,
    ):
        other.set("a", 1)
        between.refuse()
        cache.invalidate("a")
        assert other.get("a") == 1
        between.heal()
        until(partial(is_told, cache), "the replay")
        assert other.get("a") is None


def test_one_outage_after_another_is_replayed(own_redis: Server, between: Proxy) -> None:
    with cache_of(between.url, spool="memory", l1=False) as cache:
        for replays in (1, 2, 3):
            cache.set("a", 1)
            between.refuse()
            cache.invalidate("a")
            between.heal()
            until(partial(is_told, cache), "the replay")
            assert cache.stats().replayed == replays
            reaches(cache)
            assert cache.get("a") is None


def test_what_was_replayed_is_said_again_like_the_rest(
    own_redis: Server, between: Proxy
) -> None:
    with cache_of(between.url, spool="memory", l1=False) as cache:
        writes = cache._core.engine().writes
        between.refuse()
        cache.invalidate("a")
        writes._recent = Recent()  # as when the outage has lasted
        between.heal()
        until(partial(is_told, cache), "the replay")
        own_redis.ask("FLUSHALL")  # as a replica that has not heard of it
        writes.say_again(60_000_000_000)
        assert own_redis.ask("EXISTS", "fw:e:default:a")


class Rows:
    """A source for write-behind."""

    def __init__(self) -> None:
        self.saved: dict[str, int] = {}

    def load(self, id: str) -> int | None:
        return self.saved.get(id)

    def save(self, id: str, value: int) -> None:
        self.saved[id] = value


def test_a_flusher_keeps_its_records_until_l2_has_taken_the_invalidation_itself(
    own_redis: Server, between: Proxy
) -> None:
    source = Rows()
    with cache_of(between.url, spool="memory", l1=False) as cache:
        rows = cache.write_behind(
            source, key="{}", journal="memory", flusher=False, drain=0, retry_after="10ms"
        )
        rows.put("a", 1)
        between.refuse()
        rows.start(flush=True)
        until(lambda: source.saved == {"a": 1}, "the source has it")
        assert rows.backlog().records == 1
        between.heal()
        rows.flush()
        assert cache.stats().spooled == 0


def test_caches_that_share_a_file_do_not_lose_each_others(
    own_redis: Server, between: Proxy, tmp_path: Path
) -> None:
    spool = f"sqlite:///{tmp_path / 'spool.db'}"
    with (
        cache_of(between.url, spool=spool, drain=20) as one,
        cache_of(between.url, spool=spool, drain=20) as other,
    ):
        one.set_many(dict.fromkeys("abc", 1))
        between.refuse()
        one.invalidate("a", "b")
        other.invalidate("b", "c")
        between.heal()
        until(partial(is_told, one), "the replay of one")
        until(partial(is_told, other), "the replay of the other")
        assert one.get_many(list("abc"), read="fresh") == {}
    with cache_of(own_redis.url, spool=spool) as after:
        assert after.stats().spool_records == 0


def test_what_the_file_does_not_take_is_raised_and_the_old_value_is_not_withheld(
    own_redis: Server, between: Proxy, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with cache_of(between.url, spool=f"sqlite:///{folder / 'spool.db'}", l1=False) as cache:
        cache.set("a", 1)
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()
        between.refuse()
        with pytest.raises(InvalidationError, match="no folder"):
            cache.invalidate("a")
        between.heal()
        reaches(cache)
        assert cache.stats().spool_records == 0
        assert cache.get("a") == 1, "as without a spool"
