"""Dead letters and waiting records in Redis, in the hands of people."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pytest

from freshwell._sync.stores.redis_desk import RedisDesk
from freshwell._sync.stores.redis_journal import RedisJournal
from freshwell.errors import ConfigurationError, LetterSuperseded
from freshwell.ground.records import Kind, Settled
from tests.journals._sync.redis_parts import at_desk, draft, opened, stem
from tests.support.servers import Server


def died(journal: RedisJournal, *names: str) -> list[int]:
    """Accept writes of one shard, let them die, and return their sequences."""
    sequences = journal.accept([draft(name, b"dead") for name in names])
    assert journal.own(0)
    records = [r for r in journal.take(0, 0, 99) if r.sequence in sequences]
    journal.settle(0, Settled(dead=tuple((record, "refused") for record in records)))
    return sequences


def stored(journal: RedisJournal) -> None:
    """Store all that is in the first shard."""
    journal.settle(0, Settled(stored=tuple(journal.take(0, 0, 99))))


def superseded(desk: RedisDesk) -> list[bool]:
    return [letter.superseded for letter in desk.dead()]


def test_there_is_no_desk_without_a_journal(redis_url: str) -> None:
    with at_desk(redis_url, "none") as desk:
        with pytest.raises(ConfigurationError, match="there is no journal 'none'"):
            desk.backlog()


def test_records_are_shown_in_order_whatever_shard_they_are_in(redis_url: str) -> None:
    with opened(redis_url, shards=4) as journal, at_desk(redis_url) as desk:
        sequences = sorted(journal.accept([draft(str(n)) for n in range(100)]))
        first = desk.pending(limit=30)
        rest = desk.pending(first[-1].sequence, 1_000)
        assert [record.sequence for record in first + rest] == sequences
        assert len(first) == 30
        assert desk.letter(sequences[7]) == first[7]
        for none in (0, -1, sequences[0] - 1, 2**62, 2**70):
            assert desk.letter(none) is None
        assert desk.backlog().records == 100


def test_letters_are_shown_in_order_and_dropped(redis_url: str, redis_server: Server) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        sequences = died(journal, *[str(n) for n in range(25)])
        first = desk.dead(limit=15)
        rest = desk.dead(first[-1].record.sequence)
        assert [letter.record.sequence for letter in first + rest] == sequences
        for sequence in sequences:
            assert desk.drop(sequence)
            assert not desk.drop(sequence)
        assert desk.dead() == []
        assert redis_server.ask("EXISTS", f"{stem()}:dead", f"{stem()}:deadkeys") == 0


def test_a_letter_that_is_tried_again_is_the_newest_write(redis_url: str) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        (old,) = died(journal, "a")
        before = desk.dead()[0].record
        (other,) = journal.accept([draft("b")])
        new = desk.retry(old)
        assert new is not None
        assert old < other < new
        (record,) = journal.latest(["a"])
        assert record is not None
        assert record.kind == Kind.PUT | Kind.REVIVED
        assert (record.sequence, record.token) == (new, before.token)
        assert desk.dead() == []
        assert desk.retry(old) is None
        assert journal.own(0)
        assert [r.sequence for r in journal.take(0, 0, 9)] == [other, new]
        assert journal.backlog().bytes == sum(r.size for r in journal.take(0, 0, 9))


def test_a_letter_whose_key_was_written_since_is_not_tried_again_unless_forced(
    redis_url: str,
) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        (old,) = died(journal, "a")
        journal.accept([draft("a", b"newer")])
        with pytest.raises(LetterSuperseded):
            desk.retry(old)
        stored(journal)
        assert superseded(desk) == [True]
        with pytest.raises(LetterSuperseded):
            desk.retry(old)
        assert desk.retry(old, force=True)
        assert desk.dead() == []
        assert [r.payload for r in journal.take(0, 0, 9)] == [b"dead"]


def test_of_several_letters_of_a_key_those_before_a_stored_write_are_superseded(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        first, second = [died(journal, "a")[0] for _ in range(2)]
        journal.accept([draft("a")])
        stored(journal)
        third, fourth = [died(journal, "a")[0] for _ in range(2)]
        assert superseded(desk) == [True, True, False, False]
        assert desk.drop(third)
        assert desk.drop(first)
        assert superseded(desk) == [True, False]
        assert desk.retry(second, force=True)
        stored(journal)
        assert superseded(desk) == [True]
        assert desk.drop(fourth)
        assert redis_server.ask("EXISTS", f"{stem()}:dead", f"{stem()}:deadkeys") == 0


def test_a_full_journal_takes_a_letter_back(redis_url: str) -> None:
    with (
        opened(redis_url, bounds={"max_records": 1}) as journal,
        at_desk(redis_url) as desk,
    ):
        (old,) = died(journal, "a")
        journal.accept([draft("b")])
        assert desk.retry(old)
        assert journal.backlog().records == 2
