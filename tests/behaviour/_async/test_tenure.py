"""A shard is held only while its ownership was renewed in time, and begun anew after that."""

from __future__ import annotations

import pytest

from freshwell._async.coordination.tenure import Tenure
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.testing import FakeClock
from tests.behaviour._async.flushes import S
from tests.behaviour._async.journals import Ledger, MemoryJournal


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(Ledger(shards=2))


@pytest.fixture
def tenure(journal: MemoryJournal, clock: FakeClock) -> Tenure:
    return Tenure(journal, Incidents(Counters(), "tests"), trust_ns=3 * S, now_ns=clock)


async def test_a_shard_is_held_from_its_beginning(tenure: Tenure) -> None:
    assert not tenure.holds(1)
    assert await tenure.begin(1)
    assert tenure.holds(1)
    assert not tenure.holds(0)


async def test_a_shard_of_another_is_not_held(tenure: Tenure, journal: MemoryJournal) -> None:
    journal.ledger.owners[1] = object()
    assert not await tenure.begin(1)
    assert not tenure.holds(1)


async def test_renewals_in_time_keep_it(tenure: Tenure, clock: FakeClock) -> None:
    await tenure.begin(0)
    for _ in range(5):
        clock.advance(2)
        await tenure.renew()
        assert tenure.holds(0)


async def test_without_renewal_it_is_held_no_longer(tenure: Tenure, clock: FakeClock) -> None:
    await tenure.begin(0)
    clock.advance(3)
    assert tenure.holds(0)
    clock.advance(ns=1)
    assert not tenure.holds(0)


async def test_a_renewal_that_is_too_late_does_not_bring_it_back(
    tenure: Tenure, clock: FakeClock
) -> None:
    await tenure.begin(0)
    clock.advance(4)
    await tenure.renew()
    assert not tenure.holds(0), "another may have had it in between"
    assert await tenure.begin(0)
    assert tenure.holds(0)


async def test_it_is_held_no_longer_when_another_has_it(
    tenure: Tenure, journal: MemoryJournal
) -> None:
    await tenure.begin(0)
    await tenure.begin(1)
    journal.ledger.owners[0] = object()
    await tenure.renew()
    assert [tenure.holds(0), tenure.holds(1)] == [False, True]


async def test_it_is_held_no_longer_where_the_journal_does_not_say(
    tenure: Tenure, journal: MemoryJournal
) -> None:
    await tenure.begin(0)
    journal.down = True
    await tenure.renew()
    journal.down = False
    assert not tenure.holds(0)
