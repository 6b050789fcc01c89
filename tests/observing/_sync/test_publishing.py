"""Processes leave snapshots of their caches for others to see."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from typing import Any

import pytest

from freshwell import Cache, Batch, ConfigurationError
from freshwell.ground.keys import short_digest
from freshwell.ground.snapshots import Snapshot, unpacked
from tests.support.threads import until
from tests.support.servers import Server

MS = 1_000_000


def published(server: Server) -> list[Snapshot]:
    """Return what stands on the server now."""
    keys = [key for key in server.ask("KEYS", "fw:p:*") if key]
    found = [unpacked(server.ask("GET", key)) for key in keys]
    return [snapshot for snapshot in found if snapshot is not None]


def seven() -> int:
    return 7


class Shelved:
    """A source that takes nothing yet."""

    def load(self, id: int) -> Any:
        return None

    def save_many(self, batch: Batch[int, Any]) -> None:
        raise AssertionError("nothing is flushed here")


class Down(Shelved):
    """A source that is away."""

    def save_many(self, batch: Batch[int, Any]) -> None:
        raise ConnectionError


def test_counts_sizes_and_hot_keys_are_published_and_end_by_themselves(
    own_redis: Server,
) -> None:
    with Cache(own_redis.url, namespace="shop") as cache:
        cache.publish(0.1)
        for _ in range(3):
            cache.get("absent")
        cache.get_or_load("a", seven)

        def shown() -> bool:
            return any(one.counts["loads"] == 1 for one in published(own_redis))

        until(shown)
        (snapshot,) = published(own_redis)
        assert (snapshot.namespace, snapshot.every_ms) == ("shop", 100)
        assert snapshot.counts["misses"] == 4
        assert sum(snapshot.load_counts) == 1
        assert snapshot.hot[0] == (short_digest("absent"), 3)
    until(lambda: published(own_redis) == [])


def test_keys_are_named_where_that_is_asked_for(own_redis: Server) -> None:
    with Cache(own_redis.url, namespace="shop") as cache:
        cache.publish(0.1, keys=True)
        cache.get("absent")
        until(lambda: any(one.hot == (("absent", 1),) for one in published(own_redis)))


def test_each_cache_has_a_snapshot_of_its_own(own_redis: Server) -> None:
    with (
        Cache(own_redis.url, namespace="shop") as one,
        Cache(own_redis.url, namespace="shop") as other,
    ):
        for cache in (one, other):
            cache.publish("10s")
            cache.get("a")
        until(lambda: len(published(own_redis)) == 2)
        assert len({snapshot.process for snapshot in published(own_redis)}) == 2


def test_what_waits_in_journals_is_published(own_redis: Server) -> None:
    with Cache(own_redis.url, namespace="shop", drain=0) as cache:
        users = cache.write_behind(
            Shelved(), key="user:{}", journal="memory", flusher=False, name="users"
        )
        cache.publish(0.1)
        users.put(1, {"name": "Ada"})

        def waiting() -> list[tuple[str, int]]:
            return [
                (journal.name, journal.records)
                for snapshot in published(own_redis)
                for journal in snapshot.journals
            ]

        until(lambda: waiting() == [("users", 1)])


def test_a_journal_that_has_ended_is_published_no_more(own_redis: Server) -> None:
    with Cache(own_redis.url, namespace="shop") as cache:
        users = cache.write_behind(Shelved(), key="user:{}", journal="memory", flusher=False)
        cache.publish(0.1)
        users.start()
        until(lambda: any(one.journals for one in published(own_redis)))
        users.close()
        until(lambda: [one.journals for one in published(own_redis)] == [()])


def test_a_server_that_is_away_is_passed_over(own_redis: Server) -> None:
    with Cache(own_redis.url, namespace="shop") as cache:
        cache.publish(0.1)
        cache.get("a")
        until(lambda: len(published(own_redis)) == 1)
        own_redis.stop()
        own_redis.start()
        until(lambda: len(published(own_redis)) == 1)


def test_without_redis_there_is_nowhere_to_publish() -> None:
    with Cache(namespace="shop") as cache:
        with pytest.raises(ConfigurationError, match="Redis"):
            cache.publish()


@pytest.mark.parametrize("every", [0, 0.05, "11m", -1, "soon", None], ids=repr)
def test_a_time_out_of_bounds_is_refused(every: Any, redis_url: str) -> None:
    with Cache(redis_url, namespace="shop") as cache:
        with pytest.raises(ConfigurationError, match="every"):
            cache.publish(every)


def test_what_waits_in_a_journal_is_a_metric_once_it_was_asked(own_redis: Server) -> None:
    with Cache(own_redis.url, namespace="shop", drain=0) as cache:
        users = cache.write_behind(
            Shelved(), key="user:{}", journal="memory", flusher=False, name="users"
        )
        users.put(1, {"name": "Ada"})
        assert cache.observe().journals == {}
        users.backlog()
        assert cache.observe().journals["users"].records == 1


def test_what_waits_is_a_metric_without_being_asked_where_it_is_flushed() -> None:
    source = Down()
    with Cache(namespace="shop") as cache:
        users = cache.write_behind(source, key="user:{}", journal="memory", name="users", drain=0)
        users.put(1, {"name": "Ada"})
        until(lambda: "users" in cache.observe().journals)
        held = cache.observe().journals["users"]
        assert (held.records, held.source_down) == (1, True)
        users.close()
        assert cache.observe().journals == {}


def test_the_age_of_the_session_grows_while_the_feed_is_silent(own_redis: Server) -> None:
    with Cache(own_redis.url, namespace="shop", max_staleness=0.3) as cache:
        assert cache.observe().session_age_s is None
        cache.get("a")
        until(lambda: cache.observe().session_age_s is not None)
        own_redis.freeze()
        until(lambda: (cache.observe().session_age_s or 0) > 0.9)
        own_redis.thaw()
        until(lambda: 0 < (cache.observe().session_age_s or 0) < 0.9)
