"""One life of a process that is there to be killed, as the one who lives it sees it."""

from __future__ import annotations

import os
from random import Random

from tests.faults.behind.orders import Orders

__all__ = ["AT_WORK", "OWN_IDS", "SHARED_IDS", "THERE", "Life"]

OWN_IDS = 300
SHARED_IDS = 20
AT_WORK, THERE = b"w", b"t"
_MOST_PASSES = 4


class Life:
    """What one goes by. `ending`: the place to be killed at; empty: anywhere.

    Safe for any number of tasks or threads.
    """

    def __init__(self, orders: Orders, seed: int, ending: str, telling: int) -> None:
        self.orders = orders
        self.seed = seed
        self._ending = ending
        self._passes = Random(seed).randrange(_MOST_PASSES)
        self._telling = telling
        self._parent = os.getppid()
        self._begun = False

    @property
    def goes_on(self) -> bool:
        """Whether there is still somebody who would end it."""
        return os.getppid() == self._parent

    def begin(self) -> None:
        """Tell that something has been done."""
        if not self._begun:
            self._begun = True
            os.write(self._telling, AT_WORK)

    def ends_at(self, place: str) -> bool:
        """Tell whether to stay at this place, and wait there for the end."""
        if place != self._ending:
            return False
        self._passes -= 1
        if self._passes >= 0:
            return False
        os.write(self._telling, THERE)
        return True
