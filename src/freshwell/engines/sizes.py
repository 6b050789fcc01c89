"""Estimate how much memory a value takes, at a bounded cost and without running its code.

Text and bytes are measured exactly. Of a container some items are looked at, and the rest is
taken to be like them. Of other objects the attributes are looked at, as the garbage collector
sees them. What is a rule of thumb anyway (shared parts, allocator overhead) is left out.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["estimate_bytes"]

_MAX_VISITS = 256
_MAX_SAMPLE = 32
_FLAT = frozenset({str, bytes, bytearray, int, float, complex, bool, type(None)})
"""Builtins without parts. The collector adds no header: `__sizeof__`, asked directly, is it all."""
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What many values refer to and none of them owns."""
_CONTAINERS: tuple[Any, ...] = (dict, list, tuple, set, frozenset, deque)


def estimate_bytes(value: object) -> int:
    """Return about how many bytes of memory `value` takes, its parts included.

    Looks at no more than 256 objects, whatever the size. Never raises, and calls no method of
    a user's class but `__sizeof__`; call it without holding a lock.
    """
    kind = type(value)
    if kind in _FLAT:
        return value.__sizeof__()
    if kind is dict:
        return _flat_record(value) or _Meter().measure(value)  # type: ignore[arg-type]
    return _Meter().measure(value)


def _flat_record(value: dict[Any, Any]) -> int:
    """Return the bytes of a small mapping of flat values and short lists of such, the usual row.

    0: it is not one. Its names are taken to be the same objects in all rows.
    """
    if len(value) > _MAX_SAMPLE:
        return 0
    total = sys.getsizeof(value)
    try:
        for key, item in value.items():
            if type(key) is not str:
                return 0
            if type(item) in _FLAT:
                total += item.__sizeof__()
            elif type(item) is not list or len(item) > _MAX_SAMPLE:
                return 0
            elif _FLAT.issuperset(map(type, item)):
                total += sys.getsizeof(item) + sum([part.__sizeof__() for part in item])
            else:
                return 0
    except RuntimeError:  # another thread changes it
        return 0
    return total


class _Meter:
    """One estimate under way: what it has seen, and how many looks it has left."""

    __slots__ = ("_left", "_seen")

    def __init__(self) -> None:
        self._left = _MAX_VISITS
        self._seen: set[int] = set()

    def measure(self, value: object) -> int:
        """Return the bytes of `value` and of what it refers to. Nothing is counted twice."""
        if self._left <= 0 or id(value) in self._seen:
            return 0
        self._left -= 1
        self._seen.add(id(value))
        own = _own_bytes(value)
        if type(value) in _FLAT or issubclass(type(value), _SHARED):
            return own
        return own + self._parts(value)

    def _parts(self, value: object) -> int:
        kind = next((kind for kind in _CONTAINERS if issubclass(type(value), kind)), None)
        if kind is dict:
            count = dict.__len__(value)  # type: ignore[arg-type]
            pairs = _taken(dict.items(value), self._share(count))  # type: ignore[arg-type]
            return self._extrapolated([part for pair in pairs for part in pair], 2 * count)
        if kind is not None:
            count = kind.__len__(value)
            return self._extrapolated(_taken(kind.__iter__(value), self._share(count)), count)
        parts = [part for part in gc.get_referents(value) if not issubclass(type(part), _SHARED)]
        return self._extrapolated(parts[: self._share(len(parts))], len(parts))

    def _share(self, count: int) -> int:
        """Return how many of `count` items to look at, so that some looks are left for others."""
        return min(count, _MAX_SAMPLE, max(1, self._left // 2))

    def _extrapolated(self, sample: list[Any], count: int) -> int:
        measured, looked_at = 0, 0
        for part in sample:
            if self._left <= 0:
                break
            measured += self.measure(part)
            looked_at += 1
        return measured * count // looked_at if looked_at else 0


def _own_bytes(value: object) -> int:
    # Types are asked for by `type` throughout: `__class__` may be a user's property.
    try:
        return max(sys.getsizeof(value), 0)
    except Exception:  # noqa: BLE001 - a user's __sizeof__ may raise anything
        return object.__sizeof__(value)


def _taken(items: Iterable[Any], count: int) -> list[Any]:
    """Return the first `count` items, or fewer where another thread changes the container."""
    taken: list[Any] = []
    with suppress(RuntimeError):
        taken.extend(islice(items, count))
    return taken
