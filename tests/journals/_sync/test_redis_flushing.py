"""Owning shards, taking their records and settling them, on a real server."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pytest

from freshwell.ground.records import Settled, ShardLost
from freshwell.ground.streams import sequence_text
from tests.journals._sync.redis_parts import at_desk, draft, opened, settled_as, stem
from tests.support.threads import until
from tests.support.servers import Server


def test_a_shard_has_one_owner_until_that_gives_it_back(redis_url: str) -> None:
    with opened(redis_url) as one, opened(redis_url) as two:
        assert one.own(0)
        assert not two.own(0)
        assert one.own(0)
        two.release([0])
        assert not two.own(0)
        one.release([0])
        assert two.own(0)
        assert not one.own(0)


def test_closing_gives_the_shards_back(redis_url: str, redis_server: Server) -> None:
    with opened(redis_url, shards=3) as one:
        for shard in range(3):
            assert one.own(shard)
    one.close()
    assert redis_server.ask("KEYS", "*:owner") == []
    assert redis_server.ask("KEYS", "*:flushers") == []


def test_the_shards_of_a_process_that_is_silent_go_to_another(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as dead, opened(redis_url) as heir:
        dead.accept([draft("a")])
        assert dead.own(0)
        taken = dead.take(0, 0, 9)
        assert 0 < redis_server.ask("PTTL", f"{stem()}:owner") <= 5_000
        redis_server.ask("PEXPIRE", f"{stem()}:owner", 1)
        until(lambda: redis_server.ask("EXISTS", f"{stem()}:owner") == 0, "it runs out")
        assert heir.own(0)
        assert heir.take(0, 0, 9) == taken


def test_who_has_lost_a_shard_can_neither_take_nor_settle(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as old, opened(redis_url) as new:
        old.accept([draft("a"), draft("b"), draft("c")])
        assert old.own(0)
        records = old.take(0, 0, 9)
        redis_server.ask("DEL", f"{stem()}:owner")
        for holds in (False, True):
            assert new.own(0) is True or not holds
            with pytest.raises(ShardLost):
                old.take(0, 0, 9)
            with pytest.raises(ShardLost):
                old.settle(0, settled_as(records, a="stored", b="failed", c="dead"))
        assert new.take(0, 0, 9) == records
        assert new.backlog().dead == 0


def test_control_without_the_owners_word_the_settlement_would_stand(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as old:
        old.accept([draft("a")])
        assert old.own(0)
        records = old.take(0, 0, 9)
        token = redis_server.ask("GET", f"{stem()}:owner")
        redis_server.ask("DEL", f"{stem()}:owner")
        # As if the script did not look at whose word it is.
        redis_server.ask("SET", f"{stem()}:owner", token)
        assert old.settle(0, settled_as(records, a="stored")) == 0
        assert old.backlog().records == 0


def test_processes_that_flush_have_equal_parts_of_the_shards(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, shards=5) as one, opened(redis_url, shards=5) as two:
        for shard in range(5):
            assert one.own(shard)

        def round_of(journal: object) -> int:
            return sum([journal.own(shard) for shard in range(5)])  # type: ignore[attr-defined]

        assert round_of(two) == 0
        held = 0
        for _ in range(10_000):  # one looks around every second
            held = round_of(one)
            if held == 3:
                break
        assert held == 3
        assert round_of(two) == 2
        assert redis_server.ask("ZCARD", "{fw:j:shop:orders}:flushers") == 2


def test_taking_goes_on_behind_a_sequence_and_changes_nothing(redis_url: str) -> None:
    with opened(redis_url) as journal:
        sequences = journal.accept([draft(str(n)) for n in range(600)])
        assert journal.own(0)
        first = journal.take(0, 0, 250)
        rest = journal.take(0, first[-1].sequence, 1_000)
        assert [record.sequence for record in first + rest] == sequences
        assert journal.take(0, sequences[-1], 10) == []
        assert journal.take(0, 0, 250) == first


def test_fewer_are_taken_where_they_are_large(redis_url: str) -> None:
    with opened(redis_url) as journal:
        for n in range(20):
            journal.accept([draft(str(n), b"x" * 1_000_000)])
        assert journal.own(0)
        found: list[str] = []
        after = 0
        while records := journal.take(0, after, 20):
            assert sum(record.size for record in records) < 6_000_000
            found += [record.name for record in records]
            after = records[-1].sequence
        assert found == [str(n) for n in range(20)]
    with at_desk(redis_url) as desk:
        assert [r.name for r in desk.pending()] == ["0", "1", "2", "3"]


def test_stored_records_are_gone_and_failed_ones_remember_their_attempts(
    redis_url: str,
) -> None:
    with opened(redis_url) as journal:
        journal.accept([draft("a"), draft("b"), draft("c")])
        assert journal.own(0)
        records = journal.take(0, 0, 9)
        tried = [record._replace(attempts=2) for record in records]
        assert journal.settle(0, settled_as(tried, a="stored", b="failed", c="failed")) == 0
        left = journal.take(0, 0, 9)
        assert [(record.name, record.attempts) for record in left] == [("b", 2), ("c", 2)]
        assert [r and r.name for r in journal.latest(["a", "b"])] == [None, "b"]
        assert journal.oldest() == [left[0].sequence]
        assert journal.newest() == [left[1].sequence]
        assert journal.settle(0, settled_as(left, b="stored", c="stored")) == 0
        assert journal.oldest() == journal.newest() == [0]


def test_an_older_write_that_is_stored_leaves_the_newer_the_newest(redis_url: str) -> None:
    with opened(redis_url) as journal:
        journal.accept([draft("a", b"old"), draft("a", b"new")])
        assert journal.own(0)
        old, new = journal.take(0, 0, 9)
        journal.settle(0, Settled(stored=(old,)))
        assert [r and r.payload for r in journal.latest(["a"])] == [b"new"]
        journal.settle(0, Settled(stored=(new,)))
        assert journal.latest(["a"]) == [None]


def test_nothing_is_left_behind_of_what_is_settled(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as journal:
        journal.accept([draft(str(n)) for n in range(1_000)])
        assert journal.own(0)
        records = journal.take(0, 0, 1_000)
        failed = tuple(record._replace(attempts=1) for record in records)
        assert journal.settle(0, Settled(failed=failed)) == 0
        assert redis_server.ask("HLEN", f"{stem()}:tries") == 1_000
        assert journal.settle(0, Settled(stored=failed)) == 0
        assert redis_server.ask("EXISTS", f"{stem()}:tries", f"{stem()}:latest") == 0
        assert journal.backlog().bytes == 0


def test_a_dead_record_becomes_a_letter_and_is_no_part_of_the_backlog(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        (sequence,) = journal.accept([draft("a", b"bad")])
        assert journal.own(0)
        (record,) = journal.take(0, 0, 9)
        record = record._replace(attempts=7)
        assert journal.settle(0, Settled(dead=((record, "refused: é"),))) == 0
        assert journal.take(0, 0, 9) == []
        assert journal.latest(["a"]) == [None]
        backlog = journal.backlog()
        assert (backlog.records, backlog.bytes, backlog.dead) == (0, 0, 1)
        (letter,) = desk.dead()
        assert letter == desk.letter(sequence)
        assert letter.record == record
        assert letter.reason == "refused: é"
        assert not letter.superseded
        seconds, _ = redis_server.ask("TIME")
        assert 0 <= int(seconds) - letter.died_ms // 1_000 < 60


def test_dead_letters_beyond_the_bound_stay_as_if_they_had_failed(redis_url: str) -> None:
    with opened(redis_url, bounds={"max_dead": 1}) as journal:
        journal.accept([draft("a"), draft("b")])
        assert journal.own(0)
        records = [r._replace(attempts=3) for r in journal.take(0, 0, 9)]
        assert journal.settle(0, settled_as(records, a="dead", b="dead")) == 0
        assert [(r.name, r.attempts) for r in journal.take(0, 0, 9)] == [("b", 3)]
        assert journal.backlog().dead == 1


def test_a_letter_is_superseded_once_a_later_write_of_its_key_is_stored(
    redis_url: str,
) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        journal.accept([draft("a"), draft("b")])
        assert journal.own(0)
        records = journal.take(0, 0, 9)
        journal.settle(0, settled_as(records, a="dead", b="dead"))
        journal.accept([draft("a")])
        assert [letter.superseded for letter in desk.dead()] == [False, False]
        journal.settle(0, settled_as(journal.take(0, 0, 9), a="stored"))
        assert [letter.superseded for letter in desk.dead()] == [True, False]


def test_what_is_not_there_any_more_is_counted(redis_url: str, redis_server: Server) -> None:
    with opened(redis_url) as journal:
        journal.accept([draft("a"), draft("b"), draft("c")])
        assert journal.own(0)
        records = journal.take(0, 0, 9)
        redis_server.ask("FLUSHALL")
        with pytest.raises(ShardLost):
            journal.settle(0, settled_as(records, a="stored", b="stored", c="stored"))
        assert journal.own(0)
        assert journal.settle(0, settled_as(records, a="stored", b="failed", c="dead")) == 3
        backlog = journal.backlog()
        assert (backlog.records, backlog.bytes, backlog.dead) == (0, 0, 0)


def test_records_that_cannot_be_read_are_taken_settled_and_gone(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        journal.accept([draft("a")])
        torn = [
            ("n", "a", "p", "rest"),
            ("x", b"\xff"),
            ("n", "a", "i", "1", "k", "none", "p", "v", "t", "t"),
            ("n", b"\xff", "i", "1", "k", "999999", "p", "v", "t", "t"),
        ]
        for n, fields in enumerate(torn):
            redis_server.ask("XADD", f"{stem()}:records", f"{2_100_000_000_000 + n}-0", *fields)
        assert journal.own(0)
        records = journal.take(0, 0, 9)
        assert [record.id for record in records[1:]] == [b""] * 4
        assert records[1].payload == b"n\0a\0p\0rest"
        journal.latest(["a"])
        dead = tuple((record, "torn") for record in records)
        assert journal.settle(0, Settled(dead=dead)) == 0
        assert journal.backlog().records == 0
        assert [letter.record for letter in desk.dead()] == records


def test_letters_that_cannot_be_read_are_shown_and_dropped(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url) as journal, at_desk(redis_url) as desk:
        journal.check()
        for n, data in enumerate([b"", b"short", bytes(200), b"\xff" * 200], start=1):
            redis_server.ask("HSET", f"{stem()}:dead", sequence_text(n), data)
        redis_server.ask("HSET", f"{stem()}:dead", "no number", "x")
        letters = desk.dead()
        assert [letter.reason for letter in letters] == ["the letter cannot be read"] * 4
        for letter in letters:
            assert desk.drop(letter.record.sequence)
        assert desk.dead() == []


def test_the_backlog_tells_the_age_of_its_oldest_by_the_servers_clock(redis_url: str) -> None:
    with opened(redis_url, shards=4) as journal:
        assert journal.backlog().oldest_age_s == 0.0
        journal.accept([draft(str(n)) for n in range(10)])
        first = journal.backlog()
        assert first.records == 10
        assert first.durability == "redis"
        second = journal.backlog()
        assert 0 <= first.oldest_age_s <= second.oldest_age_s < 60
