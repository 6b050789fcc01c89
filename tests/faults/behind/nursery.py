"""A process that has children, one after the other, and kills them.

The colours take turns: what one has left, the other goes on with.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import select
import signal
import time
import traceback
from random import Random
from typing import Any

from tests.faults.behind.life import AT_WORK, THERE, Life
from tests.faults.behind.orders import Orders
from tests.support.worker import Talk

__all__ = ["nursery"]

_COLOURS = ("_async", "_sync")
_PLACES = {"writer": ("",), "flusher": ("", "uncommitted", "committed")}
_LONGEST_S = 0.3
_GIVE_UP_S = 45.0


def nursery(
    talk: Talk, *, part: str, number: int, kills: int, seed: int, orders: dict[str, Any]
) -> int:
    """Have `kills` children and kill them, then one more until the test has heard enough.

    Returns how many were killed at a place where it hurts. Raises what a child raised.
    """
    lived = [
        getattr(importlib.import_module(f"tests.faults.behind.{colour}.parts"), part)
        for colour in _COLOURS
    ]
    random = Random(seed)
    told, places = Orders.heard(orders), _PLACES[part]
    talk.ready()
    hurt = 0
    for life in range(kills):
        # Each colour is killed at each place, and the processes begin with different ones.
        place = places[(life // 2 + number) % len(places)]
        child = _Child(lived[(life + number) % 2], told, random.randrange(2**32), place, number)
        child.wait_for(THERE if place else AT_WORK)
        if not place:
            time.sleep(random.uniform(0, _LONGEST_S))
        hurt += bool(place)
        child.kill()
    last = _Child(lived[(kills + number) % 2], told, random.randrange(2**32), "", number)
    talk.say("killed")
    talk.hear()
    last.kill()
    return hurt


class _Child:
    """A forked process that lives one life."""

    def __init__(self, live: Any, orders: Orders, seed: int, place: str, number: int) -> None:
        self._hearing, telling = os.pipe()
        self._heard = b""
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._hearing)
            os._exit(_lived(live, orders, seed, place, number, telling))
        os.close(telling)

    def wait_for(self, word: bytes) -> None:
        """Wait until the child has said a word."""
        until_s = time.monotonic() + _GIVE_UP_S
        while word not in self._heard:
            self._listen(max(0.0, until_s - time.monotonic()))

    def kill(self) -> None:
        """End it with SIGKILL. Raises where it has ended by itself."""
        os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        if not os.WIFSIGNALED(status):
            self._listen(0)
            raise AssertionError(f"a child ended by itself, with {status}")
        os.close(self._hearing)

    def _listen(self, timeout_s: float) -> None:
        ready, _, _ = select.select([self._hearing], [], [], timeout_s)
        if not ready:
            raise AssertionError("a child did nothing in time")
        said = os.read(self._hearing, 1 << 16)
        if not said or b"Traceback" in said:
            raise AssertionError(f"a child ended:\n{said.decode()}")
        self._heard += said


def _lived(live: Any, orders: Orders, seed: int, place: str, number: int, telling: int) -> int:
    try:
        life = Life(orders, seed, place, telling)
        if inspect.iscoroutinefunction(live):
            asyncio.run(live(life, number=number))
        else:
            live(life, number=number)
    except BaseException:  # noqa: BLE001 - whatever it is, the test is told
        os.write(telling, traceback.format_exc().encode())
        return 1
    return 0
