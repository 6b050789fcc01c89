"""Random tokens, drawn from the system many at a time.

Each call of the system lets go of the interpreter lock. In a process with a busy thread, such as
a journal's, getting it back may take a hundred times as long as the call.
"""

from __future__ import annotations

import os
import weakref
from typing import Final

__all__ = ["Tokens"]

_AT_ONCE: Final = 256


class Tokens:
    """Calling it returns so many random bytes, never the same, in no thread and no forked child.

    For telling things apart, not for secrets: what is to come lies in memory.
    """

    __slots__ = ("__weakref__", "_left", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._left: list[bytes] = []
        _all.add(self)

    def __call__(self) -> bytes:
        try:
            return self._left.pop()  # atomic
        except IndexError:
            size = self._size
            drawn = os.urandom(size * _AT_ONCE)
            self._left += [drawn[at : at + size] for at in range(size, len(drawn), size)]
            return drawn[:size]

    def forget(self) -> None:
        """Draw anew: what was drawn is another's."""
        self._left = []


_all: weakref.WeakSet[Tokens] = weakref.WeakSet()


def _after_fork() -> None:
    for tokens in list(_all):
        tokens.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
