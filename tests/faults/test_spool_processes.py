"""What is in a spool's file when its process is killed, and who replays it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from freshwell._sync.coordination.spooling import new_spool
from freshwell.ground.names import Names
from tests.faults._sync.spools import cache_of, hold_replays, is_told
from tests.support.processes import Worker, workers
from tests.support.proxy import proxy
from tests.support.servers import Server
from tests.support.threads import until


@pytest.mark.parametrize("kept", [True, False], ids=["file", "control: memory"])
def test_the_process_after_one_that_was_killed_replays_what_it_had_spooled(
    own_redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    spool = f"sqlite:///{tmp_path / 'spool.db'}" if kept else "memory"
    with (
        proxy(own_redis.port) as between,
        workers("tests.faults.spooling:outage", [{"url": between.url, "spool": spool}]) as (one,),
    ):
        assert one.hear() == "stored"
        between.refuse()
        one.say("go")
        assert one.hear() == "spooled"
        one.kill()
    held = hold_replays(monkeypatch)
    with cache_of(own_redis.url, spool=spool) as next_one, cache_of(own_redis.url) as other:
        assert other.get("a") == 1, "L2 has the old value"
        assert next_one.get_or_load("a", lambda: 2) == (2 if kept else 1)
        assert next_one.stats().spool_records == (1 if kept else 0)
        held.let_go()
        until(partial(is_told, next_one), "the replay")
        assert other.get("a", read="fresh") == (None if kept else 1)
    with cache_of(own_redis.url, spool=spool) as last:
        assert last.stats().spool_records == 0, "and it is over"


@pytest.mark.slow
def test_processes_that_share_a_file_lose_nothing_when_they_are_killed(tmp_path: Path) -> None:
    path, acked = tmp_path / "spool.db", {"of both"}
    given = [{"spool": f"sqlite:///{path}", "seed": seed} for seed in range(2)]
    with workers("tests.faults.spooling:invalidating", given) as group:
        for worker in group:
            acked.update(worker.hear() for _ in range(100))
        for worker in group:
            worker.kill()
            acked.update(_last_words(worker))
    assert acked <= _names_in(path)
    assert len(acked) > 200


@pytest.mark.slow
def test_a_forked_child_and_its_parent_go_on_with_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with workers("tests.faults.spooling:forking", [{"spool": f"sqlite:///{path}"}]) as group:
        (told,) = group.results()
    assert told == {"in_child": 2, "in_parent": 2}, "each withholds what it knows of"
    assert _names_in(path) == {"before", "in the child", "in the parent"}


def _names_in(path: Path) -> set[str]:
    """Return the entries that are in a spool's file."""
    found = new_spool(Names("default"), "default", str(path), 1, 0)
    return {one.missed.name for one in found.oldest(100_000)}


def _last_words(worker: Worker) -> list[str]:
    """Return what a worker said before it was killed."""
    words: list[str] = []
    while "said" in (message := worker._messages.get(timeout=20)):
        words.append(message["said"])
    return words
