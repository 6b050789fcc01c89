"""Compressed bytes: smaller where they can be, and never larger than allowed when read back."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from freshwell import CodecError, Compressed, ConfigurationError, Sealed, Signed
from freshwell.codecs.base import narrowed
from tests.security.parts import KEYS, bound
from tests.support.examples import examples

KEY = b"k"
MB = 2**20


def test_what_repeats_becomes_smaller_and_comes_back() -> None:
    codec = bound(Compressed("json"))
    data = codec.encode(["again"] * 1_000, KEY)
    assert len(data) < 100
    assert codec.decode(memoryview(data), KEY) == ["again"] * 1_000


def test_small_and_random_values_stay_as_they_are() -> None:
    codec = bound(Compressed("msgpack"), bytes)
    random = os.urandom(5_000)
    for value in (b"", b"again" * 10, random):
        data = codec.encode(value, KEY)
        assert data[0] == 0
        assert len(data) <= len(value) + 4
        assert codec.decode(data, KEY) == value


def bomb(size: int, *, told: bool = True) -> bytes:
    """Return how `size` zeros look in compressed form."""
    made = zstandard.ZstdCompressor(level=3, write_content_size=told).compress(bytes(size))
    return b"\1" + made


@pytest.mark.parametrize("told", [True, False], ids=["tells its size", "tells no size"])
def test_a_bomb_is_not_inflated(told: bool) -> None:
    codec = bound(Compressed("json", max_bytes=MB))
    data = bomb(64 * MB, told=told)
    assert len(data) < 10_000
    with pytest.raises(CodecError) as refused:
        codec.decode(data, KEY)
    assert refused.value.reason == "too large"


def test_a_frame_that_lies_about_its_size_is_found() -> None:
    codec = bound(Compressed("json", max_bytes=MB))
    honest = bomb(64 * MB)
    params = zstandard.get_frame_parameters(honest[1:])
    size = params.content_size.to_bytes(4, "little")
    lying = honest.replace(size, (1_000).to_bytes(4, "little"), 1)
    assert zstandard.get_frame_parameters(lying[1:]).content_size == 1_000
    with pytest.raises(CodecError):
        codec.decode(lying, KEY)


def test_what_follows_a_frame_is_found() -> None:
    codec = bound(Compressed("json", threshold_bytes=0))
    data = codec.encode("again" * 100, KEY)
    for more in (b"\0", data[1:], zstandard.ZstdCompressor().compress(b"")):
        with pytest.raises(CodecError):
            codec.decode(data + more, KEY)


@examples(200, deadline=None)
@given(
    data=st.binary(max_size=300),
    mark=st.sampled_from([b"", b"\0", b"\1", b"\2", b"\1\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_are_a_codec_error_or_a_value(data: bytes, mark: bytes) -> None:
    codec = bound(Compressed("json", max_bytes=MB))
    with contextlib.suppress(CodecError):
        codec.decode(mark + data, KEY)


@examples(100, deadline=None)
@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_changed_byte_never_raises_anything_else(place: int, change: int) -> None:
    codec = bound(Compressed("json", threshold_bytes=0, max_bytes=MB))
    data = bytearray(codec.encode(["again", 7] * 50, KEY))
    data[place % len(data)] ^= change
    with contextlib.suppress(CodecError):
        codec.decode(bytes(data), KEY)


def test_larger_values_than_may_be_inflated_are_written_as_they_are() -> None:
    codec = bound(Compressed("json", max_bytes=2_000))
    for count in (1_900, 3_000):
        data = codec.encode("a" * count, KEY)
        assert data[0] == (count < 2_000)
        assert codec.decode(data, KEY) == "a" * count


def test_a_cache_narrows_the_bound_wherever_the_codec_stands() -> None:
    wide = Compressed("json", threshold_bytes=0)
    data = bound(wide).encode("a" * 5_000, KEY)
    for codec in (
        wide,
        Signed(wide, KEYS),
        Sealed(wide, KEYS, allow_compressed=True),
    ):
        made = bound(codec).encode("a" * 5_000, KEY)
        assert bound(narrowed(codec, 6_000)).decode(made, KEY) == "a" * 5_000
        with pytest.raises(CodecError) as refused:
            bound(narrowed(codec, 4_000)).decode(made, KEY)
        assert refused.value.reason == "too large"
    assert narrowed(wide, 2**30) is wide
    assert bound(wide).decode(data, KEY) == "a" * 5_000


def test_threads_share_a_codec() -> None:
    codec = bound(Compressed("json", threshold_bytes=0))

    def turn(number: int) -> bool:
        value = [number] * 500
        return bool(codec.decode(codec.encode(value, KEY), KEY) == value)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(400)))


BAD: dict[str, list[Any]] = {
    "threshold_bytes": [-1, 1.5, "1", None, True],
    "max_bytes": [0, -1, "1", 1.5],
    "level": [0, 20, "3", None, 1.0],
}


@pytest.mark.parametrize("option", BAD)
def test_a_bad_option_is_named(option: str) -> None:
    for value in BAD[option]:
        with pytest.raises(ConfigurationError, match=option):
            Compressed("json", **{option: value})
