"""What is written under an annotation comes back equal and of the same type, by every codec."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.codecs.base import Codec
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.msgpack import MsgpackCodec
from freshwell.codecs.pickle import PickleCodec
from tests.codecs import shapes
from tests.support.examples import examples

KEY = b"app:user:1"
TYPED: list[Codec] = [JsonCodec(), MsgpackCodec()]
ALL: list[Codec] = [*TYPED, PickleCodec("0123456789abcdef")]


def round_trip(codec: Codec, type_: Any, value: Any) -> Any:
    bound = codec.bind(type_)
    return bound.decode(bound.encode(value, KEY), KEY)


each_codec = pytest.mark.parametrize("codec", ALL, ids=lambda codec: codec.name)
each_typed = pytest.mark.parametrize("codec", TYPED, ids=lambda codec: codec.name)

numbers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(max_size=10)
moments = st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-5))]))
spans = st.timedeltas(dt.timedelta(days=-10_000), dt.timedelta(days=10_000))
prices = st.decimals(allow_nan=False, allow_infinity=False, places=2)
points = st.builds(shapes.Point, x=numbers, y=floats)
plain = st.recursive(
    st.none() | st.booleans() | numbers | floats | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)

TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "none": (None, st.none()),
    "bool": (bool, st.booleans()),
    "int": (int, numbers),
    "float": (float, floats),
    "str": (str, text),
    "bytes": (bytes, st.binary()),
    "datetime": (dt.datetime, moments),
    "naive datetime": (dt.datetime, st.datetimes()),
    "date": (dt.date, st.dates()),
    "time": (dt.time, st.times()),
    "timedelta": (dt.timedelta, spans),
    "uuid": (UUID, st.uuids()),
    "decimal": (Decimal, prices),
    "enum": (shapes.Colour, st.sampled_from(shapes.Colour)),
    "str enum": (shapes.Tone, st.sampled_from(shapes.Tone)),
    "int enum": (shapes.Level, st.sampled_from(shapes.Level)),
    "tuple": (tuple[int, str], st.tuples(numbers, text)),
    "long tuple": (tuple[float, ...], st.lists(floats).map(tuple)),
    "set": (set[str], st.sets(text)),
    "frozenset": (frozenset[int], st.frozensets(numbers)),
    "dict by int": (dict[int, list[str]], st.dictionaries(numbers, st.lists(text))),
    "dict by uuid": (dict[UUID, bool], st.dictionaries(st.uuids(), st.booleans())),
    "union": (int | str | None, st.none() | numbers | text),
    "optional": (Optional[shapes.Point], st.none() | points),  # noqa: UP045 - users write it
    "dataclass": (shapes.Point, points),
    "recursive dataclass": (
        shapes.Tree,
        st.recursive(
            st.builds(shapes.Tree, name=text, children=st.just([])),
            lambda inner: st.builds(shapes.Tree, name=text, children=st.lists(inner, max_size=3)),
            max_leaves=8,
        ),
    ),
    "struct": (shapes.Dog, st.builds(shapes.Dog, name=text, tricks=numbers)),
    "generic struct": (
        shapes.Tagged[shapes.Point],
        st.builds(shapes.Tagged, tag=text, item=points),
    ),
    "tagged union": (
        list[shapes.Cat | shapes.Fish],
        st.lists(
            st.builds(shapes.Cat, lives=numbers) | st.builds(shapes.Fish, name=text), max_size=4
        ),
    ),
    "typed dict": (shapes.Row, st.fixed_dictionaries({"id": numbers, "name": text})),
    "named tuple": (shapes.Pair, st.builds(shapes.Pair, left=numbers, right=text)),
    "everything": (
        shapes.Everything,
        st.builds(
            shapes.Everything,
            when=moments,
            day=st.dates(),
            clock=st.times(),
            span=spans,
            id=st.uuids(),
            price=prices,
            colour=st.sampled_from(shapes.Colour),
            level=st.sampled_from(shapes.Level),
            tone=st.sampled_from(shapes.Tone),
            raw=st.binary(),
            point=points,
            pair=st.builds(shapes.Pair, left=numbers, right=text),
            row=st.fixed_dictionaries({"id": numbers, "name": text}),
            either=st.none() | numbers | text,
            tags=st.frozensets(text),
            by_number=st.dictionaries(numbers, st.lists(points, max_size=3), max_size=3),
            corner=st.tuples(numbers, text, st.booleans()),
        ),
    ),
    "model": (
        shapes.User,
        st.builds(
            shapes.User,
            id=numbers,
            born=st.dates(),
            balance=prices,
            tags=st.sets(text),
            extra=plain,
        ),
    ),
    "models": (
        list[shapes.CatModel | shapes.DogModel] | None,
        st.none()
        | st.lists(
            st.builds(shapes.CatModel, lives=numbers)
            | st.builds(shapes.DogModel, tricks=st.lists(text))
        ),
    ),
    "models in a dataclass": (
        shapes.Household,
        st.builds(
            shapes.Household,
            users=st.lists(
                st.builds(
                    shapes.User,
                    id=numbers,
                    born=st.dates(),
                    balance=prices,
                    tags=st.just({"a"}),
                    extra=st.none(),
                ),
                max_size=2,
            ),
            pets=st.dictionaries(numbers, st.builds(shapes.CatModel, lives=numbers), max_size=2),
        ),
    ),
    "anything plain": (Any, plain),
    "dict of anything": (dict[str, Any], st.dictionaries(text, plain)),
    "bare list": (list, st.lists(plain)),
}


@each_codec
@pytest.mark.parametrize("name", TYPES)
@examples(40)
@given(data=st.data())
def test_a_value_of_the_annotated_type_comes_back_equal_and_of_its_type(
    codec: Codec, name: str, data: st.DataObject
) -> None:
    type_, values = TYPES[name]
    value = data.draw(values)
    back = round_trip(codec, type_, value)
    assert back == value
    assert type(back) is type(value)
