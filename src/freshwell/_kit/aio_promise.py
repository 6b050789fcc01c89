"""An answer that another thread gives to a waiting task (asyncio)."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

__all__ = ["Promise", "deliver_all"]

T = TypeVar("T")

_TICK_S = 0.25
"""How much later than asked for a wait may give up."""


class _Waiting:
    """The promises that are waited for in one event loop, and until when.

    One timer looks after all of them, while there are any: an own one for each would be a third
    of what accepting a write costs.
    """

    __slots__ = ("__weakref__", "_loop", "_ticks", "until_s")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weak: what is kept for a loop must not keep it.
        self._loop = weakref.ref(loop)
        self.until_s: dict[Promise[Any], float] = {}
        self._ticks = False

    def add(self, promise: Promise[Any], until_s: float) -> None:
        self.until_s[promise] = until_s
        if not self._ticks:
            self._ticks = True
            promise._loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        loop = self._loop()
        assert loop is not None
        now_s = loop.time()
        for promise in [one for one, until_s in self.until_s.items() if until_s <= now_s]:
            promise._settle(None, promise._late())
        self._ticks = bool(self.until_s)
        if self._ticks:
            loop.call_later(_TICK_S, self._tick)


_all_waiting: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Waiting] = (
    weakref.WeakKeyDictionary()
)
_lately: list[_Waiting] = []
"""Of the loop that asked last: nearly always there is one, and this is a tenth of looking it up."""


def _waiting_in(loop: asyncio.AbstractEventLoop) -> _Waiting:
    for waiting in _lately:
        if waiting._loop() is loop:
            return waiting
    found = _all_waiting.get(loop)
    if found is None:
        found = _all_waiting[loop] = _Waiting(loop)
    _lately[:] = (found,)
    return found


class Promise(Generic[T]):
    """One answer, for one waiter. Made by the waiter, kept from any thread.

    Belongs to the event loop in which it is made. Of several answers the first counts. One that
    comes when nobody waits any more, or when the loop is closed, is dropped.
    """

    __slots__ = ("_future", "_late", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()

    def deliver(self, value: T) -> None:
        """Give the answer. From any thread; never waits."""
        deliver_all([(self, value, None)])

    def fail(self, error: BaseException) -> None:
        """Have `wait` raise `error`. From any thread; never waits."""
        deliver_all([(self, None, error)])

    async def wait(self, timeout_s: float, late: Callable[[], Exception] = TimeoutError) -> T:
        """Return the answer, or raise it. Raises what `late` makes after `timeout_s` seconds.

        A fraction of a second later, in truth.
        """
        waiting = _waiting_in(self._loop)
        self._late = late
        waiting.add(self, self._loop.time() + timeout_s)
        try:
            return await self._future
        finally:
            del waiting.until_s[self]

    def _settle(self, value: T | None, error: BaseException | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(cast("T", value))
        else:
            self._future.set_exception(error)
            self._future.exception()  # nobody need be waiting: that is no mistake to log


_Answer = tuple[Promise[Any], Any, BaseException | None]


def deliver_all(answers: Sequence[_Answer]) -> None:
    """Give many answers: each a promise, its value, and its error or None. Never waits.

    Wakes each event loop once, however many of its promises there are.
    """
    loops: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for answer in answers:
        loop = answer[0]._loop
        its = loops.get(loop)
        if its is None:
            loops[loop] = [answer]
        else:
            its.append(answer)
    for loop, its in loops.items():
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle_all, its)


def _settle_all(answers: Sequence[_Answer]) -> None:
    for promise, value, error in answers:
        if error is None and not promise._future.done():  # nearly always
            promise._future.set_result(value)
        else:
            promise._settle(value, error)
