"""Signed pickle: nothing is unpickled that was not signed for this key with our secret."""

from __future__ import annotations

import pickle
import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.codecs.base import Codec, resolve_codec
from freshwell.codecs.pickle import PickleCodec
from freshwell.errors import CodecError, ConfigurationError

KEY = b"app:user:1"
SECRET = "the old secret of the tests"
NEW_SECRET = b"the new secret of the tests"

went_off: list[str] = []


def go_off(name: str) -> str:
    went_off.append(name)
    return name


class Bomb:
    """Runs code wherever it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return go_off, ("bomb",)


def test_whatever_can_be_pickled_comes_back_as_it_was() -> None:
    bound = PickleCodec(SECRET).bind(int)
    value = {"a": (1, {2}, b"3", 4j), 5: frozenset({None})}
    assert bound.decode(bound.encode(value, KEY), KEY) == value


def test_what_cannot_be_pickled_is_refused_by_its_type_alone() -> None:
    with pytest.raises(CodecError, match="a function cannot be pickled"):
        PickleCodec(SECRET).bind(Any).encode(lambda: "secret", KEY)


@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_found_before_anything_runs(place: int, change: int) -> None:
    went_off.clear()
    bound = PickleCodec(SECRET).bind(Any)
    data = bytearray(bound.encode(Bomb(), KEY))
    data[place % len(data)] ^= change
    with pytest.raises(CodecError):
        bound.decode(bytes(data), KEY)
    assert went_off == []


@pytest.mark.parametrize("cut", [0, 1, 31, 32, 33, -1])
def test_a_torn_payload_does_not_run(cut: int) -> None:
    went_off.clear()
    bound = PickleCodec(SECRET).bind(Any)
    with pytest.raises(CodecError):
        bound.decode(bound.encode(Bomb(), KEY)[:cut], KEY)
    assert went_off == []


def test_an_unsigned_pickle_does_not_run() -> None:
    went_off.clear()
    bound = PickleCodec(SECRET).bind(Any)
    for data in (pickle.dumps(Bomb()), bytes(32) + pickle.dumps(Bomb())):
        with pytest.raises(CodecError):
            bound.decode(data, KEY)
    assert went_off == []


def test_an_entry_copied_to_another_key_does_not_run() -> None:
    went_off.clear()
    bound = PickleCodec(SECRET).bind(Any)
    data = bound.encode(Bomb(), KEY)
    with pytest.raises(CodecError):
        bound.decode(data, b"app:user:2")
    assert went_off == []
    assert bound.decode(data, KEY) == "bomb"
    assert went_off == ["bomb"]


def test_the_end_of_the_key_is_not_the_beginning_of_the_pickle() -> None:
    bound = PickleCodec(SECRET).bind(Any)
    data = bound.encode([1], KEY)
    signature, pickled = data[:32], data[32:]
    with pytest.raises(CodecError):
        bound.decode(signature + pickled[1:], KEY + pickled[:1])


def test_secrets_rotate() -> None:
    old, new = PickleCodec(SECRET), PickleCodec(NEW_SECRET)
    both = PickleCodec(NEW_SECRET, previous_secrets=[SECRET])
    of_old = old.bind(Any).encode("value", KEY)
    of_both = both.bind(Any).encode("value", KEY)
    assert both.bind(Any).decode(of_old, KEY) == "value"
    assert new.bind(Any).decode(of_both, KEY) == "value"
    for bound, data in ((new.bind(Any), of_old), (old.bind(Any), of_both)):
        with pytest.raises(CodecError):
            bound.decode(data, KEY)


def test_text_and_bytes_are_the_same_secret() -> None:
    data = PickleCodec(SECRET).bind(Any).encode("value", KEY)
    assert PickleCodec(SECRET.encode()).bind(Any).decode(data, KEY) == "value"


@pytest.mark.parametrize("secret", ["", b"", "short", b"x" * 15, None, 16, bytearray(32)], ids=repr)
def test_a_weak_secret_is_refused_and_not_repeated(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret") as refused:
        PickleCodec(secret)
    assert "short" not in str(refused.value)
    assert "xxx" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="previous_secrets"):
        PickleCodec(SECRET, previous_secrets=[secret])


@pytest.mark.parametrize("secrets", [SECRET, NEW_SECRET])
def test_previous_secrets_are_a_collection(secrets: Any) -> None:
    with pytest.raises(ConfigurationError, match="tuple"):
        PickleCodec(NEW_SECRET, previous_secrets=secrets)


def test_the_secret_is_in_no_repr_and_no_attribute() -> None:
    codec = PickleCodec(SECRET, previous_secrets=[NEW_SECRET])
    seen = repr(codec) + repr(vars(codec)) + repr(vars(codec.bind(Any)))
    assert SECRET not in seen
    assert NEW_SECRET.decode() not in seen
    assert "previous secrets: 1" in repr(codec)


def test_pickle_is_not_to_be_had_by_name() -> None:
    with pytest.raises(ConfigurationError, match="PickleCodec"):
        resolve_codec("pickle")
    codec = PickleCodec(SECRET)
    assert resolve_codec(codec) is codec
    assert isinstance(codec, Codec)


def test_a_pickle_of_code_that_is_gone_is_a_codec_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("gone_tomorrow")
    gone = type("Gone", (), {"__module__": "gone_tomorrow"})
    vars(module)["Gone"] = gone
    bound = PickleCodec(SECRET).bind(Any)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gone_tomorrow", module)
        data = bound.encode(gone(), KEY)
    with pytest.raises(CodecError, match="version of the code"):
        bound.decode(data, KEY)
