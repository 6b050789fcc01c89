"""Sealed and signed bytes: nothing is read that was changed, moved, or guarded in another way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell import CodecError, Compressed, ConfigurationError, Keyring, Sealed, Signed
from freshwell.codecs.base import Codec
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.pickle import PickleCodec
from freshwell.ground.frame import GUARDED as GUARDING
from freshwell.ground.frame import Flag
from tests.security.parts import KEYS, NEWER, OTHERS, bound, each_guard, keyring
from tests.support.examples import examples

KEY = b"fw:e:shop:user:1"
VALUE = {"token": "hush hush", "n": [1, 2, None]}

Make = Callable[[Keyring], Codec]


@each_guard
def test_what_was_written_comes_back(make: Make) -> None:
    codec = bound(make(KEYS))
    data = codec.encode(VALUE, KEY)
    assert codec.decode(data, KEY) == codec.decode(memoryview(data), KEY) == VALUE
    assert codec.flags == make(KEYS).flags  # type: ignore[attr-defined]
    assert codec.flags & GUARDING


@each_guard
@examples(60, deadline=None)
@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_found(make: Make, place: int, change: int) -> None:
    codec = bound(make(KEYS))
    data = bytearray(codec.encode(VALUE, KEY))
    data[place % len(data)] ^= change
    with pytest.raises(CodecError) as refused:
        codec.decode(bytes(data), KEY)
    assert refused.value.reason in ("not authentic", "unknown key", "unguarded", "truncated")


def test_the_same_changes_go_unseen_without_a_guard() -> None:
    codec, seen = bound(JsonCodec()), 0
    plain = codec.encode(VALUE, KEY)
    for place in range(len(plain)):
        data = bytearray(plain)
        data[place] ^= 1
        with contextlib.suppress(CodecError):
            seen += codec.decode(bytes(data), b"another key") != VALUE
    assert seen > 5


@each_guard
def test_bytes_that_are_cut_anywhere_are_found(make: Make) -> None:
    codec = bound(make(KEYS))
    data = codec.encode(VALUE, KEY)
    for end in range(len(data)):
        with pytest.raises(CodecError):
            codec.decode(data[:end], KEY)
    with pytest.raises(CodecError):
        codec.decode(data + b"\0", KEY)


@each_guard
@pytest.mark.parametrize(
    "moved",
    [b"fw:e:shop:user:2", b"fw:e:shop@2:user:1", b"fw:e:other:user:1", b"fw:e:shop:user:", b""],
)
def test_bytes_of_another_key_namespace_or_schema_version_are_found(
    make: Make, moved: bytes
) -> None:
    codec = bound(make(KEYS))
    with pytest.raises(CodecError) as refused:
        codec.decode(codec.encode(VALUE, moved), KEY)
    assert refused.value.reason == "not authentic"


@each_guard
def test_word_that_there_is_none_cannot_be_forged_or_moved(make: Make) -> None:
    codec = bound(make(KEYS))
    codec.check_absent(codec.encode_absent(KEY), KEY)
    value, absent = codec.encode(VALUE, KEY), codec.encode_absent(KEY)
    for data in (b"", value, codec.encode_absent(KEY + b"0"), absent[:-1], absent + b"0"):
        with pytest.raises(CodecError):
            codec.check_absent(data, KEY)
    with pytest.raises(CodecError):
        codec.decode(absent, KEY)


def test_what_one_algorithm_wrote_another_does_not_read() -> None:
    sealed, signed = bound(Sealed("json", KEYS)), bound(Signed("json", KEYS))
    pickled = bound(PickleCodec(b"0123456789abcdef"))
    plain = bound(JsonCodec())
    writers = {"sealed": sealed, "signed": signed, "pickled": pickled, "plain": plain}
    for writer in writers:
        data = writers[writer].encode(VALUE, KEY)
        for reader in writers:
            if reader != writer:
                with pytest.raises(CodecError):
                    writers[reader].decode(data, KEY)


def test_another_inner_codec_or_compression_is_another_seal() -> None:
    makes = (
        Sealed("json", KEYS),
        Sealed("msgpack", KEYS),
        Sealed(Compressed("json", threshold_bytes=10_000), KEYS, allow_compressed=True),
    )
    for writer in makes:
        data = bound(writer).encode(VALUE, KEY)
        for reader in makes:
            if reader is not writer:
                with pytest.raises(CodecError) as refused:
                    bound(reader).decode(data, KEY)
                assert refused.value.reason == "not authentic"


@each_guard
def test_keys_rotate(make: Make) -> None:
    old, both, new = (bound(make(keys)) for keys in (KEYS, NEWER, OTHERS))
    of_old, of_both = old.encode(VALUE, KEY), both.encode(VALUE, KEY)
    assert both.decode(of_old, KEY) == VALUE
    assert new.decode(of_both, KEY) == VALUE
    for codec, data in ((new, of_old), (old, of_both)):
        with pytest.raises(CodecError) as refused:
            codec.decode(data, KEY)
        assert refused.value.reason == "unknown key"


@each_guard
def test_another_key_under_the_same_id_is_found(make: Make) -> None:
    forged = Keyring({"old": bytes(range(100, 132))})
    with pytest.raises(CodecError) as refused:
        bound(make(KEYS)).decode(bound(make(forged)).encode(VALUE, KEY), KEY)
    assert refused.value.reason == "not authentic"


def test_the_id_of_the_key_is_covered_too() -> None:
    twins = keyring("aa", "bb")
    codec = bound(Signed("json", twins))
    data = codec.encode(VALUE, KEY)
    with pytest.raises(CodecError):
        codec.decode(data.replace(b"aa", b"bb", 1), KEY)


def test_no_nonce_comes_twice_and_equal_values_look_different() -> None:
    codec = bound(Sealed("json", KEYS))
    start = 2 + len("old")
    made = [codec.encode(VALUE, KEY) for _ in range(20_000)]
    assert len({data[start : start + 12] for data in made}) == len(made)
    assert len({data[start + 12 :] for data in made}) == len(made)


def test_sealed_bytes_tell_nothing_and_signed_bytes_can_be_read() -> None:
    assert b"hush" not in bound(Sealed("json", KEYS)).encode(VALUE, KEY)
    assert b"hush" in bound(Signed("json", KEYS)).encode(VALUE, KEY)


@each_guard
@examples(100, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_codec_error(make: Make, data: bytes) -> None:
    codec = bound(make(KEYS))
    guarded = bytes([1, 3]) + b"old" + data
    for forged in (data, guarded):
        with pytest.raises(CodecError):
            codec.decode(forged, KEY)
        with pytest.raises(CodecError):
            codec.check_absent(forged, KEY)


def test_a_codec_is_guarded_once() -> None:
    for make in (Sealed, Signed):
        for inner in (Sealed("json", KEYS), Signed("json", KEYS)):
            with pytest.raises(ConfigurationError, match="once is enough"):
                make(inner, KEYS)
    with pytest.raises(ConfigurationError, match="once is enough"):
        Signed(PickleCodec(b"0123456789abcdef"), KEYS)


def test_compression_inside_a_seal_must_be_asked_for() -> None:
    for given_ in ({}, {"allow_compressed": False}, {"allow_compressed": 1}):
        with pytest.raises(ConfigurationError, match="allow_compressed=True"):
            Sealed(Compressed("json"), KEYS, **given_)
    assert Sealed(Compressed("json"), KEYS, allow_compressed=True).flags == (
        Flag.SEALED | Flag.COMPRESSED
    )
    for inner in (Sealed("json", KEYS), Signed("json", KEYS), Compressed("json")):
        with pytest.raises(ConfigurationError, match="Put it inside"):
            Compressed(inner)


@pytest.mark.parametrize("make", [Sealed, Signed])
def test_what_is_no_codec_or_keyring_is_refused_and_not_repeated(make: Any) -> None:
    for inner in ("yaml", "pickle", None, JsonCodec):
        with pytest.raises(ConfigurationError, match=make.__name__):
            make(inner, KEYS)
    for keys in (None, b"secret secret secret secret secret", "secret", {"a": bytes(32)}):
        with pytest.raises(ConfigurationError, match="give a Keyring") as refused:
            make("json", keys)
        assert "secret" not in str(refused.value)
