"""What is encoded is decoded: every field of a frame, at its bounds and between."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.frame import (
    HEAD_BYTES,
    NO_TOKEN,
    Flag,
    Frame,
    Rejected,
    State,
    decode,
    encode,
    plain_frame,
    plain_parts,
    plain_start,
    stamps_in,
)
from freshwell.ground.keys import digest8

DIGEST = digest8(b"fw:e:app:user:1")
eight = st.binary(min_size=8, max_size=8)
times = st.integers(0, 2**64 - 1)

fields = st.fixed_dictionaries(
    {
        "state": st.sampled_from(State),
        "digest": eight,
        "payload": st.binary(max_size=100),
        "flags": st.integers(0, 15),
        "codec": st.integers(0, 255),
        "token": eight,
        "lease_until_ms": times,
        "fresh_until_ms": times,
        "born_ms": times,
        "cost_us": st.integers(0, 2**32 - 1),
        "stamps": st.lists(st.tuples(eight, eight), max_size=5).map(tuple),
    }
)


@given(fields)
def test_a_frame_is_decoded_as_it_was_encoded(given_fields: dict[str, Any]) -> None:
    found = decode(encode(**given_fields), given_fields["digest"])
    assert isinstance(found, Frame)
    assert found._asdict() == given_fields


@given(fields, eight)
def test_a_frame_is_nothing_to_any_other_digest(given_fields: dict[str, Any], other: bytes) -> None:
    found = decode(encode(**given_fields), other)
    assert (found is Rejected.OTHER_KEY) == (other != given_fields["digest"])


@given(fields, st.integers(0, 255))
def test_the_short_way_reads_plain_values_of_its_codec_and_nothing_else(
    given_fields: dict[str, Any], codec: int
) -> None:
    data, digest = encode(**given_fields), given_fields["digest"]
    plain = (
        given_fields["state"] is State.VALUE
        and given_fields["codec"] == codec
        and not given_fields["flags"]
    )
    found = plain_parts(data, plain_start(codec), digest)
    assert (found is not None) == plain
    if found is not None:
        *times, stamps, payload = found
        assert times == [given_fields[name] for name in ("fresh_until_ms", "born_ms", "cost_us")]
        assert (stamps_in(stamps), payload) == (given_fields["stamps"], given_fields["payload"])


@given(st.integers(0, 255), st.integers(0, 15), eight, st.binary(max_size=300))
def test_the_short_way_writes_what_the_long_way_does(
    codec: int, flags: int, digest: bytes, payload: bytes
) -> None:
    data = plain_frame(plain_start(codec, flags), digest, payload)
    assert data == encode(
        state=State.VALUE, flags=flags, codec=codec, digest=digest, payload=payload
    )


@pytest.mark.parametrize("length", [0, 1, 4_039, 4_040, 4_041, 4_200, 20_000])
@pytest.mark.parametrize("stamps", [(), ((b"digest-1", b"stamp-01"),)])
def test_the_short_way_reads_payloads_of_any_length(length: int, stamps: Any) -> None:
    payload = bytes(range(256)) * (length // 256) + bytes(length % 256)
    data = encode(state=State.VALUE, codec=1, digest=DIGEST, stamps=stamps, payload=payload)
    found = plain_parts(data, plain_start(1), DIGEST)
    assert found is not None
    assert (stamps_in(found[3]), found[4]) == (stamps, payload)
    torn = data[:-1] + bytes([data[-1] ^ 1])
    assert (plain_parts(torn, plain_start(1), DIGEST) is None) == (torn != data)


@given(st.binary(max_size=150), eight)
def test_any_bytes_are_a_frame_of_their_own_key_or_refused(data: bytes, digest: bytes) -> None:
    found = decode(data, digest)
    assert isinstance(found, Rejected) or data[44:52] == digest


def test_the_payload_is_not_copied() -> None:
    data = encode(state=State.VALUE, digest=DIGEST, payload=b"x" * 100)
    found = decode(data, DIGEST)
    assert isinstance(found, Frame)
    assert found.payload.obj is data


def test_what_is_left_out_is_zero() -> None:
    data = encode(state=State.LEASE, digest=DIGEST)
    assert len(data) == HEAD_BYTES == 56
    assert decode(data, DIGEST) == Frame(
        State.LEASE, 0, 0, NO_TOKEN, 0, 0, 0, 0, DIGEST, (), memoryview(b"")
    )


def test_fields_are_where_scripts_expect_them() -> None:
    data = encode(
        state=State.VALUE,
        digest=b"DDDDDDDD",
        payload=b"payload",
        flags=Flag.SEALED,
        codec=7,
        token=b"TTTTTTTT",
        lease_until_ms=1,
        fresh_until_ms=2,
        born_ms=3,
        cost_us=4,
        stamps=((b"tagtagta", b"stampsta"),),
    )
    assert data[:8] == b"fw\x01V\x04\x07\x01\x00"
    assert data[8:16] == b"TTTTTTTT"
    assert [int.from_bytes(data[at : at + 8]) for at in (16, 24, 32)] == [1, 2, 3]
    assert int.from_bytes(data[40:44]) == 4
    assert data[44:52] == b"DDDDDDDD"
    assert int.from_bytes(data[52:56]) == crc32(data[56:])
    assert data[56:] == b"tagtagtastampstapayload"


@pytest.mark.parametrize("cost_us", [2**32, 2**40])
def test_a_cost_that_does_not_fit_is_the_largest_that_does(cost_us: int) -> None:
    found = decode(encode(state=State.VALUE, digest=DIGEST, cost_us=cost_us), DIGEST)
    assert isinstance(found, Frame)
    assert found.cost_us == 2**32 - 1


def test_an_entry_has_at_most_255_tags() -> None:
    stamps = ((b"t" * 8, b"s" * 8),) * 256
    found = decode(encode(state=State.VALUE, digest=DIGEST, stamps=stamps[:255]), DIGEST)
    assert isinstance(found, Frame)
    assert len(found.stamps) == 255
    with pytest.raises(ValueError, match="at most 255 tags, not 256"):
        encode(state=State.VALUE, digest=DIGEST, stamps=stamps)
