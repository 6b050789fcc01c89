"""What the history of a versioned source says of an answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.history import History

NEVER_NS = 2**62


@pytest.fixture
def past(tmp_path: Path) -> History:
    return History.create(tmp_path / "history", 3)


def test_what_nothing_newer_has_been_acknowledged_of_is_not_late(past: History) -> None:
    assert past.late_ns(1, 0, NEVER_NS) < 0
    past.commit(1)
    assert past.late_ns(1, 0, NEVER_NS) < 0, "committed, and not acknowledged"
    assert past.late_ns(1, 1, NEVER_NS) < 0


def test_an_answer_is_late_by_the_time_since_the_next_version_was_acknowledged(
    past: History,
) -> None:
    for _ in range(3):
        past.acknowledge(1, past.commit(1))
    acknowledged_ns = past.due_ns(1, 1)
    assert acknowledged_ns < past.due_ns(1, 2) < time.monotonic_ns()
    assert past.late_ns(1, 1, acknowledged_ns + 5) == 5
    assert past.late_ns(1, 1, acknowledged_ns - 5) == -5
    assert past.late_ns(2, 0, NEVER_NS) < 0, "another cell"


def test_an_acknowledgement_ends_all_versions_before_it(past: History) -> None:
    for _ in range(3):
        past.commit(0)  # by writers who died
    past.acknowledge(0, past.commit(0))
    assert past.due_ns(0, 0) == past.due_ns(0, 3) <= time.monotonic_ns()


def test_of_a_promise_and_an_acknowledgement_the_earlier_counts(past: History) -> None:
    version = past.commit(0)
    past.promise(0, version, NEVER_NS)
    assert past.due_ns(0, 0) == NEVER_NS
    past.acknowledge(0, version)
    acknowledged_ns = past.due_ns(0, 0)
    assert acknowledged_ns <= time.monotonic_ns()
    past.promise(0, version, NEVER_NS)
    assert past.due_ns(0, 0) == acknowledged_ns


def test_what_is_long_past_is_late_all_the_same(past: History) -> None:
    past.acknowledge(0, past.commit(0))
    for _ in range(5_000):
        past.acknowledge(0, past.commit(0))
    assert past.due_ns(0, 0) < past.due_ns(0, 4_999)


def test_processes_share_what_was_noted(past: History, tmp_path: Path) -> None:
    past.acknowledge(0, past.commit(0))
    other = History(str(tmp_path / "history"), 3)
    assert other.load(0) == 1
    assert other.due_ns(0, 0) == past.due_ns(0, 0)


def test_what_was_acknowledged_while_that_counted_for_less_is_due_at_its_end(past: History) -> None:
    past.acknowledge(0, past.commit(0))
    before_ns = past.due_ns(0, 0)
    end = past.weaken(time.monotonic_ns())
    past.acknowledge(0, past.commit(0))
    within_ns = past.due_ns(0, 1)
    assert past.due_at_last_ns(within_ns) > NEVER_NS, "it goes on"
    end()
    ended_ns = past.due_at_last_ns(within_ns)
    assert within_ns < ended_ns <= time.monotonic_ns()
    assert past.due_at_last_ns(before_ns) == before_ns
    past.acknowledge(0, past.commit(0))
    assert past.due_at_last_ns(past.due_ns(0, 2)) == past.due_ns(0, 2)
