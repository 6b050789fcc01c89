"""Write-behind loses nothing that it has acknowledged, whoever is killed, and keeps the order.

Short forms: ``python -m tests.faults.behind`` has the long ones. Both colours write and flush in
each campaign, in turn or side by side.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.behind.cases import CASES, CONTROLS, SOURCE_KILLED
from tests.faults.behind.director import Case, Outcome, run
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.race, pytest.mark.slow, pytest.mark.timeout(150)]

_SEEDS = 1_000_000


def campaign(case: Case, folder: Path, source: Postgres) -> Outcome:
    """Run a campaign with a seed that a failure tells."""
    outcome = run(case, folder, source, seed=time.monotonic_ns() % _SEEDS)
    print(outcome)
    return outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_acknowledged_is_stored_whoever_is_killed(
    tmp_path: Path, postgres_url: str, postgres_server: Postgres, case: Case
) -> None:
    outcome = campaign(case, tmp_path, postgres_server)
    found = outcome.verdict
    assert not found.wrong, outcome
    # There was something to lose, and to repeat.
    assert found.acknowledged > 200, outcome
    assert found.reads > 20, outcome
    assert outcome.hurt >= case.kills // 2, outcome
    assert found.duplicates > 0, outcome
    assert found.absorbed > 0, outcome
    assert not case.orders.coalesce or found.covered > 0, outcome


def test_a_source_that_is_killed_loses_nothing_and_burns_no_attempt(
    tmp_path: Path, own_postgres: Postgres
) -> None:
    outcome = campaign(SOURCE_KILLED, tmp_path, own_postgres)
    assert not outcome.verdict.wrong, outcome
    assert outcome.verdict.acknowledged > 200, outcome


@pytest.mark.parametrize("case", CONTROLS, ids=lambda case: case.name)
def test_what_is_not_safe_is_seen_to_lose(
    tmp_path: Path, postgres_url: str, postgres_server: Postgres, case: Case
) -> None:
    outcome = campaign(case, tmp_path, postgres_server)
    assert outcome.verdict.lost > 0, outcome
