"""A cache on a Cluster: tags and entries on different nodes, L1, failovers, moving slots."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache, InvalidationError, Saved
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Loader, is_live, leaves, listening, of, rests
from tests.support.threads import Latch, start, until
from tests.support.cluster import Cluster

KEYS = [f"k{n}" for n in range(200)]


def test_entries_on_all_nodes_are_read_loaded_and_invalidated(cluster_url: str) -> None:
    with of(cluster_url) as one, of(cluster_url) as other:
        one.set_many({key: key for key in KEYS})
        assert other.get_many(KEYS) == {key: key for key in KEYS}
        load = Loader()
        assert one.get_or_load("loaded", load) == 1
        assert other.get_or_load("loaded", load) == 1
        one.invalidate(*KEYS)
        assert other.get_many(KEYS, read="fresh") == {}


def test_a_tag_ends_entries_on_all_nodes(cluster_url: str) -> None:
    with of(cluster_url) as one, of(cluster_url) as other:
        listening(one, other)
        one.set_many(dict.fromkeys(KEYS, 1), tags=["all", lambda value: f"v{value}"])
        assert len(other.get_many(KEYS, read="fresh")) == len(KEYS)
        one.invalidate_tags("v1")
        assert other.get_many(KEYS, read="fresh") == {}
        assert one.get_many(KEYS) == {}


def test_namespaces_versions_and_writers_work_across_nodes(cluster_url: str) -> None:
    with of(cluster_url, version=1) as one, of(cluster_url, version=2) as other:
        reports = one.namespace("reports")
        reports.set_many(dict.fromkeys(KEYS, 1))
        reports.clear()
        assert reports.get_many(KEYS) == {}
        other.set_many(dict.fromkeys(KEYS, 1))
        one.invalidate(*KEYS)
        assert other.get_many(KEYS, read="fresh") == {}
        load = Loader()
        with one.writing("a", "b", "c", tags=["x", "y"]):
            for key in "abc":
                other.get_or_load(key, load, tags=["x", "y"], read="fresh")
            assert other.get_many(list("abc"), read="fresh") == {}
        other.get_or_load("a", load, read="fresh")
        assert other.get("a", read="fresh") == 4


def test_l1_hears_from_every_node(cluster_url: str) -> None:
    with of(cluster_url) as one, of(cluster_url) as other:
        listening(other)
        for key in KEYS[:20]:
            one.set(key, 1)
            rests(other, key)
            one.invalidate(key)
            leaves(other, key)
        assert other.stats().coherence == "feed"


def test_a_pattern_reaches_every_primary(cluster_url: str) -> None:
    with of(cluster_url) as cache:
        cache.set_many({**dict.fromkeys(KEYS, 1), "other": 2})
        assert cache.invalidate_pattern("k*") == len(KEYS)
        assert cache.get_many([*KEYS, "other"]) == {"other": 2}


@pytest.mark.slow
def test_a_pattern_misses_nothing_while_slots_move(own_cluster: Cluster) -> None:
    with of(own_cluster.url) as cache:
        cache.set_many(dict.fromkeys(KEYS, 1))
        primary = own_cluster.primary_of(b"fw:e:default:k0")
        other = next(server for server in own_cluster.primaries if server is not primary)
        slot = own_cluster.slot_of(b"fw:e:default:k0")
        moved = False

        def move(count: int) -> None:
            nonlocal moved
            if not moved:
                moved = True
                own_cluster.migrate_slot(slot, other)

        assert cache.invalidate_pattern("k*", progress=move) >= len(KEYS) - 1
        assert moved
        assert cache.get_many(KEYS, read="fresh") == {}


@pytest.mark.slow
def test_a_failover_empties_l1_and_loses_nothing_invalidated(own_cluster: Cluster) -> None:
    with of(own_cluster.url) as one, of(own_cluster.url) as other:
        listening(one, other)
        one.set("a", 1, tags=["x"])
        rests(other, "a")
        own_cluster.failover(own_cluster.primary_of(b"fw:e:default:a"))
        one.invalidate_tags("x")
        assert other.get("a", read="fresh") is None
        until(partial(is_live, other), "L1 is live again")
        leaves(other, "a")
        one.set("a", 2)
        rests(other, "a")
        one.invalidate("a")
        leaves(other, "a")


@pytest.mark.slow
def test_what_was_invalidated_is_said_again_to_the_new_primary(own_cluster: Cluster) -> None:
    with of(own_cluster.url) as cache:
        listening(cache)
        cache.set("a", 1)
        cache.invalidate("a")
        primary = own_cluster.primary_of(b"fw:e:default:a")
        replica = own_cluster.replica_of(primary)
        own_cluster.failover(primary)
        # As if the replica had not heard of it: the old value is back.
        with of(own_cluster.url) as other:
            other.set("a", "old")
            until(lambda: replica.ask("ROLE")[0] == b"master", "the replica is primary")
            for _ in range(1_000):
                if other.get("a", read="fresh") is None:
                    break
                sleep(0.01)
            else:
                raise AssertionError("the invalidation was not said again")


@pytest.mark.slow
def test_while_a_primary_is_dead_reads_go_on(own_cluster: Cluster) -> None:
    with Cache(own_cluster.url) as cache:
        listening(cache)
        primary = own_cluster.primary_of(b"fw:e:default:a")
        primary.kill()
        load = Loader()
        for _ in range(3):
            assert cache.get_or_load("a", load) == load.calls
        with pytest.raises(InvalidationError):
            cache.invalidate("a")
        for _ in range(1_000):
            try:
                cache.invalidate("a")
            except InvalidationError:
                sleep(0.02)
            else:
                break
        until(partial(is_live, cache), "L1 is live again")
        cache.get_or_load("a", load)
        assert cache.get("a") == load.calls


def test_replicas_confirm_an_invalidation(cluster_url: str) -> None:
    with of(cluster_url, min_replicas=1) as cache:
        cache.set_many(dict.fromkeys(KEYS[:20], 1), tags=["x"])
        cache.invalidate(*KEYS[:20])
        cache.invalidate_tags("x")
        assert cache.get_many(KEYS[:20]) == {}
    with of(cluster_url, min_replicas=2, command_timeout=0.5) as cache:
        with pytest.raises(InvalidationError, match="1 of 2 replicas"):
            cache.invalidate("a")


def test_one_load_for_callers_of_several_processes(cluster_url: str) -> None:
    with of(cluster_url) as one, of(cluster_url) as other:
        listening(one, other)
        load = Loader()

        def slowly() -> int:
            number = load()
            sleep(0.2)
            return number

        first = start(partial(one.get_or_load, "a", slowly, tags=["x"]))
        second = start(partial(other.get_or_load, "a", slowly, tags=["x"]))
        assert (first.result(), second.result()) == (1, 1)


class Rows:
    """A source that can be written to. One of its saves can be held after its commit."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.held: str | None = None
        self.committed, self.end = Latch(), Latch()

    def load(self, id: str, /) -> str | None:
        return self.rows.get(id)

    def save_many(self, values: dict[str, str]) -> None:
        self.rows.update(values)
        if self.held in values.values():
            self.committed.open()
            self.end.passed()

    def save(self, id: str, value: str, /) -> None:
        self.save_many({id: value})


def test_values_are_left_on_all_nodes_by_who_was_alone(cluster_url: str) -> None:
    """Entries, their tags, and the tags that schema versions share lie on different nodes."""
    with of(cluster_url, version=1) as old, of(cluster_url, version=2) as new:
        source = Rows()
        one = old.write_through(source, key="{}", tags=["rows"])
        other = new.write_through(source, key="{}", tags=["rows"])
        one.put_many(dict.fromkeys(KEYS, "first"))
        assert old.get_many(KEYS, read="fresh") == dict.fromkeys(KEYS, "first")
        source.held = "held"
        putting = start(partial(one.put_many, dict.fromkeys(KEYS, "held")))
        source.committed.passed()
        other.put_many(dict.fromkeys(KEYS[:100], "second"))
        source.end.open()
        putting.result()
        assert new.get_many(KEYS, read="fresh") == {}
        assert old.get_many(KEYS, read="fresh") == dict.fromkeys(KEYS[100:], "held")
        new.invalidate_tags("rows")
        assert old.get_many(KEYS, read="fresh") == {}


class Versioned(Rows):
    """Rows whose versions are told."""

    version = 0

    def save_many(self, values: dict[str, str]) -> Any:
        version = self.version = self.version + 1
        super().save_many(values)
        return {id: Saved(version=version) for id in values}


def test_of_writers_who_overlap_the_highest_version_is_left_on_all_nodes(
    cluster_url: str,
) -> None:
    with of(cluster_url) as one, of(cluster_url) as other:
        source = Versioned()
        source.held = "first"
        first = one.write_through(source, key="{}", tags=["rows"])
        second = other.write_through(source, key="{}", tags=["rows"])
        putting = start(partial(first.put_many, dict.fromkeys(KEYS, "first")))
        source.committed.passed()
        second.put_many(dict.fromkeys(KEYS[:100], "second"))
        assert one.get_many(KEYS, read="fresh") == {}
        source.end.open()
        putting.result()
        assert other.get_many(KEYS, read="fresh") == source.rows
        other.invalidate_tags("rows")
        assert one.get_many(KEYS, read="fresh") == {}
