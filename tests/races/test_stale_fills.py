"""Nothing outdated is read after an invalidation was acknowledged; the usual ways read it.

Nothing breaks here: see tests/faults/test_history.py for that.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.checker.director import Case, Outcome, run
from tests.faults.checker.orders import Orders

_CELLS = 6
_TASKS = 8
_SECONDS = 2.5
_WRITES = 50
_CAP_S = 20.0


def race(folder: Path, way: str, level: str, *colours: str) -> Outcome:
    """Let two processes of each colour given read and write at the same time."""
    orders = Orders(way=way, cells=_CELLS, width=1, readers=(level,) * _TASKS, rest_s=0.02)
    case = Case(f"{way}, {level}", orders, colours=colours * 2)
    found = run(case, folder, seed=1, reads=0, writes=_WRITES, seconds=_SECONDS, cap_s=_CAP_S)
    assert found.counts["writes"] >= _WRITES, found
    assert found.counts["loads"] < found.reads, found
    return found


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("control", ["get-set", "locked"])
def test_the_usual_ways_serve_stale_values(tmp_path: Path, control: str) -> None:
    found = race(tmp_path, control, "fresh", "_async")
    assert found.violations > 0, f"the race does not detect: {found}"


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_level_fresh_serves_nothing_that_was_invalidated(tmp_path: Path, colour: str) -> None:
    found = race(tmp_path, "key", "fresh", colour)
    assert found.violations == 0, found


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_level_eventual_serves_nothing_older_than_its_bound(tmp_path: Path, colour: str) -> None:
    found = race(tmp_path, "key", "eventual", colour)
    assert found.violations == 0, found
