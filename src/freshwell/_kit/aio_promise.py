"""An answer that another thread gives to a waiting task (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

__all__ = ["Promise", "deliver_all"]

T = TypeVar("T")


class Promise(Generic[T]):
    """One answer, for one waiter. Made by the waiter, kept from any thread.

    Belongs to the event loop in which it is made. Of several answers the first counts. One that
    comes when nobody waits any more, or when the loop is closed, is dropped.
    """

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()

    def deliver(self, value: T) -> None:
        """Give the answer. From any thread; never waits."""
        deliver_all([(self, value, None)])

    def fail(self, error: BaseException) -> None:
        """Have `wait` raise `error`. From any thread; never waits."""
        deliver_all([(self, None, error)])

    async def wait(self, timeout_s: float) -> T:
        """Return the answer, or raise it. Raises `TimeoutError` after `timeout_s` seconds."""
        # A quarter of what asyncio.timeout costs, and there is one of these for every write.
        late = self._loop.call_later(timeout_s, self._settle, None, TimeoutError())
        try:
            return await self._future
        finally:
            late.cancel()

    def _settle(self, value: T | None, error: BaseException | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(cast("T", value))
        else:
            self._future.set_exception(error)
            self._future.exception()  # nobody need be waiting: that is no mistake to log


def deliver_all(answers: Sequence[tuple[Promise[Any], Any, BaseException | None]]) -> None:
    """Give many answers: each a promise, its value, and its error or None. Never waits.

    Wakes each event loop once, however many of its promises there are.
    """
    loops: dict[
        asyncio.AbstractEventLoop, list[tuple[Promise[Any], Any, BaseException | None]]
    ] = {}
    for answer in answers:
        loops.setdefault(answer[0]._loop, []).append(answer)
    for loop, its in loops.items():
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle_all, its)


def _settle_all(answers: Sequence[tuple[Promise[Any], Any, BaseException | None]]) -> None:
    for promise, value, error in answers:
        promise._settle(value, error)
