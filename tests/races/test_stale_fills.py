"""Nothing outdated is read after an invalidation was acknowledged; the usual ways read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.races.history import History
from tests.support.processes import WorkerFailed, workers

_KEYS = 6
_SECONDS = 2.5
_READERS = 2
_WRITERS = 2


def race(folder: Path, url: str, colour: str, strategy: str, bound_s: float) -> dict[str, float]:
    """Let processes read and write at the same time. Returns the readers' sums."""
    past = History.create(folder / "history", _KEYS)
    shared: dict[str, Any] = {
        "strategy": strategy,
        "url": url,
        "history": str(folder / "history"),
        "keys": _KEYS,
        "seconds": _SECONDS,
    }
    reading = [shared | {"seed": i, "bound_s": bound_s} for i in range(_READERS)]
    writing = [
        shared | {"seed": 100 + i, "own": list(range(i, _KEYS, _WRITERS))} for i in range(_WRITERS)
    ]
    parts = f"tests.races.{colour}.parts"
    with (
        workers(f"{parts}:writer", writing) as writers,
        workers(f"{parts}:reader", reading) as readers,
    ):
        for group in (writers, readers):
            for member in group:
                member.wait_ready()
        for group in (readers, writers):
            for member in group:
                member.go()
        results = readers.results()
        assert sum(writers.results()) > 50
    assert sum(past.load(key) for key in range(_KEYS)) > 50
    return {
        "reads": sum(result["reads"] for result in results),
        "stale": sum(result["stale"] for result in results),
        "loads": sum(result["loads"] for result in results),
        "worst_s": max(result["worst_s"] for result in results),
    }


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("control", ["get-set", "locked"])
def test_the_usual_ways_serve_stale_values(tmp_path: Path, redis_url: str, control: str) -> None:
    found = race(tmp_path, redis_url, "_async", control, bound_s=0)
    assert found["loads"] < found["reads"]
    assert found["stale"] > 0, f"the race does not detect: {found}"


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_level_fresh_serves_nothing_that_was_invalidated(
    tmp_path: Path, redis_url: str, colour: str
) -> None:
    found = race(tmp_path, redis_url, colour, "fresh", bound_s=0)
    assert found["loads"] < found["reads"]
    assert found["stale"] == 0, found


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_level_eventual_serves_nothing_older_than_its_bound(
    tmp_path: Path, redis_url: str, colour: str
) -> None:
    found = race(tmp_path, redis_url, colour, "eventual", bound_s=0.2)
    assert found["loads"] < found["reads"]
    assert found["stale"] == 0, found


def test_a_race_whose_readers_fail_is_no_success(tmp_path: Path, redis_url: str) -> None:
    with pytest.raises(WorkerFailed):
        race(tmp_path, redis_url, "_async", "no such strategy", bound_s=0)
