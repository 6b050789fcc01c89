"""A cache on a Cluster: tags and entries on different nodes, L1, failovers, moving slots."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, InvalidationError, Saved
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Loader, is_live, leaves, listening, of, rests
from tests.support.aio import Latch, start, until
from tests.support.cluster import Cluster

KEYS = [f"k{n}" for n in range(200)]


async def test_entries_on_all_nodes_are_read_loaded_and_invalidated(cluster_url: str) -> None:
    async with of(cluster_url) as one, of(cluster_url) as other:
        await one.set_many({key: key for key in KEYS})
        assert await other.get_many(KEYS) == {key: key for key in KEYS}
        load = Loader()
        assert await one.get_or_load("loaded", load) == 1
        assert await other.get_or_load("loaded", load) == 1
        await one.invalidate(*KEYS)
        assert await other.get_many(KEYS, read="fresh") == {}


async def test_a_tag_ends_entries_on_all_nodes(cluster_url: str) -> None:
    async with of(cluster_url) as one, of(cluster_url) as other:
        await listening(one, other)
        await one.set_many(dict.fromkeys(KEYS, 1), tags=["all", lambda value: f"v{value}"])
        assert len(await other.get_many(KEYS, read="fresh")) == len(KEYS)
        await one.invalidate_tags("v1")
        assert await other.get_many(KEYS, read="fresh") == {}
        assert await one.get_many(KEYS) == {}


async def test_namespaces_versions_and_writers_work_across_nodes(cluster_url: str) -> None:
    async with of(cluster_url, version=1) as one, of(cluster_url, version=2) as other:
        reports = one.namespace("reports")
        await reports.set_many(dict.fromkeys(KEYS, 1))
        await reports.clear()
        assert await reports.get_many(KEYS) == {}
        await other.set_many(dict.fromkeys(KEYS, 1))
        await one.invalidate(*KEYS)
        assert await other.get_many(KEYS, read="fresh") == {}
        load = Loader()
        async with one.writing("a", "b", "c", tags=["x", "y"]):
            for key in "abc":
                await other.get_or_load(key, load, tags=["x", "y"], read="fresh")
            assert await other.get_many(list("abc"), read="fresh") == {}
        await other.get_or_load("a", load, read="fresh")
        assert await other.get("a", read="fresh") == 4


async def test_l1_hears_from_every_node(cluster_url: str) -> None:
    async with of(cluster_url) as one, of(cluster_url) as other:
        await listening(other)
        for key in KEYS[:20]:
            await one.set(key, 1)
            await rests(other, key)
            await one.invalidate(key)
            await leaves(other, key)
        assert other.stats().coherence == "feed"


async def test_a_pattern_reaches_every_primary(cluster_url: str) -> None:
    async with of(cluster_url) as cache:
        await cache.set_many({**dict.fromkeys(KEYS, 1), "other": 2})
        assert await cache.invalidate_pattern("k*") == len(KEYS)
        assert await cache.get_many([*KEYS, "other"]) == {"other": 2}


@pytest.mark.slow
async def test_a_pattern_misses_nothing_while_slots_move(own_cluster: Cluster) -> None:
    async with of(own_cluster.url) as cache:
        await cache.set_many(dict.fromkeys(KEYS, 1))
        primary = own_cluster.primary_of(b"fw:e:default:k0")
        other = next(server for server in own_cluster.primaries if server is not primary)
        slot = own_cluster.slot_of(b"fw:e:default:k0")
        moved = False

        def move(count: int) -> None:
            nonlocal moved
            if not moved:
                moved = True
                own_cluster.migrate_slot(slot, other)

        assert await cache.invalidate_pattern("k*", progress=move) >= len(KEYS) - 1
        assert moved
        assert await cache.get_many(KEYS, read="fresh") == {}


@pytest.mark.slow
async def test_a_failover_empties_l1_and_loses_nothing_invalidated(own_cluster: Cluster) -> None:
    async with of(own_cluster.url) as one, of(own_cluster.url) as other:
        await listening(one, other)
        await one.set("a", 1, tags=["x"])
        await rests(other, "a")
        own_cluster.failover(own_cluster.primary_of(b"fw:e:default:a"))
        await one.invalidate_tags("x")
        assert await other.get("a", read="fresh") is None
        await until(partial(is_live, other), "L1 is live again")
        await leaves(other, "a")
        await one.set("a", 2)
        await rests(other, "a")
        await one.invalidate("a")
        await leaves(other, "a")


@pytest.mark.slow
async def test_what_was_invalidated_is_said_again_to_the_new_primary(own_cluster: Cluster) -> None:
    async with of(own_cluster.url) as cache:
        await listening(cache)
        await cache.set("a", 1)
        await cache.invalidate("a")
        primary = own_cluster.primary_of(b"fw:e:default:a")
        replica = own_cluster.replica_of(primary)
        own_cluster.failover(primary)
        # As if the replica had not heard of it: the old value is back.
        async with of(own_cluster.url) as other:
            await other.set("a", "old")
            await until(lambda: replica.ask("ROLE")[0] == b"master", "the replica is primary")
            for _ in range(1_000):
                if await other.get("a", read="fresh") is None:
                    break
                await sleep(0.01)
            else:
                raise AssertionError("the invalidation was not said again")


@pytest.mark.slow
async def test_while_a_primary_is_dead_reads_go_on(own_cluster: Cluster) -> None:
    async with AsyncCache(own_cluster.url) as cache:
        await listening(cache)
        primary = own_cluster.primary_of(b"fw:e:default:a")
        primary.kill()
        load = Loader()
        for _ in range(3):
            assert await cache.get_or_load("a", load) == load.calls
        with pytest.raises(InvalidationError):
            await cache.invalidate("a")
        for _ in range(1_000):
            try:
                await cache.invalidate("a")
            except InvalidationError:
                await sleep(0.02)
            else:
                break
        await until(partial(is_live, cache), "L1 is live again")
        await cache.get_or_load("a", load)
        assert await cache.get("a") == load.calls


async def test_replicas_confirm_an_invalidation(cluster_url: str) -> None:
    async with of(cluster_url, min_replicas=1) as cache:
        await cache.set_many(dict.fromkeys(KEYS[:20], 1), tags=["x"])
        await cache.invalidate(*KEYS[:20])
        await cache.invalidate_tags("x")
        assert await cache.get_many(KEYS[:20]) == {}
    async with of(cluster_url, min_replicas=2, command_timeout=0.5) as cache:
        with pytest.raises(InvalidationError, match="1 of 2 replicas"):
            await cache.invalidate("a")


async def test_one_load_for_callers_of_several_processes(cluster_url: str) -> None:
    async with of(cluster_url) as one, of(cluster_url) as other:
        await listening(one, other)
        load = Loader()

        async def slowly() -> int:
            number = await load()
            await sleep(0.2)
            return number

        first = await start(partial(one.get_or_load, "a", slowly, tags=["x"]))
        second = await start(partial(other.get_or_load, "a", slowly, tags=["x"]))
        assert (await first.result(), await second.result()) == (1, 1)


class Rows:
    """A source that can be written to. One of its saves can be held after its commit."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.held: str | None = None
        self.committed, self.end = Latch(), Latch()

    async def load(self, id: str, /) -> str | None:
        return self.rows.get(id)

    async def save_many(self, values: dict[str, str]) -> None:
        self.rows.update(values)
        if self.held in values.values():
            self.committed.open()
            await self.end.passed()

    async def save(self, id: str, value: str, /) -> None:
        await self.save_many({id: value})


async def test_values_are_left_on_all_nodes_by_who_was_alone(cluster_url: str) -> None:
    """Entries, their tags, and the tags that schema versions share lie on different nodes."""
    async with of(cluster_url, version=1) as old, of(cluster_url, version=2) as new:
        source = Rows()
        one = old.write_through(source, key="{}", tags=["rows"])
        other = new.write_through(source, key="{}", tags=["rows"])
        await one.put_many(dict.fromkeys(KEYS, "first"))
        assert await old.get_many(KEYS, read="fresh") == dict.fromkeys(KEYS, "first")
        source.held = "held"
        putting = await start(partial(one.put_many, dict.fromkeys(KEYS, "held")))
        await source.committed.passed()
        await other.put_many(dict.fromkeys(KEYS[:100], "second"))
        source.end.open()
        await putting.result()
        assert await new.get_many(KEYS, read="fresh") == {}
        assert await old.get_many(KEYS, read="fresh") == dict.fromkeys(KEYS[100:], "held")
        await new.invalidate_tags("rows")
        assert await old.get_many(KEYS, read="fresh") == {}


class Versioned(Rows):
    """Rows whose versions are told."""

    version = 0

    async def save_many(self, values: dict[str, str]) -> Any:
        version = self.version = self.version + 1
        await super().save_many(values)
        return {id: Saved(version=version) for id in values}


async def test_of_writers_who_overlap_the_highest_version_is_left_on_all_nodes(
    cluster_url: str,
) -> None:
    async with of(cluster_url) as one, of(cluster_url) as other:
        source = Versioned()
        source.held = "first"
        first = one.write_through(source, key="{}", tags=["rows"])
        second = other.write_through(source, key="{}", tags=["rows"])
        putting = await start(partial(first.put_many, dict.fromkeys(KEYS, "first")))
        await source.committed.passed()
        await second.put_many(dict.fromkeys(KEYS[:100], "second"))
        assert await one.get_many(KEYS, read="fresh") == {}
        source.end.open()
        await putting.result()
        assert await other.get_many(KEYS, read="fresh") == source.rows
        await other.invalidate_tags("rows")
        assert await one.get_many(KEYS, read="fresh") == {}
