"""A lock for short sections of plain bookkeeping, which survives being interrupted.

Between any two steps of a section the interpreter may run foreign code in the same thread: a
finaliser, because the garbage collector woke up, or a signal's handler. When that code calls
back, a plain lock would deadlock, and a reentrant one would show it a structure half changed.
This guard tells the caller (`entered` is false), who leaves the work for `later`.

A section that ends by an exception (a handler that raises, such as Ctrl-C's) may have left the
structure half changed: it is then thrown away by `reset`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import RLock
from types import TracebackType

__all__ = ["Guard"]


class Guard:
    """``with guard as entered:`` is a section; `reset` empties the structure that it guards."""

    __slots__ = ("_busy", "_later", "_lock", "_nested", "_reset")

    def __init__(self, reset: Callable[[], object]) -> None:
        self._lock = RLock()
        self._busy = False
        self._nested = 0
        self._later: deque[Callable[[], object]] = deque()
        self._reset = reset

    def __enter__(self) -> bool:
        """Wait for other threads. Return False where this thread is inside a section already."""
        self._lock.acquire()
        if self._busy:
            self._nested += 1
            return False
        self._busy = True
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._nested:
                self._nested -= 1
            elif kind is not None:
                self._break_off()
            else:
                self._busy = False
                if self._later:
                    self._catch_up()
        finally:
            self._lock.release()

    def later(self, work: Callable[[], object]) -> None:
        """Have `work` done when the section that this thread is inside of has ended."""
        self._later.append(work)

    def _break_off(self) -> None:
        try:
            self._reset()
        finally:
            self._busy = False
            self._catch_up()

    def _catch_up(self) -> None:
        """Do what was left for later, all of it, and raise the first error of that."""
        while self._later:
            try:
                self._later.popleft()()
            except BaseException:
                self._catch_up()
                raise
