"""Frames of released formats decode for ever, and damaged ones are refused without noise."""

from __future__ import annotations

import random

import pytest

from freshwell.ground.frame import (
    HEAD_BYTES,
    STAMP_BYTES,
    Frame,
    Rejected,
    State,
    decode,
    encode,
    intent_frame,
    lease_frame,
    plain_parts,
    plain_start,
    stamp_frame,
    stamp_of,
    stamps_in,
    tombstone_frame,
)
from freshwell.ground.keys import digest8
from tests.ground.golden import FOLDER, KEY, NAMES, expected, golden_bytes

DIGEST = digest8(KEY)
OTHER = digest8(b"fw:e:app:user:2")

each_golden = pytest.mark.parametrize("name", NAMES)


def body_start(name: str) -> int:
    return HEAD_BYTES + 16 * len(expected(name).stamps)


def test_every_golden_file_is_described_and_every_description_has_its_file() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.bin")) == NAMES


@each_golden
def test_a_golden_frame_decodes_for_ever(name: str) -> None:
    assert decode(golden_bytes(name), DIGEST) == expected(name)


@each_golden
def test_the_same_bytes_are_still_written(name: str) -> None:
    """Processes of two releases share entries: neither may write what the other cannot read."""
    frame = expected(name)
    written = encode(
        state=frame.state,
        digest=frame.digest,
        payload=bytes(frame.payload),
        flags=frame.flags,
        codec=frame.codec,
        token=frame.token,
        lease_until_ms=frame.lease_until_ms,
        fresh_until_ms=frame.fresh_until_ms,
        born_ms=frame.born_ms,
        cost_us=frame.cost_us,
        stamps=frame.stamps,
    )
    assert written == golden_bytes(name)


def test_the_frames_that_scripts_start_from_are_still_the_same() -> None:
    assert tombstone_frame(KEY) == golden_bytes("tombstone")
    lease = golden_bytes("lease")
    # A script writes the token and the deadline, which are bytes 8 to 24.
    assert lease_frame(KEY) == lease[:8] + bytes(16) + lease[24:]
    intent = golden_bytes("intent")
    assert intent_frame(KEY) == intent[:8] + bytes(16) + intent[24:]
    assert stamp_frame(KEY, bytes(range(1, 9)), "#users") == golden_bytes("stamp")


@each_golden
def test_a_frame_that_was_cut_anywhere_is_refused(name: str) -> None:
    data = golden_bytes(name)
    for length in range(len(data)):
        cut = decode(data[:length], DIGEST)
        assert cut is (Rejected.TRUNCATED if length < body_start(name) else Rejected.TORN)
        assert plain_parts(data[:length], plain_start(1), DIGEST) is None


@each_golden
def test_a_frame_whose_body_changed_in_any_bit_is_torn(name: str) -> None:
    data = golden_bytes(name)
    for at in range(HEAD_BYTES, len(data)):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
            assert decode(changed, DIGEST) is Rejected.TORN
            assert plain_parts(changed, plain_start(1), DIGEST) is None


@each_golden
def test_a_frame_under_another_key_is_refused(name: str) -> None:
    assert decode(golden_bytes(name), OTHER) is Rejected.OTHER_KEY


@each_golden
@pytest.mark.parametrize("version", [2, 3, 255])
def test_a_frame_of_a_newer_version_is_refused_whatever_its_rest_is(
    name: str, version: int
) -> None:
    data = bytearray(golden_bytes(name))
    data[2] = version
    assert decode(bytes(data), DIGEST) is Rejected.NEWER
    assert decode(bytes(data[:3]) + b"\xff" * 60, DIGEST) is Rejected.NEWER


@each_golden
def test_values_without_flags_are_read_the_short_way_as_the_long_way_reads_them(
    name: str,
) -> None:
    data, frame = golden_bytes(name), expected(name)
    start = plain_start(frame.codec)
    found = plain_parts(data, start, DIGEST)
    if frame.state is not State.VALUE or frame.flags:
        assert found is None
        return
    times = (frame.fresh_until_ms, frame.born_ms, frame.cost_us)
    assert found is not None
    assert (*found[:3], stamps_in(found[3]), found[4]) == (*times, frame.stamps, frame.payload)
    assert plain_parts(data, plain_start(frame.codec ^ 1), DIGEST) is None
    assert plain_parts(data, start, OTHER) is None
    assert plain_parts(data[:-1], start, DIGEST) is None
    for length in range(HEAD_BYTES + STAMP_BYTES * len(frame.stamps)):
        assert plain_parts(data[:length], start, DIGEST) is None


@each_golden
def test_versions_are_read_from_stamps_alone(name: str) -> None:
    data, frame = golden_bytes(name), expected(name)
    assert stamp_of(data, KEY) == (frame.token if frame.state is State.STAMP else None)
    assert stamp_of(data, b"another key") is None
    assert stamp_of(data[: HEAD_BYTES - 1], KEY) is None
    assert stamp_of(None, KEY) is None


FOREIGN = {
    "text": b"hello, world" * 10,
    "json": b'{"a": 1, "b": [1, 2, 3], "c": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}',
    "pickle": b"\x80\x05\x95" + b"\x00" * 60,
    "zeros": bytes(100),
    "magic turned round": b"wf" + bytes(60),
    "version zero": b"fw" + bytes(60),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=list(FOREIGN))
def test_bytes_of_others_are_refused(data: bytes) -> None:
    assert decode(data, DIGEST) is Rejected.FOREIGN


def test_nothing_at_all_is_refused() -> None:
    assert decode(b"", DIGEST) is Rejected.TRUNCATED


@pytest.mark.parametrize("state", [b"\x00", b"v", b"X", b"\xff"])
def test_an_unknown_state_is_refused(state: bytes) -> None:
    data = golden_bytes("value")
    assert decode(data[:3] + state + data[4:], DIGEST) is Rejected.BAD_STATE


@pytest.mark.parametrize("flags", [16, 32, 64, 128, 255])
def test_an_unknown_flag_is_refused(flags: int) -> None:
    """It may mean that the payload is not what it seems."""
    data = golden_bytes("value")
    assert decode(data[:4] + bytes([flags]) + data[5:], DIGEST) is Rejected.BAD_FLAGS


# -- fuzzing ----------------------------------------------------------------------------------

FUZZED = 100_000


def mutated(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(5)
        at = rng.randrange(len(found)) if found else 0
        if kind == 0 and found:
            found[at] = rng.randrange(256)
        elif kind == 1 and found:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            found[at:at] = rng.randbytes(rng.randint(1, 20))
        else:
            del found[at : at + rng.randint(1, 20)]
    return bytes(found)


def test_fuzzed_bytes_raise_nothing_and_are_never_a_value_of_another_key() -> None:
    rng = random.Random(20_250_615)
    frames = [golden_bytes(name) for name in NAMES]
    start = plain_start(1)
    seen: set[object] = set()
    for number in range(FUZZED):
        kind = number % 4
        if kind == 0:
            data = rng.randbytes(rng.randint(0, 120))
        elif kind == 1:
            data = b"fw\x01" + rng.randbytes(rng.randint(0, 120))
        else:
            data = mutated(frames[rng.randrange(len(frames))], rng)
        found = decode(data, DIGEST)
        seen.add(found.state if isinstance(found, Frame) else found)
        # Whatever was done to it, it names this key or none: to all others it is no frame.
        if isinstance(found, Frame):
            assert data[44:52] == DIGEST
        assert isinstance(decode(data, OTHER), Rejected)
        assert plain_parts(data, start, OTHER) is None
        plain_parts(data, start, DIGEST)
    assert seen == {*State, *Rejected}
