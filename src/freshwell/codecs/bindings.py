"""The codecs of types, kept: a codec is asked for one at every call that names a type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from freshwell.codecs.base import BoundCodec

__all__ = ["Bindings"]

_LIMIT: Final = 256


class Bindings:
    """Makes a bound codec once per type. Thread-safe; a race costs a second making.

    Types that are made anew at every call must not fill the memory: at 256 types it starts
    over. A type without a hash is bound at every call.
    """

    __slots__ = ("_known", "_make")

    def __init__(self, make: Callable[[Any], BoundCodec]) -> None:
        self._make = make
        self._known: dict[Any, BoundCodec] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, type_: Any) -> BoundCodec:
        """Return the codec bound to a type. Raises what making it raises."""
        try:
            known = self._known.get(type_)
        except TypeError:
            return self._make(type_)
        if known is not None:
            return known
        bound = self._make(type_)
        if len(self._known) >= _LIMIT:
            self._known.clear()
        self._known[type_] = bound
        return bound
