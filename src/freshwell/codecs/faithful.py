"""Whether a value that was written and read is still the same.

L1 keeps the value that the loader returned, L2 its bytes. Where the two would differ (a tuple
that comes back as a list), a caller's code would work on one process and fail on the next: so
what does not come back alike is never written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Final

__all__ = ["a_kind", "difference", "is_plain"]

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

# An int in a field for floats comes back as a float. Up to here that changes nothing.
_EXACT_IN_FLOAT: Final = 2**53


def is_plain(value: Any) -> bool:
    """Say whether a value is of text, numbers, None, lists and dicts, and of no kinds of them.

    Two such values that are equal are also alike, unless one has an int for the other's float.
    The value must not hold itself. Cost: one step per part, about 4 µs for a record of 1 KB.
    """
    parts = [value]
    for part in parts:
        kind = type(part)
        if kind in _SCALARS:
            continue
        if kind is dict:
            parts += part
            parts += part.values()
        elif kind is list:
            parts += part
        else:
            return False
    return True


def a_kind(value: Any) -> str:
    """Return the name of a value's type with its article: what messages call the value."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOaeiou' else 'a'} {name}"


def difference(value: Any, back: Any) -> str:
    """Say how what came back differs from what was written; empty where it is alike.

    Alike is: of the same types throughout, in the same order, and equal. An int may have become
    the float of the same value; NaN is like NaN. The answer names types and never holds values.
    """
    kind = type(value)
    if kind is not type(back):
        return _of_other_type(value, back)
    compare = _COMPARISONS.get(kind)
    if compare is not None:
        return compare(value, back)
    fields = _fields(value)
    if fields is None:
        return "" if value == back else f"{a_kind(value)} comes back as another"
    return _of_fields(value, back, fields)


def _of_other_type(value: Any, back: Any) -> str:
    if type(value) is int and type(back) is float and -_EXACT_IN_FLOAT <= value <= _EXACT_IN_FLOAT:
        return "" if value == back else "an int comes back as another number"
    return f"{a_kind(value)} comes back as {a_kind(back)}"


def _of_plain(value: Any, back: Any) -> str:
    return "" if value == back else f"{a_kind(value)} comes back as another"


def _of_floats(value: float, back: float) -> str:
    both_nan = value != value and back != back
    return "" if value == back or both_nan else "a float comes back as another"


def _of_items(value: Any, back: Any) -> str:
    if len(value) != len(back):
        return f"{a_kind(value)} comes back with another length"
    for item, item_back in zip(value, back, strict=True):
        # Most items are text; looking here saves a call for each.
        if type(item) is str and type(item_back) is str and item == item_back:
            continue
        if unlike := difference(item, item_back):
            return unlike
    return ""


def _of_mappings(value: dict[Any, Any], back: dict[Any, Any]) -> str:
    return _of_items(value, back) or _of_items(value.values(), back.values())


def _of_fields(value: Any, back: Any, fields: Iterable[str]) -> str:
    for name in fields:
        # A field may be unset on both.
        if unlike := difference(getattr(value, name, None), getattr(back, name, None)):
            return unlike
    return ""


def _fields(value: Any) -> Iterable[str] | None:
    """Return the names of a record's fields, or None where a value is no record."""
    kind = type(value)
    if hasattr(kind, "__struct_fields__"):
        names: tuple[str, ...] = kind.__struct_fields__
        return names
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if hasattr(kind, "__pydantic_validator__"):
        return ("__dict__", "__pydantic_extra__", "__pydantic_private__")
    return None


_COMPARISONS: Final[dict[type, Callable[[Any, Any], str]]] = {
    str: _of_plain,
    int: _of_plain,
    bool: _of_plain,
    type(None): _of_plain,
    bytes: _of_plain,
    float: _of_floats,
    list: _of_items,
    tuple: _of_items,
    dict: _of_mappings,
}
