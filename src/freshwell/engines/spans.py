"""Where others may put a span around what takes time: a load, a read of L2, an invalidation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["Note", "Open", "Spans"]

Note = Callable[..., None]
"""Adds attributes to an open span, by name."""

Open = Callable[[str, Mapping[str, Any]], AbstractContextManager[Note]]
"""Opens a span of a name, with attributes."""


def _note_nothing(**attributes: Any) -> None:
    return None


_NOTHING: AbstractContextManager[Note] = nullcontext(_note_nothing)


class Spans:
    """The spans of one cache: none, until a door gives it a way to open them."""

    __slots__ = ("opener",)

    def __init__(self) -> None:
        self.opener: Open | None = None

    def __call__(self, name: str, **attributes: Any) -> AbstractContextManager[Note]:
        """Return a context to do something in, which gives a way to add attributes."""
        opener = self.opener
        return _NOTHING if opener is None else opener(name, attributes)
