"""What accepting a write does in Redis: the record, its order, its bounds, and its entry in L2."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell._sync.stores.base import Mark
from freshwell._sync.stores.redis import RedisStore
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell.errors import ConfigurationError
from freshwell.ground.frame import Frame, State, decode, tombstone_frame
from freshwell.ground.keys import digest8
from freshwell.ground.records import COUNT_BITS, Kind, Settled
from freshwell.ground.streams import shard_of
from tests.journals._sync.redis_parts import draft, entry_of, opened, stem
from tests.support.threads import all_of
from tests.support.servers import Server

KEY = b"fw:e:shop:a"


def test_what_is_accepted_comes_back_as_it_was(redis_url: str) -> None:
    with opened(redis_url) as journal:
        one = draft("a", b"\0\r\n\xff" * 100)
        two = draft("é:b", b"", Kind.DELETE)
        sequences = journal.accept([one, two])
        assert journal.own(0)
        records = journal.take(0, 0, 10)
        assert [record.sequence for record in records] == sequences == sorted(set(sequences))
        for record, written in zip(records, (one, two), strict=True):
            assert record[1:6] == written
            assert record.attempts == 0
            assert record.accepted_ms == record.sequence >> COUNT_BITS


def test_the_writes_of_one_call_are_accepted_in_order(redis_url: str) -> None:
    with opened(redis_url, shards=4) as journal:
        drafts = [draft(f"key:{n % 50}", b"%d" % n) for n in range(1_000)]
        sequences = journal.accept(drafts)
        assert len(set(sequences)) == 1_000
        for shard in range(4):
            assert journal.own(shard)
            records = journal.take(shard, 0, 2_000)
            own = [n for n, d in enumerate(drafts) if shard_of(d.name, 4) == shard]
            assert [int(record.payload) for record in records] == own
            assert [record.sequence for record in records] == [sequences[n] for n in own]


def test_no_two_records_of_a_journal_have_the_same_sequence(redis_url: str) -> None:
    with opened(redis_url, shards=8) as one, opened(redis_url, shards=8) as two:
        names = [f"key:{n}" for n in range(100)]
        given = all_of(
            *[partial(journal.accept, [draft(n)]) for n in names for journal in (one, two)]
        )
        assert len({sequence for (sequence,) in given}) == 200


def test_sequences_grow_though_the_clock_goes_back_and_the_count_runs_over(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, shards=2) as journal:
        name = next(n for n in map(str, range(99)) if shard_of(n, 2) == 1)
        ahead_ms = 2_100_000_000_000
        last = f"{ahead_ms}-{2**COUNT_BITS - 3}"
        redis_server.ask("HSET", f"{stem(1)}:about", "last", last)
        sequences = journal.accept([draft(name)] * 3)
        end = ahead_ms << COUNT_BITS
        assert sequences == [
            end | 2**COUNT_BITS - 1,
            end + 2**COUNT_BITS + 1,
            end + 2**COUNT_BITS + 3,
        ]
        assert journal.own(1)
        assert [r.sequence for r in journal.take(1, 0, 9)] == sequences
        assert [r.sequence for r in journal.take(1, sequences[0], 9)] == sequences[1:]


def test_a_shard_takes_so_many_records_and_bytes_and_no_more(redis_url: str) -> None:
    with opened(redis_url, bounds={"max_records": 3}) as journal:
        sequences = journal.accept([draft("a", b"%d" % n) for n in range(5)])
        assert [bool(sequence) for sequence in sequences] == [True, True, True, False, False]
        assert journal.own(0)
        assert [r.payload for r in journal.take(0, 0, 9)] == [b"0", b"1", b"2"]
    with opened(redis_url, bounds={"max_bytes": 12}) as journal:
        assert journal.accept([draft("a", b"12345")]) == [0]
        backlog = journal.backlog()
        assert (backlog.records, backlog.bytes) == (3, 3 * (1 + 3 + 1))


def test_what_is_behind_a_write_that_found_no_room_does_not_overtake_it(
    redis_url: str,
) -> None:
    with opened(redis_url, bounds={"max_bytes": 1_000}) as journal:
        drafts = [draft("a", b"first"), draft("a", b"x" * 999), draft("a", b"y")]
        assert [bool(sequence) for sequence in journal.accept(drafts)] == [True, False, False]
        (record,) = journal.latest(["a"])
        assert record is not None
        assert record.payload == b"first"


def test_one_shard_without_room_does_not_hold_up_another(redis_url: str) -> None:
    with opened(redis_url, shards=2, bounds={"max_records": 4}) as journal:
        ours, other = (next(n for n in map(str, range(99)) if shard_of(n, 2) == s) for s in (0, 1))
        sequences = journal.accept([draft(n) for n in (ours, ours, other, ours, other)])
        assert [bool(sequence) for sequence in sequences] == [True, True, True, False, True]
        assert journal.backlog().records == 4


def test_settled_records_make_room(redis_url: str, redis_server: Server) -> None:
    with opened(redis_url, bounds={"max_bytes": 10}) as journal:
        journal.accept([draft("a", b"123456")])
        assert journal.accept([draft("a")]) == [0]
        assert journal.own(0)
        (record,) = journal.take(0, 0, 9)
        assert journal.settle(0, Settled(stored=(record,))) == 0
        journal.accept([draft("a")])
        assert journal.backlog().bytes == 5


def test_the_newest_unsettled_write_of_an_entry_is_found(redis_url: str) -> None:
    with opened(redis_url, shards=4) as journal:
        journal.accept([draft("a", b"1"), draft("b", b"2"), draft("a", b"3")])
        found = journal.latest(["b", "none", "a", "b"])
        assert [None if r is None else r.payload for r in found] == [b"2", None, b"3", b"2"]
        assert journal.latest([]) == []


def frame_at(server: Server, key: bytes = KEY) -> Frame:
    frame = decode(server.ask("GET", key), digest8(key))
    assert isinstance(frame, Frame)
    return frame


def test_a_write_and_its_entry_appear_in_one_step(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, together=True) as journal:
        assert journal.together
        journal.accept([draft("a")], [entry_of(KEY, b"new")])
        frame = frame_at(redis_server)
        assert (frame.state, bytes(frame.payload)) == (State.VALUE, b"new")
        assert frame.fresh_until_ms - frame.born_ms == 60_000
        assert 0 < redis_server.ask("PTTL", KEY) <= 120_000
        (record,) = journal.latest(["a"])
        assert record is not None
        assert frame.born_ms == record.accepted_ms


def test_a_write_that_finds_no_room_leaves_no_entry(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, together=True, bounds={"max_records": 1}) as journal:
        other = b"fw:e:shop:b"
        entries = [entry_of(KEY), entry_of(other)]
        taken, refused = journal.accept([draft("a"), draft("b")], entries)
        assert taken > 0 == refused
        assert redis_server.ask("EXISTS", KEY, other) == 1
        assert redis_server.ask("EXISTS", KEY) == 1


def test_a_value_that_cannot_be_stored_leaves_a_tombstone(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, together=True) as journal:
        journal.accept([draft("a")], [entry_of(KEY)])
        journal.accept([draft("a")], [entry_of(KEY, b"", State.TOMBSTONE)])
        frame = frame_at(redis_server)
        assert frame.state is State.TOMBSTONE
        assert frame.fresh_until_ms == 0


def test_a_writers_intent_stays_and_is_told(redis_url: str, redis_server: Server) -> None:
    store = RedisStore(
        Link(Endpoint.of(redis_url), command_timeout_s=5),
        lease_ms=5_000,
        new_token=lambda: b"t" * 8,
    )
    store.announce([Mark(KEY, b"", 60_000)], b"writer01")
    with opened(redis_url, together=True) as journal:
        before = redis_server.ask("GET", KEY)
        assert before[7:8] == b"\0"
        journal.accept([draft("a")], [entry_of(KEY)])
        after = redis_server.ask("GET", KEY)
        assert after == before[:7] + b"\1" + before[8:]
        assert len([r for r in journal.latest(["a"]) if r]) == 1
    store.close()


def test_writes_of_many_callers_at_once_each_leave_their_own_entry(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, together=True, shards=4, bounds={"max_bytes": 2_000}) as journal:
        names = [f"key:{n}" for n in range(40)]
        large = bytes(600)
        given = all_of(
            *[
                partial(
                    journal.accept,
                    [draft(name, large if n == 7 else b"v")],
                    [entry_of(f"fw:e:shop:{name}".encode(), name.encode())],
                )
                for n, name in enumerate(names)
            ]
        )
        assert [n for n, (sequence,) in enumerate(given) if not sequence] == [7]
        for n, name in enumerate(names):
            key = f"fw:e:shop:{name}".encode()
            if n != 7:
                assert bytes(frame_at(redis_server, key).payload) == name.encode()
        assert not redis_server.ask("EXISTS", "fw:e:shop:key:7")


def test_an_entry_that_is_evicted_is_still_the_newest_write(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, together=True) as journal:
        journal.accept([draft("a", b"kept")], [entry_of(KEY)])
        redis_server.ask("DEL", KEY)
        (record,) = journal.latest(["a"])
        assert record is not None
        assert record.payload == b"kept"


def test_what_another_has_written_under_the_entrys_key_is_replaced(
    redis_url: str, redis_server: Server
) -> None:
    with opened(redis_url, together=True) as journal:
        redis_server.ask("LPUSH", KEY, "foreign")
        journal.accept([draft("a")], [entry_of(KEY)])
        assert frame_at(redis_server).state is State.VALUE
        redis_server.ask("SET", KEY, tombstone_frame(b"another"))
        journal.accept([draft("a")], [entry_of(KEY)])
        assert frame_at(redis_server).state is State.VALUE


@pytest.mark.parametrize("other", [{"shards": 3}, {"template": "order:{number}"}])
def test_a_journal_is_laid_out_once_and_for_all(
    redis_url: str, other: dict[str, object]
) -> None:
    with opened(redis_url, shards=2) as journal, opened(redis_url, shards=2) as same:
        journal.accept([draft("a")])
        same.accept([draft("a")])
        settings: dict[str, Any] = {"shards": 2} | other
        with opened(redis_url, **settings) as different:
            for call in (different.check, partial(different.accept, [draft("a")])):
                with pytest.raises(ConfigurationError, match="give the new ones another name"):
                    call()
            with pytest.raises(ConfigurationError, match="shards, template"):
                different.own(0)
        assert journal.backlog().records == 2
