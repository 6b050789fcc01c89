"""Processes leave snapshots of their caches for others to see."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell import AsyncCache, Batch, ConfigurationError
from freshwell.ground.keys import short_digest
from freshwell.ground.snapshots import Snapshot, unpacked
from tests.support.aio import until
from tests.support.servers import Server

MS = 1_000_000


def published(server: Server) -> list[Snapshot]:
    """Return what stands on the server now."""
    keys = [key for key in server.ask("KEYS", "fw:p:*") if key]
    found = [unpacked(server.ask("GET", key)) for key in keys]
    return [snapshot for snapshot in found if snapshot is not None]


async def seven() -> int:
    return 7


class Shelved:
    """A source that takes nothing yet."""

    async def load(self, id: int) -> Any:
        return None

    async def save_many(self, batch: Batch[int, Any]) -> None:
        raise AssertionError("nothing is flushed here")


class Down(Shelved):
    """A source that is away."""

    async def save_many(self, batch: Batch[int, Any]) -> None:
        raise ConnectionError


async def test_counts_sizes_and_hot_keys_are_published_and_end_by_themselves(
    own_redis: Server,
) -> None:
    async with AsyncCache(own_redis.url, namespace="shop") as cache:
        cache.publish(0.1)
        for _ in range(3):
            await cache.get("absent")
        await cache.get_or_load("a", seven)

        def shown() -> bool:
            return any(one.counts["loads"] == 1 for one in published(own_redis))

        await until(shown)
        (snapshot,) = published(own_redis)
        assert (snapshot.namespace, snapshot.every_ms) == ("shop", 100)
        assert snapshot.counts["misses"] == 4
        assert sum(snapshot.load_counts) == 1
        assert snapshot.hot[0] == (short_digest("absent"), 3)
    await until(lambda: published(own_redis) == [])


async def test_keys_are_named_where_that_is_asked_for(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, namespace="shop") as cache:
        cache.publish(0.1, keys=True)
        await cache.get("absent")
        await until(lambda: any(one.hot == (("absent", 1),) for one in published(own_redis)))


async def test_each_cache_has_a_snapshot_of_its_own(own_redis: Server) -> None:
    async with (
        AsyncCache(own_redis.url, namespace="shop") as one,
        AsyncCache(own_redis.url, namespace="shop") as other,
    ):
        for cache in (one, other):
            cache.publish("10s")
            await cache.get("a")
        await until(lambda: len(published(own_redis)) == 2)
        assert len({snapshot.process for snapshot in published(own_redis)}) == 2


async def test_what_waits_in_journals_is_published(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, namespace="shop", drain=0) as cache:
        users = cache.write_behind(
            Shelved(), key="user:{}", journal="memory", flusher=False, name="users"
        )
        cache.publish(0.1)
        await users.put(1, {"name": "Ada"})

        def waiting() -> list[tuple[str, int]]:
            return [
                (journal.name, journal.records)
                for snapshot in published(own_redis)
                for journal in snapshot.journals
            ]

        await until(lambda: waiting() == [("users", 1)])


async def test_a_journal_that_has_ended_is_published_no_more(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, namespace="shop") as cache:
        users = cache.write_behind(Shelved(), key="user:{}", journal="memory", flusher=False)
        cache.publish(0.1)
        await users.start()
        await until(lambda: any(one.journals for one in published(own_redis)))
        await users.aclose()
        await until(lambda: [one.journals for one in published(own_redis)] == [()])


async def test_a_server_that_is_away_is_passed_over(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, namespace="shop") as cache:
        cache.publish(0.1)
        await cache.get("a")
        await until(lambda: len(published(own_redis)) == 1)
        own_redis.stop()
        own_redis.start()
        await until(lambda: len(published(own_redis)) == 1)


async def test_without_redis_there_is_nowhere_to_publish() -> None:
    async with AsyncCache(namespace="shop") as cache:
        with pytest.raises(ConfigurationError, match="Redis"):
            cache.publish()


@pytest.mark.parametrize("every", [0, 0.05, "11m", -1, "soon", None], ids=repr)
async def test_a_time_out_of_bounds_is_refused(every: Any, redis_url: str) -> None:
    async with AsyncCache(redis_url, namespace="shop") as cache:
        with pytest.raises(ConfigurationError, match="every"):
            cache.publish(every)


async def test_what_waits_in_a_journal_is_a_metric_once_it_was_asked(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, namespace="shop", drain=0) as cache:
        users = cache.write_behind(
            Shelved(), key="user:{}", journal="memory", flusher=False, name="users"
        )
        await users.put(1, {"name": "Ada"})
        assert cache.observe().journals == {}
        await users.backlog()
        assert cache.observe().journals["users"].records == 1


async def test_what_waits_is_a_metric_without_being_asked_where_it_is_flushed() -> None:
    source = Down()
    async with AsyncCache(namespace="shop") as cache:
        users = cache.write_behind(source, key="user:{}", journal="memory", name="users", drain=0)
        await users.put(1, {"name": "Ada"})
        await until(lambda: "users" in cache.observe().journals)
        held = cache.observe().journals["users"]
        assert (held.records, held.source_down) == (1, True)
        await users.aclose()
        assert cache.observe().journals == {}


async def test_the_age_of_the_session_grows_while_the_feed_is_silent(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, namespace="shop", max_staleness=0.3) as cache:
        assert cache.observe().session_age_s is None
        await cache.get("a")
        await until(lambda: cache.observe().session_age_s is not None)
        own_redis.freeze()
        await until(lambda: (cache.observe().session_age_s or 0) > 0.9)
        own_redis.thaw()
        await until(lambda: 0 < (cache.observe().session_age_s or 0) < 0.9)
