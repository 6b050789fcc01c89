"""Ids come back from a journal as they were put."""

from __future__ import annotations

from enum import IntEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.errors import KeyRejected
from freshwell.ground.ids import decode_id, encode_id
from tests.support.examples import examples

SCALARS = (
    st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.binary() | st.uuids()
)


class Colour(IntEnum):
    RED = 1


@given(id=SCALARS | st.tuples(SCALARS, SCALARS) | st.tuples(SCALARS, st.tuples(SCALARS)))
@examples(200)
def test_an_id_comes_back_with_its_types(id: Any) -> None:
    back = decode_id(encode_id(id))
    assert back == id
    assert repr(back) == repr(id)


@given(one=SCALARS, other=SCALARS)
@examples(200)
def test_different_ids_are_written_differently(one: Any, other: Any) -> None:
    same = type(one) is type(other) and one == other
    assert (encode_id(one) == encode_id(other)) is same


@pytest.mark.parametrize(
    "id", [None, True, 1.5, Colour.RED, 10**101, [1], {"a": 1}, object(), (1, 2.5)]
)
def test_what_would_not_come_back_alike_is_refused(id: Any) -> None:
    with pytest.raises(KeyRejected, match="cannot be kept in a journal"):
        encode_id(id)


def test_an_id_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(KeyRejected):
        encode_id((((((1,),),),),))


@given(data=st.binary())
@examples(300)
def test_bytes_that_are_no_id_raise_one_error(data: bytes) -> None:
    try:
        decode_id(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"1.5", b"true", b"{}", b'{"u":"x"}', b'{"b":"x"}', b'{"a":1}', b'{"u":1}'],
)
def test_json_that_is_no_id_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode_id(data)


def test_an_id_is_text_that_people_can_read() -> None:
    assert encode_id(42) == b"42"
    assert encode_id("a b") == b'"a b"'
    assert encode_id((1, "x")) == b'[1,"x"]'
    assert encode_id(UUID(int=1)) == b'{"u":"00000000-0000-0000-0000-000000000001"}'


@pytest.mark.parametrize("id", ["x" * 70_000, b"x" * 40_000, tuple("x" for _ in range(20_000))])
def test_an_id_that_takes_too_many_bytes_is_refused(id: object) -> None:
    with pytest.raises(KeyRejected, match="65,536"):
        encode_id(id)
