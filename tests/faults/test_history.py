"""No process reads what is outdated, whatever breaks; where a mechanism is missing, some do.

The processes of a case read and write cells of a versioned source through the cache, while its
faults befall them. A read is a violation when it returns a version whose end was acknowledged
more than `max_staleness` before the read began; at read level ``fresh``, at all.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.checker.cases import CASES, CONTROLS
from tests.faults.checker.director import Case, Outcome, run
from tests.faults.checker.orders import Orders
from tests.support.processes import WorkerFailed

READS = 1_000_000
SHARE = -(-READS // len(CASES))
CAP_S = 50.0
SEED_RANGE = 1_000_000


def checked(case: Case, folder: Path, *, reads: int, until_caught: bool = False) -> Outcome:
    """Run a case with a seed that a failure tells."""
    seed = time.monotonic_ns() % SEED_RANGE
    outcome = run(case, folder, seed=seed, reads=reads, cap_s=CAP_S, until_caught=until_caught)
    print(outcome)
    return outcome


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_outdated_is_read_whatever_breaks(tmp_path: Path, case: Case) -> None:
    found = checked(case, tmp_path, reads=SHARE)
    assert found.violations == 0, found
    # There was something to find, and it was looked for.
    assert found.reads >= SHARE, f"too slow to mean much: {found}"
    assert set(found.faults) == set(case.faults), found
    assert found.counts["writes"] > 20, found
    assert found.counts["killed"] > 0 or not case.orders.kill_share, found


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", CONTROLS, ids=lambda case: case.name)
def test_what_lacks_a_mechanism_is_caught(tmp_path: Path, case: Case) -> None:
    found = checked(case, tmp_path, reads=2**62, until_caught=True)
    assert found.violations > 0, f"the checker does not detect: {found}"


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
def test_with_tombstones_a_fill_may_even_ask_only_what_stands_there(tmp_path: Path) -> None:
    # Beside the control `delete without tombstone`: it is the tombstone that it lacks.
    case = Case("no fill token", Orders(cells=40, width=4, sabotage="no fill token"))
    found = checked(case, tmp_path, reads=SHARE)
    assert found.violations == 0, found


@pytest.mark.slow
@pytest.mark.server
def test_a_run_whose_workers_fail_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed):
        run(Case("none", Orders(way="no such way")), tmp_path, seed=1, reads=1, cap_s=1)
