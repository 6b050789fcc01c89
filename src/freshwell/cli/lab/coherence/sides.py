"""The two processes of the coherence view: one invalidates, the other reads from its L1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final, Protocol

from freshwell._async.cache import AsyncCache
from freshwell.cli.lab.coherence.board import Board, Plan, Word
from freshwell.cli.lab.crew import Parent, worker

__all__ = ["Reader", "Source", "read", "write"]

_READS_AFTER: Final = 16
"""How many more reads a round has after the new value was seen: none may be old."""
_PATIENCE_S: Final = 10.0
"""How much longer than `max_staleness` a round may wait for the reader."""
_POLL_S: Final = 0.001
_CHECK_EVERY: Final = 64


def write(plan: Plan, board_name: str, pipe: Connection) -> None:
    """Be the process that changes and invalidates. Sends None through `pipe` when all is done."""
    with worker(pipe):
        _with_board(plan, board_name, _write)
        pipe.send(None)


def read(plan: Plan, board_name: str, pipe: Connection) -> None:
    """Be the process that reads. Sends None through `pipe` when all is done."""
    with worker(pipe):
        _with_board(plan, board_name, _read)
        pipe.send(None)


class _Side(Protocol):
    def __call__(self, plan: Plan, board: Board) -> Coroutine[Any, Any, None]: ...


def _with_board(plan: Plan, board_name: str, side: _Side) -> None:
    board = Board(SharedMemory(board_name), plan)
    try:
        asyncio.run(side(plan, board))
    finally:
        board.close()


def _cache(plan: Plan) -> AsyncCache:
    return AsyncCache(
        plan.redis,
        namespace=plan.run,
        max_staleness=plan.max_staleness_s,
        max_entries=10 * plan.keys,
        beta=0,
        command_timeout=5,
    )


def _tag(plan: Plan, key: int) -> str:
    return f"category:{key % plan.tags}"


# -- the one that writes ------------------------------------------------------------------------


async def _write(plan: Plan, board: Board) -> None:
    parent, deadline_s = Parent(), time.monotonic() + plan.seconds
    async with _cache(plan) as cache:
        for number in range(1, plan.rounds + 1):
            if time.monotonic() >= deadline_s:
                break
            board.words[Word.ROUND] = number
            await _reached(plan, board, Word.WARM, number, parent)
            await _change(plan, board, cache, number)
            await _reached(plan, board, Word.SEEN, number, parent)
            reads = board.words[Word.READS] + _READS_AFTER
            await _reached(plan, board, Word.READS, reads, parent)
            board.words[Word.DONE] = number
    board.words[Word.ROUND] = Board.ENDED


async def _change(plan: Plan, board: Board, cache: AsyncCache, number: int) -> None:
    key = plan.key(number)
    board.values[key] = number
    if plan.kind(number) == "tag":
        await cache.invalidate_tags(_tag(plan, key))
    else:
        await cache.invalidate(f"k:{key}")
    board.acks_ns[number - 1] = time.monotonic_ns()


async def _reached(plan: Plan, board: Board, word: int, number: int, parent: Parent) -> None:
    patience_s = plan.max_staleness_s + _PATIENCE_S
    deadline_s = time.monotonic() + patience_s
    while board.words[word] < number:
        parent.check()
        if time.monotonic() > deadline_s:
            raise TimeoutError(
                f"the reading process served nothing new from L1 for {patience_s:g} s"
            )
        await asyncio.sleep(_POLL_S)


# -- the one that reads -------------------------------------------------------------------------


class Source(Protocol):
    """What the reader reads through, and how it knows that an answer came from L1."""

    async def read(self, key: int) -> int: ...

    def hits(self) -> int: ...


class _Cached:
    """The library, over the numbers on the board."""

    def __init__(self, plan: Plan, board: Board, cache: AsyncCache) -> None:
        self._cache = cache

        async def load(key: int) -> int:
            return board.values[key]

        self._load = load
        self._tags = [[_tag(plan, key)] if plan.tags else [] for key in range(plan.keys)]

    async def read(self, key: int) -> int:
        return await self._cache.get_or_load(
            f"k:{key}", lambda: self._load(key), tags=self._tags[key], type=int
        )

    def hits(self) -> int:
        return self._cache.stats().hits_l1


async def _read(plan: Plan, board: Board) -> None:
    async with _cache(plan) as cache:
        await Reader(plan, board, _Cached(plan, board, cache)).run()


class Reader:
    """Reads the key of each round for as long as the round lasts, and notes what was old."""

    def __init__(self, plan: Plan, board: Board, source: Source) -> None:
        self._plan = plan
        self._board = board
        self._source = source
        self._parent = Parent()

    async def run(self) -> None:
        """Read until the writer has ended. Raises `Orphaned` when the parent is gone."""
        words = self._board.words
        while (number := words[Word.ROUND]) != Board.ENDED:
            if number:
                await self._round(number)
            else:
                self._parent.check()
                await asyncio.sleep(_POLL_S)

    async def _round(self, number: int) -> None:
        board, words, key = self._board, self._board.words, self._plan.key(number)
        while words[Word.ROUND] == number:
            hits = self._source.hits() if words[Word.WARM] < number else 0
            began_ns = time.monotonic_ns()
            # In this order: what was acknowledged before the read began is known here.
            newest = board.values[key]
            value = await self._source.read(key)
            words[Word.READS] += 1
            if value < newest:
                board.olds_ns[newest - 1] = began_ns
                words[Word.STALE] += 0 < board.acks_ns[newest - 1] < began_ns
            if value == number:
                words[Word.SEEN] = number
            elif words[Word.WARM] < number and self._source.hits() > hits:
                words[Word.WARM] = number
            if words[Word.READS] % _CHECK_EVERY == 0:
                self._parent.check()
            # A hit does not suspend; the feed wants its turn.
            await asyncio.sleep(0)
