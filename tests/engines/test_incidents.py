"""What degrades is said in the log: once a minute for each kind, with how often since."""

from __future__ import annotations

import logging

import pytest

from freshwell._kit.link_errors import LeftAlone
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.errors import JournalUnavailable, StoreUnavailable
from freshwell.testing import FakeClock


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def incidents(counters: Counters, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> Incidents:
    caplog.set_level(logging.WARNING, "freshwell")
    return Incidents(counters, "app", clock)


def test_the_first_of_a_kind_is_said(
    incidents: Incidents, caplog: pytest.LogCaptureFixture
) -> None:
    incidents.l2_failed(StoreUnavailable("no reply came within the time limit"))
    assert caplog.messages == ["cache app: L2 failed: no reply came within the time limit"]


def test_the_next_within_a_minute_are_counted_and_told_afterwards(
    incidents: Incidents,
    counters: Counters,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(5):
        incidents.rejected("foreign")
        clock.advance(1)
    assert len(caplog.messages) == 1
    clock.advance(60)
    incidents.rejected("torn")
    assert caplog.messages[1].endswith("torn (4 more since the last record)")
    assert counters.rejected_frames == 6


def test_kinds_do_not_silence_each_other(
    incidents: Incidents, caplog: pytest.LogCaptureFixture
) -> None:
    incidents.undecodable("the bytes are no JSON")
    incidents.oversize(10, 5)
    incidents.shed(0.5)
    incidents.untracked(StoreUnavailable("NOPERM"))
    assert len(caplog.messages) == 4


def test_errors_of_loaders_are_named_by_class_alone(
    incidents: Incidents, caplog: pytest.LogCaptureFixture
) -> None:
    incidents.refresh_failed(LookupError("user 42 has no secret"))
    assert caplog.messages == ["cache app: a refresh failed: LookupError"]


def test_what_becomes_of_accepted_writes_is_counted_and_said(
    incidents: Incidents, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    incidents.write_refused("builtins.ValueError")
    incidents.write_died("no such column")
    incidents.writes_lost(3)
    incidents.source_down("builtins.ConnectionError")
    incidents.journal_failed(JournalUnavailable("it did not answer"))
    incidents.flush_failed(LookupError("user 42 has no secret"))
    assert caplog.messages == [
        "cache app: the source refused a write: builtins.ValueError",
        "cache app: a write became a dead letter: no such column",
        "cache app: the journal has lost writes: 3 were gone when they were settled",
        "cache app: the source is down: builtins.ConnectionError",
        "cache app: the journal failed: it did not answer",
        "cache app: a flush failed: LookupError",
    ]
    assert (counters.writes_retried, counters.writes_dead, counters.writes_lost) == (1, 1, 3)
    assert counters.flush_errors == 3


def test_calls_that_were_not_made_are_counted_and_not_said(
    incidents: Incidents, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    incidents.l2_left_alone(StoreUnavailable("no reply came within the time limit"))
    for _ in range(5):
        incidents.l2_failed(LeftAlone("it has failed"))
    incidents.l2_is_back(2_340_000_000)
    incidents.l2_slow(600_000_000)
    assert caplog.messages == [
        "cache app: L2 is left alone: no reply came within the time limit",
        "cache app: L2 is back: after 2.3 s",
        "cache app: L2 was too slow for a read: 0.6 s were not enough",
    ]
    assert (counters.l2_openings, counters.l2_refused, counters.l2_errors) == (1, 5, 0)
    assert counters.l2_slow == 1


def test_what_becomes_of_invalidations_that_l2_did_not_take_is_counted_and_said(
    incidents: Incidents, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    incidents.spooled(2, 5)
    incidents.spool_refused("the spool holds 5, and max_spool is 5")
    incidents.spool_failed(JournalUnavailable("the disk is full"))
    incidents.spool_left(3, durable=False)
    assert caplog.messages == [
        "cache app: invalidations wait for L2: the spool holds 5",
        "cache app: the spool refused invalidations: the spool holds 5, and max_spool is 5",
        "cache app: the spool failed: the disk is full",
        "cache app: a cache was closed with invalidations in its spool: 3 are lost",
    ]
    assert counters.spooled == 2


def test_what_is_said_is_in_fields_of_the_record_too(
    incidents: Incidents, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    incidents.shed(2.0)
    incidents.shed(2.0)
    clock.advance(61)
    incidents.shed(2.0)
    fields = [
        (
            vars(one)["freshwell_namespace"],
            vars(one)["freshwell_kind"],
            vars(one)["freshwell_left_out"],
        )
        for one in caplog.records
    ]
    assert fields == [("app", "a load was shed", 0), ("app", "a load was shed", 1)]
