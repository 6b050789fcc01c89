"""How a load comes by its slot: it waits for its turn at the gate, or a load that has one lends it.

A load that waits for another (nested loads) does nothing else meanwhile, so one slot does for
both, whoever began the other. Otherwise loads that have all the slots could wait for one that
waits for a slot.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

__all__ = ["Turn"]


class Turn:
    """A flight's turn at the gate. Thread-safe; every method is short and never waits.

    `is_lent`: it needs no slot of its own.
    """

    __slots__ = ("_is_missed", "_mutex", "_wake", "is_lent")

    def __init__(self) -> None:
        self._mutex = Lock()
        self._wake: Callable[[], None] | None = None
        self._is_missed = False
        self.is_lent = False

    def lend(self) -> bool:
        """Let it go on in the slot of a load that is to wait for it. False: it was shed already."""
        with self._mutex:
            if not self._is_missed and not self.is_lent:
                self.is_lent = True
                if self._wake is not None:
                    self._wake()
            return self.is_lent

    def waits(self, wake: Callable[[], None] | None) -> None:
        """Note what ends its wait at a gate when it is lent a slot. None: it waits no more."""
        with self._mutex:
            self._wake = wake
            if wake is not None and self.is_lent:
                wake()

    def is_missed(self) -> bool:
        """Tell whether it is to be shed, having found no free slot. No slot is lent to it then."""
        with self._mutex:
            self._is_missed = not self.is_lent
            return self._is_missed
