"""How a journal lies in Redis: what is written is read back, and whatever is there is read."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.records import COUNT_BITS, Draft, Kind, Record, sequence_of
from freshwell.ground.streams import (
    MAX_SHARDS,
    JournalKeys,
    JournalName,
    id_of,
    is_superseded,
    letter_in,
    ms_of,
    name_in,
    packed,
    record_in,
    sequence_in,
    sequence_text,
    shard_of,
    shard_of_sequence,
    told,
)

SEQUENCES = st.integers(0, 2**63 - 1)
RECORDS = st.builds(
    Record,
    SEQUENCES,
    st.text(st.characters(codec="utf-8")),
    st.binary(min_size=1),
    st.sampled_from([Kind.PUT, Kind.DELETE, Kind.PUT | Kind.REVIVED]),
    st.binary(),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**31),
)


@given(SEQUENCES)
def test_a_sequence_and_its_id_stand_for_each_other(sequence: int) -> None:
    assert sequence_in(id_of(sequence)) == sequence


@given(SEQUENCES, SEQUENCES)
def test_the_order_of_sequences_is_that_of_their_texts(one: int, other: int) -> None:
    assert (one < other) == (sequence_text(one) < sequence_text(other))


@given(RECORDS)
def test_a_record_is_read_back_from_a_stream(record: Record) -> None:
    draft = Draft(*record[1:6])
    name, id, _, payload, token, _ = told(draft)
    fields = [b"n", name, b"i", id, b"k", b"%d" % draft.kind, b"p", payload, b"t", token]
    read = record_in([id_of(record.sequence), fields], b"%d" % record.attempts)
    assert read == record._replace(accepted_ms=ms_of(record.sequence))


@given(RECORDS, st.text(st.characters(codec="utf-8")), st.integers(0, 2**42), st.booleans())
def test_a_letter_is_read_back(record: Record, reason: str, died_ms: int, gone: bool) -> None:
    data = died_ms.to_bytes(8, "big") + packed(record, reason)
    letter = letter_in(record.sequence, data, gone)
    assert letter.record == record._replace(accepted_ms=ms_of(record.sequence))
    assert letter[1:] == (reason, died_ms, gone)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_a_letter(data: bytes) -> None:
    assert letter_in(7, data).record.sequence == 7


@given(RECORDS, st.data())
def test_a_letter_that_is_cut_off_is_said_to_be(record: Record, data: st.DataObject) -> None:
    whole = bytes(8) + packed(record, "reason")
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert letter_in(7, cut).reason == "the letter cannot be read"


@given(st.lists(st.binary(max_size=5)), st.binary() | st.none() | st.integers())
def test_any_fields_are_read_as_a_record(fields: list[bytes], attempts: object) -> None:
    record = record_in([b"5-3", fields], attempts)
    assert record.sequence == sequence_of(5, 3)
    assert record.attempts >= 0
    assert record.id == b"" or b"i" in fields


@pytest.mark.parametrize("entry", [None, 1, [], [b"x", []], [None, []], [b"1-1", None], b"1-1"])
def test_what_is_no_entry_is_refused(entry: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        record_in(entry)


def test_all_keys_of_a_shard_lie_in_one_slot() -> None:
    keys = JournalKeys("shop", "orders")
    for number in (0, 7):
        tags = {key.partition(b"}")[0] for key in keys.shard(number)}
        assert tags == {b"{fw:j:shop:orders:%d" % number}
    assert len(set(keys.shard(1)) | {keys.about, keys.flushers}) == 9
    assert keys.about == b"{fw:j:shop:orders}:about"


def test_names_are_spread_over_the_shards_in_a_way_that_never_changes() -> None:
    assert [shard_of(name, 8) for name in ("a", "b", "é")] == [3, 1, 6]
    assert {shard_of(str(n), 8) for n in range(100)} == set(range(8))


def test_the_shard_of_a_sequence_is_in_its_count() -> None:
    assert shard_of_sequence(sequence_of(99, 3 + 5 * 8), 8) == 3


def test_a_letter_is_superseded_where_the_mark_is_younger_or_gone() -> None:
    mark = sequence_text(5) + b":2"
    assert [is_superseded(n, mark) for n in (4, 5, 6)] == [True, False, False]
    assert is_superseded(4, None)


def test_the_script_that_accepts_counts_as_far_as_a_sequence_does() -> None:
    text = files("freshwell.lua").joinpath("journal_accept.lua").read_text()
    (bound,) = re.findall(r"n > (\d+) then", text)
    assert int(bound) == 2**COUNT_BITS - 1
    assert MAX_SHARDS < 2**COUNT_BITS


@pytest.mark.parametrize("name", [("shop", "prices"), ("shop/reports", "a.b-c_d")])
def test_a_journal_is_named_by_its_keys(name: tuple[str, str]) -> None:
    keys = JournalKeys(*name)
    assert name_in(keys.about) == JournalName(*name)
    assert name_in(keys.shard(0).about) is None
    assert name_in(keys.flushers) is None


@given(st.binary())
def test_no_other_key_names_a_journal(key: bytes) -> None:
    for about in (key, b"{fw:j:" + key + b"}:about"):
        found = name_in(about)
        assert found is None or JournalKeys(*found).about == about
