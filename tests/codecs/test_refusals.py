"""What would come back as something else is refused when it is written, and says so."""

from __future__ import annotations

import collections
import datetime as dt
import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from freshwell.codecs.base import Codec, resolve_codec
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.msgpack import MsgpackCodec
from freshwell.errors import CodecError, ConfigurationError
from tests.codecs import shapes

KEY = b"app:user:1"
JSON, MSGPACK = JsonCodec(), MsgpackCodec()
each_codec = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.name)


class Text(str):
    """A text of its own class."""

    __slots__ = ()


UNFAITHFUL: dict[str, Any] = {
    "tuple": (1, 2),
    "set": {1},
    "frozenset": frozenset({"a"}),
    "bytearray": bytearray(b"a"),
    "date": dt.date(2026, 1, 1),
    "time": dt.time(1, 2),
    "timedelta": dt.timedelta(1),
    "decimal": Decimal("1.5"),
    "uuid": UUID(int=1),
    "enum": shapes.Colour.RED,
    "str enum": shapes.Tone.LOW,
    "int enum": shapes.Level.ONE,
    "dataclass": shapes.Point(1, 2.0),
    "struct": shapes.Animal("a"),
    "model": shapes.CatModel(),
    "named tuple": shapes.Pair(1, "a"),
    "ordered dict": collections.OrderedDict(a=1),
    "default dict": collections.defaultdict(int, a=1),
    "str subclass": Text("a"),
    "object": object(),
    "class": shapes.ForeignClass,
    "generator": iter([1]),
    "complex": 1j,
    "exception": ValueError("secret"),
    "lone surrogate": "\ud800",
    "str enum key": {shapes.Tone.LOW: 1},
}
UNFAITHFUL_IN_JSON: dict[str, Any] = {
    "bytes": b"a",
    "datetime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "nan": math.nan,
    "inf": math.inf,
    "int key": {1: "a"},
    "float key": {1.5: "a"},
    "date key": {dt.date(2026, 1, 1): 1},
    "uuid key": {UUID(int=1): 1},
    "enum key": {shapes.Colour.RED: 1},
    "none key": {None: 1},
    "bool key": {True: 1},
}


@each_codec
@pytest.mark.parametrize("type_", [Any, object, None], ids=["any", "object", "in a field"])
@pytest.mark.parametrize("name", UNFAITHFUL)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"a": [v]}], ids=["bare", "nested"])
def test_an_untyped_value_that_would_come_back_as_another_type_is_refused(
    codec: Codec, type_: Any, name: str, wrap: Callable[[Any], Any]
) -> None:
    value = wrap(UNFAITHFUL[name])
    if type_ is None:
        type_, value = shapes.Tagged[Any], shapes.Tagged("a", value)
    with pytest.raises(CodecError, match=r"annotate the function"):
        codec.bind(type_).encode(value, KEY)


@pytest.mark.parametrize("name", UNFAITHFUL_IN_JSON)
def test_json_refuses_what_json_has_no_word_for(name: str) -> None:
    with pytest.raises(CodecError):
        JSON.bind(Any).encode({"a": [UNFAITHFUL_IN_JSON[name]]}, KEY)


@pytest.mark.parametrize(
    "value",
    [
        b"a",
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        math.inf,
        {1: "a"},
        {None: 1},
        {b"a": {1.5: []}},
    ],
    ids=repr,
)
def test_msgpack_writes_untyped_what_it_has_types_for(value: Any) -> None:
    bound = MSGPACK.bind(Any)
    assert bound.decode(bound.encode(value, KEY), KEY) == value


def test_not_a_number_is_like_itself() -> None:
    bound = MSGPACK.bind(Any)
    (back,) = bound.decode(bound.encode([math.nan], KEY), KEY)
    assert math.isnan(back)


def test_json_keeps_large_integers_and_msgpack_refuses_them() -> None:
    bound = JSON.bind(Any)
    assert bound.decode(bound.encode(2**70, KEY), KEY) == 2**70
    with pytest.raises(CodecError):
        MSGPACK.bind(Any).encode(2**70, KEY)


@each_codec
def test_values_that_hold_themselves_are_refused(codec: Codec) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(CodecError):
        codec.bind(Any).encode(circle, KEY)


@each_codec
@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (int, "1"),
        (int, True),
        (str, 1),
        (str, None),
        (list[int], (1, 2)),
        (list[int], ["1"]),
        (tuple[int, int], [1, 2]),
        (set[int], [1]),
        (dict[str, int], {1: 1}),
        (dict[int, int], {"1": 1}),
        (dt.date, "2026-01-01"),
        (UUID, str(UUID(int=1))),
        (Decimal, "1.5"),
        (shapes.Colour, "red"),
        (shapes.Point, {"x": 1, "y": 2.0}),
        (shapes.Point, shapes.Point("1", 2.0)),  # type: ignore[arg-type]
        (shapes.Animal, shapes.Dog("a", 3)),
        (shapes.Row, {"id": 1, "name": "a", "more": 2}),
        (shapes.User, {"id": 1, "born": "2026-01-01"}),
        (shapes.User, shapes.Admin(id=1, born=dt.date(2026, 1, 1), rights=("all",))),
        (shapes.User, shapes.User.model_construct(id="1", born=dt.date(2026, 1, 1))),
        (list[shapes.User], (shapes.User(id=1, born=dt.date(2026, 1, 1)),)),
        (Sequence[int], (1, 2)),
        (shapes.Dog, shapes.Dog("a", None)),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_a_value_that_is_not_what_its_annotation_says_is_refused(
    codec: Codec, type_: Any, value: Any
) -> None:
    with pytest.raises(CodecError):
        codec.bind(type_).encode(value, KEY)


@each_codec
@pytest.mark.parametrize(
    ("type_", "value"),
    [(float, 1), (list[float], [1, 2.5]), (shapes.Point, shapes.Point(1, 2))],
    ids=repr,
)
def test_an_int_where_a_float_is_annotated_comes_back_equal(
    codec: Codec, type_: Any, value: Any
) -> None:
    bound = codec.bind(type_)
    assert bound.decode(bound.encode(value, KEY), KEY) == value


@each_codec
def test_an_int_beside_anything_may_come_back_as_its_float_unless_it_would_change(
    codec: Codec,
) -> None:
    bound = codec.bind(shapes.Measured)
    back = bound.decode(bound.encode(shapes.Measured(1, {"a": "b"}), KEY), KEY)
    assert back == shapes.Measured(1.0, {"a": "b"})
    with pytest.raises(CodecError):
        bound.encode(shapes.Measured(2**60 + 1, None), KEY)


@each_codec
def test_records_without_equality_are_compared_by_their_fields(codec: Codec) -> None:
    bound = codec.bind(list[shapes.Handle])
    (back,) = bound.decode(bound.encode([shapes.Handle(7)], KEY), KEY)
    assert back.number == 7
    with pytest.raises(CodecError):
        bound.encode([shapes.Handle("7")], KEY)  # type: ignore[arg-type]


@each_codec
def test_a_model_may_have_other_names_outside(codec: Codec) -> None:
    bound = codec.bind(shapes.Aliased)
    value = shapes.Aliased.model_validate({"userId": 7})
    assert bound.decode(bound.encode(value, KEY), KEY) == value


@each_codec
def test_a_refusal_names_types_and_never_values(codec: Codec) -> None:
    for value in (("secret",), {"secret": ("secret",)}, ValueError("secret"), {"secret"}):
        with pytest.raises(CodecError) as refused:
            codec.bind(Any).encode(value, KEY)
        assert "secret" not in str(refused.value)
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
    with pytest.raises(CodecError, match="a tuple comes back as a list"):
        codec.bind(Any).encode({"a": (1, 2)}, KEY)
    with pytest.raises(CodecError, match=r"^an object does not survive"):
        codec.bind(Any).encode(object(), KEY)


@each_codec
@pytest.mark.parametrize(
    "type_",
    [
        shapes.ForeignClass,
        list[shapes.ForeignClass],
        shapes.Tagged[shapes.ForeignClass],
        range,
        complex,
        Exception,
        Callable[[], int],
        Iterator[int],
        str | bytes,
        dict[str, shapes.ForeignClass | None],
        shapes.User | shapes.Animal,
        "int",
    ],
    ids=str,
)
def test_a_type_that_cannot_be_decoded_is_refused_when_it_is_bound(
    codec: Codec, type_: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"annotate with|pydantic cannot"):
        codec.bind(type_)


@pytest.mark.parametrize("key", [tuple[int, int], bool, None, frozenset[int], shapes.Point])
def test_json_refuses_types_of_keys_that_have_no_text(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="JSON has no mappings"):
        JSON.bind(list[dict[key, int]])


def test_msgpack_has_tuples_for_keys() -> None:
    bound = MSGPACK.bind(dict[tuple[int, int], str])
    value = {(1, 2): "a", (3, 4): "b"}
    assert bound.decode(bound.encode(value, KEY), KEY) == value


class Grumpy(msgspec.Struct, eq=False):
    number: int

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("secret")

    __hash__ = None  # type: ignore[assignment]


@each_codec
def test_a_value_whose_comparison_fails_is_refused(codec: Codec) -> None:
    with pytest.raises(CodecError):
        codec.bind(Grumpy).encode(Grumpy(1), KEY)


class StandIn:
    """Has what another has, as proxies do."""

    def __init__(self, other: object) -> None:
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)


def test_codecs_are_found_by_name() -> None:
    assert isinstance(resolve_codec("json"), JsonCodec)
    assert isinstance(resolve_codec("msgpack"), MsgpackCodec)
    assert resolve_codec(MSGPACK) is MSGPACK
    stand_in = StandIn(MSGPACK)
    assert resolve_codec(stand_in) is stand_in
    for wrong in ("pickle", "yaml", 7):
        with pytest.raises(ConfigurationError):
            resolve_codec(wrong)  # type: ignore[arg-type]
