"""The suites of journals and stores: each wrong one fails the tests that it must.

That right ones pass is seen where our own run through them.
"""

from __future__ import annotations

import pytest

from tests.testing.suites import refused

JOURNALS = """
import pytest
from freshwell._sync.stores.local_journal import LocalJournal
from freshwell.ground.records import Settled
from freshwell.testing.conformance import JournalConformance

BOUNDS = dict(owner="user:{id}", max_records=10_000, max_bytes=2**30, max_dead=100)
"""

JOURNAL = """

class {name}(LocalJournal):
    {fault}


class Test{name}(JournalConformance):
    kept = {kept}

    @pytest.fixture
    def make(self, tmp_path):
        path = str(tmp_path / "writes") if self.kept else None
        return lambda **given: {name}(path, **BOUNDS | given)
"""

WRONG_JOURNALS: dict[str, tuple[str, set[str]]] = {
    "LosesTheOrder": (
        "def take(self, *given): return super().take(*given)[::-1]",
        {"test_records_are_taken_in_order_and_page_by_page"},
    ),
    "SaysThatWhatItHasNoRoomForIsAccepted": (
        "def accept(self, *given): return [n or 1 for n in super().accept(*given)]",
        {
            "test_a_full_backlog_takes_the_first_and_says_which",
            "test_a_backlog_is_full_of_bytes_too",
        },
    ),
    "ForgetsTheAttempts": (
        "def settle(self, shard, settled): return super().settle(shard, Settled(settled.stored, "
        "tuple(r._replace(attempts=0) for r in settled.failed), settled.dead))",
        {"test_what_has_failed_stays_with_its_attempts"},
    ),
    "FindsTheFirstWriteAndNotTheLatest": (
        """def latest(self, names):
        found = {}
        for record in self.pending(0, 10_000):
            found.setdefault(record.name, record)
        return [found.get(name) for name in names]""",
        {"test_the_latest_write_of_each_entry_is_found"},
    ),
    "KeptLetsEverybodyOwnAShard": (
        "def own(self, shard): return super().own(shard) or True",
        {"test_a_shard_has_one_owner_at_a_time"},
    ),
}

STORES = """

import pytest
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.threads_link import Link
from freshwell._sync.stores.base import Grant
from freshwell._sync.stores.redis import RedisStore
from freshwell.engines.tokens import Tokens
from freshwell.testing.conformance import StoreConformance
"""

STORE = """

class {name}(RedisStore):
    {fault}


class Test{name}(StoreConformance):
    @pytest.fixture
    def make(self):
        link = Link(Endpoint.of({url!r}))
        link.batch([(b"FLUSHALL",)])
        link.close()
        return lambda lease_ms=5_000: {name}(
            Link(Endpoint.of({url!r})), lease_ms=lease_ms, new_token=Tokens(8)
        )
"""

WRONG_STORES: dict[str, tuple[str, set[str]]] = {
    "IgnoresTokens": (
        "def fill(self, fills):\n"
        "        return super().fill([fill._replace(token=b'') for fill in fills])",
        {
            "test_a_fill_after_an_invalidation_is_refused",
            "test_a_forced_lease_voids_anothers",
            "test_a_lease_that_has_ended_is_granted_anew_and_the_first_holder_stores_nothing",
            "test_a_value_without_a_lease_replaces_what_stands_and_voids_the_lease",
            "test_expiring_a_key_that_is_being_loaded_voids_the_load",
            "test_expiring_ends_freshness_and_the_lease_and_keeps_the_body",
            "test_keys_are_answered_in_their_order_and_do_not_touch_each_other",
        },
    ),
    "ForgetsWhatItInvalidates": (
        "def invalidate(self, keys, also=()): super().forget(keys), super().invalidate([], also)",
        {"test_a_fill_after_an_invalidation_is_refused"},
    ),
}


@pytest.mark.slow
def test_a_wrong_journal_fails_what_it_must_and_nothing_else(pytester: pytest.Pytester) -> None:
    cases = [
        JOURNAL.format(name=name, fault=fault, kept=name.startswith("Kept"))
        for name, (fault, _) in WRONG_JOURNALS.items()
    ]
    expected = {name: failed for name, (_, failed) in WRONG_JOURNALS.items()}
    assert refused(pytester, JOURNALS + "".join(cases)) == expected


@pytest.mark.slow
def test_a_wrong_store_fails_what_it_must_and_nothing_else(
    pytester: pytest.Pytester, redis_url: str
) -> None:
    cases = [
        STORE.format(name=name, fault=fault, url=redis_url)
        for name, (fault, _) in WRONG_STORES.items()
    ]
    expected = {name: failed for name, (_, failed) in WRONG_STORES.items()}
    assert refused(pytester, STORES + "".join(cases)) == expected
