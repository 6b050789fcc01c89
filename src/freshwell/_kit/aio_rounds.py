"""What many tasks ask for in one tick of the loop, done together (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Generic, TypeVar

__all__ = ["Rounds"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


class Rounds(Generic[K, T, R]):
    """Work that costs little more for many things than for one.

    `work` is given a key and things that were asked for under it, in that order, and returns a
    result for each, or the error to raise there. What it raises reaches all who asked for them.

    - Who asks by `run` while nothing is under way is served at once, alone: waiting for company
      would only cost time. What is asked for meanwhile, or by `join`, leaves at the end of the
      loop's tick, a round for each key. A round waits for no other.
    - Rounds are carried by tasks of their own. A caller that is cancelled takes nothing from the
      others; its own thing stays out where the round has not left yet.

    There are no more rounds than callers. Belongs to the event loop in which it is first used.
    """

    def __init__(
        self, work: Callable[[K, Sequence[T]], Awaitable[Sequence[R | Exception]]]
    ) -> None:
        self._work = work
        self._under_way = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.joining = 0
        """How many callers of `join` there are."""
        self._next: dict[K, list[tuple[T, asyncio.Future[R]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, key: K, thing: T) -> Awaitable[R]:
        """Return the result for a thing, or raise what the work raises.

        No coroutine where it leaves in a round: it would be one more for each of many to wake.
        """
        if not self._under_way:
            return self._alone(key, thing)
        return self._in_next(key, thing)

    async def join(self, key: K, thing: T) -> R:
        """Return the result for a thing by the next round, or raise what the work raises."""
        self.joining += 1
        try:
            return await self._in_next(key, thing)
        finally:
            self.joining -= 1

    def _in_next(self, key: K, thing: T) -> asyncio.Future[R]:
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        result: asyncio.Future[R] = loop.create_future()
        if not self._next:
            loop.call_soon(self._leave)
        self._next.setdefault(key, []).append((thing, result))
        return result

    async def _alone(self, key: K, thing: T) -> R:
        self._under_way += 1
        try:
            (own,) = await self._work(key, (thing,))
        finally:
            self._under_way -= 1
        if isinstance(own, Exception):
            raise own
        return own

    def _leave(self) -> None:
        rounds, self._next = self._next, {}
        loop = asyncio.get_running_loop()
        for key, asked in rounds.items():
            wanted = [(thing, result) for thing, result in asked if not result.done()]
            if wanted:
                task = loop.create_task(self._carry(key, wanted), name="freshwell:round")
                self._under_way += 1
                self._tasks.add(task)
                task.add_done_callback(partial(self._ended, wanted))

    async def _carry(self, key: K, asked: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            found = await self._work(key, [thing for thing, _ in asked])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers'
            for _, result in asked:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), own in zip(asked, found, strict=True):
            if result.done():
                continue
            if isinstance(own, Exception):
                result.set_exception(own)
            else:
                result.set_result(own)

    def _ended(
        self, asked: Sequence[tuple[T, asyncio.Future[R]]], task: asyncio.Task[None]
    ) -> None:
        self._under_way -= 1
        self._tasks.discard(task)
        if task.cancelled():  # the loop ends before its callers do
            for _, result in asked:
                result.cancel()
