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
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What many values refer to and none of them owns."""


def estimate_bytes(value: object) -> int:
    """Return about how many bytes of memory `value` takes, its parts included.

    Looks at no more than 256 objects, whatever the size. Never raises, and calls no method of
    a user's class but `__sizeof__`; call it without holding a lock.
    """
    if value.__class__ in _FLAT:
        return sys.getsizeof(value)
    return _Meter().measure(value)


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
        if value.__class__ in _FLAT or isinstance(value, _SHARED):
            return own
        return own + self._parts(value)

    def _parts(self, value: object) -> int:
        if isinstance(value, dict):
            count = dict.__len__(value)
            sample: Iterable[Any] = _taken(dict.items(value), self._share(count))
            return self._extrapolated([part for pair in sample for part in pair], 2 * count)
        if isinstance(value, list | tuple | set | frozenset | deque):
            count = _length(value)
            return self._extrapolated(_taken(_items(value), self._share(count)), count)
        parts = [part for part in gc.get_referents(value) if not isinstance(part, _SHARED)]
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
    try:
        return sys.getsizeof(value)
    except Exception:  # noqa: BLE001 - a user's __sizeof__ may raise anything
        return object.__sizeof__(value)


def _length(value: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any] | deque[Any]) -> int:
    for kind in (list, tuple, set, frozenset, deque):
        if isinstance(value, kind):
            return kind.__len__(value)
    return 0


def _items(
    value: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any] | deque[Any],
) -> Iterable[Any]:
    for kind in (list, tuple, set, frozenset, deque):
        if isinstance(value, kind):
            return kind.__iter__(value)
    return ()


def _taken(items: Iterable[Any], count: int) -> list[Any]:
    """Return the first `count` items, or fewer where another thread changes the container."""
    taken: list[Any] = []
    with suppress(RuntimeError):
        taken.extend(islice(items, count))
    return taken
