"""Whatever bytes L2 gives, a codec answers with a value of the type or with `CodecError`."""

from __future__ import annotations

import enum
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshwell.codecs.base import Codec
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.msgpack import MsgpackCodec
from freshwell.codecs.pickle import PickleCodec
from freshwell.errors import CodecError
from tests.codecs import shapes
from tests.support.examples import examples

KEY = b"app:user:1"
CODECS: list[Codec] = [JsonCodec(), MsgpackCodec(), PickleCodec("0123456789abcdef")]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


class Angry(msgspec.Struct):
    """A class of a user whose own check raises what no decoder expects."""

    number: int

    def __post_init__(self) -> None:
        if self.number:
            raise KeyError("secret")


class Picky(enum.Enum):
    ONE = "one"

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise KeyError(value)


TYPES = [Any, int, str, dict[str, Any], shapes.Everything, shapes.Tree, shapes.User, Angry, Picky]
BOMBS = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"name":"a","children":[' * 50_000,
    b"\x91" * 100_000,
    b"\x81\xa1a" * 100_000,
    b"\x81\xa8children\x91" * 50_000,
    b"9" * 10_000,
    b"-" + b"9" * 10_000,
    b"1e99999",
    b'"' + b"\\ud800" * 100 + b'"',
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\xff",
    b"\xd6\xff\x00\x00\x00\x00",
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xff" * 40,
    b'{"number": 1}',
    b"\x81\xa6number\x01",
    b'"two"',
    b"\xa3two",
    b"",
]


def answer(codec: Codec, type_: Any, data: bytes | memoryview) -> None:
    try:
        codec.bind(type_).decode(data, KEY)
    except CodecError as error:
        refused = error
    else:
        return
    assert refused.__suppress_context__ or refused.__context__ is None
    assert "secret" not in str(refused)


@each_codec
@pytest.mark.parametrize("type_", TYPES, ids=str)
@examples(40)
@given(data=st.binary(max_size=200))
@example(data=b"")
def test_any_bytes_are_a_value_or_a_codec_error(codec: Codec, type_: Any, data: bytes) -> None:
    answer(codec, type_, data)
    answer(codec, type_, memoryview(data))


@each_codec
@pytest.mark.parametrize("type_", TYPES, ids=str)
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: repr(bomb[:12]))
def test_bombs_do_not_go_off(codec: Codec, type_: Any, bomb: bytes) -> None:
    answer(codec, type_, bomb)


@pytest.mark.parametrize("codec", CODECS[:2], ids=lambda codec: codec.name)
@given(value=st.recursive(st.none() | st.integers(0, 99) | st.text(), st.lists), data=st.data())
def test_torn_and_flipped_bytes_are_a_value_or_a_codec_error(
    codec: Codec, value: Any, data: st.DataObject
) -> None:
    written = bytearray(codec.bind(Any).encode(value, KEY))
    cut = data.draw(st.integers(0, len(written)))
    answer(codec, Any, bytes(written[:cut]))
    if written:
        place = data.draw(st.integers(0, len(written) - 1))
        written[place] ^= data.draw(st.integers(1, 255))
        answer(codec, Any, bytes(written))


@pytest.mark.parametrize("codec", CODECS[:2], ids=lambda codec: codec.name)
def test_bytes_of_another_type_are_no_value(codec: Codec) -> None:
    data = codec.bind(Any).encode({"name": 7}, KEY)
    for type_ in (int, list[int], shapes.Animal, shapes.User, shapes.Row):
        with pytest.raises(CodecError):
            codec.bind(type_).decode(data, KEY)


@each_codec
def test_a_frame_may_be_read_where_it_lies(codec: Codec) -> None:
    bound = codec.bind(shapes.User)
    value = shapes.CatModel() if codec.name == "pickle" else None
    given_value = value or shapes.User.model_validate({"id": 1, "born": "2026-01-01"})
    framed = b"header" + bound.encode(given_value, KEY)
    assert bound.decode(memoryview(framed)[6:], KEY) == given_value
