"""Arguments as calls have them, and when two of them are the same argument."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

HOSTILE = ",():=~%#.*?[]\\{}'\" \n\0ab01éü\U0001f600\ud800"
"""Characters that mean something in a key, or that a key must not have."""


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"


class Size(enum.IntEnum):
    ONE = 1
    TWO = 2


class Tone(enum.StrEnum):
    RED = "RED"
    ONE = "1"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


Odd = enum.Enum("Odd", {"a": 1, "a,n": 2, "a=n": 3, "a)": 4, "é": 5}, module=__name__)


@dataclasses.dataclass(frozen=True)
class Point:
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Place:
    x: Any
    y: Any


ZONES = (
    None,
    dt.UTC,
    dt.timezone(dt.timedelta(hours=1)),
    dt.timezone(dt.timedelta(hours=1, seconds=1)),
    ZoneInfo("UTC"),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("Europe/Paris"),
)

texts = st.text(st.sampled_from(HOSTILE), max_size=6) | st.text(max_size=6)
members = st.sampled_from([*Colour, *Size, *Tone, *Odd, *Right, Right(0), Right.READ | Right.WRITE])
scalars = (
    st.sampled_from([None, True, False, 0, 1, -1, 0.0, -0.0, 1.0, math.nan, math.inf, "", "1"])
    | st.integers()
    | st.floats()
    | texts
    | st.binary(max_size=4)
    | st.decimals().filter(lambda number: not number.is_snan())  # which nothing can hash
    | st.uuids()
    | st.datetimes(timezones=st.sampled_from(ZONES))
    | st.dates()
    | st.times(timezones=st.sampled_from(ZONES))
    | st.timedeltas()
    | members
)


def _hashable(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.tuples(inner)
        | st.tuples(inner, inner)
        | st.frozensets(inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Place, inner, inner)
    )


hashables = st.recursive(scalars, _hashable, max_leaves=4)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        _hashable(hashables)
        | st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashables, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.builds(Point, inner, inner)
    )


values = st.recursive(scalars, _nested, max_leaves=8)
arguments = st.lists(values, max_size=3).map(tuple)

tiny: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [None, True, 0, 1, 1.0, "", "1", "n", ",", "a,n", b"", b"\1", Odd["a"], Size.ONE]
    )
    | st.sampled_from(list(Odd)),
    lambda inner: st.lists(inner, max_size=2) | st.lists(inner, max_size=2).map(tuple),
    max_leaves=3,
)
"""Few and small, so that two draws are often the same argument or nearly so."""


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are the same argument: of one type, and alike all the way down.

    Equal floats are (0.0 and -0.0), and so are all NaNs. Decimals and moments are where they
    are written alike and have the same zone.
    """
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return bool(a == b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, Decimal):
        return bool(a.as_tuple() == b.as_tuple())
    if isinstance(a, dt.datetime | dt.time):
        return bool(_fields(a) == _fields(b))
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return _matched(list(a.items()), list(b.items()))
    if isinstance(a, set | frozenset):
        return _matched(list(a), list(b))
    if isinstance(a, Point | Place):
        return same((a.x, a.y), (b.x, b.y))
    return bool(a == b)


def _fields(moment: Any) -> tuple[Any, ...]:
    zone = moment.tzinfo
    return moment.replace(tzinfo=None), moment.fold, type(zone), zone


def _matched(left: list[Any], right: list[Any]) -> bool:
    """Tell whether each on the left has one on the right that is the same."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for item in left:
        at = next((n for n, other in enumerate(rest) if same(item, other)), None)
        if at is None:
            return False
        del rest[at]
    return True


def rewritten(value: Any) -> Any:
    """Return the same argument, built anew and in another order where order does not matter."""
    if isinstance(value, tuple):
        return tuple(rewritten(item) for item in value)
    if isinstance(value, list):
        return [rewritten(item) for item in value]
    if isinstance(value, dict):
        return {rewritten(key): rewritten(item) for key, item in reversed(value.items())}
    if isinstance(value, set | frozenset):
        return type(value)(rewritten(item) for item in reversed(list(value)))
    if isinstance(value, Point | Place):
        return type(value)(rewritten(value.x), rewritten(value.y))
    return -value if value.__class__ is float and value == 0 else value
