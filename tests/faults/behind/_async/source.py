"""A table in PostgreSQL that is written behind, and a log of what it was given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

from freshwell import Batch
from freshwell._kit.aio import sleep
from tests.faults.behind.aio import connect
from tests.faults.behind.statements import LOAD, LOG, STORE, STORE_UNFENCED

__all__ = ["AT_ONCE", "COMMITTED", "UNCOMMITTED", "Moment", "Table"]

AT_ONCE, UNCOMMITTED, COMMITTED = "at once", "uncommitted", "committed"
"""How far a batch has come: just given; stored and not committed; committed and not settled."""

Moment = Callable[[str], Awaitable[None]]
"""Is told how far a batch has come, and may stay there."""

_PAUSE_S = 0.03
_PAUSES = 0.25


async def _pass(place: str) -> None:
    return None


class Table:
    """The source. With `fenced`, it keeps what it has against anything that is older.

    Log and table are one transaction. Safe for any number of tasks or threads.
    """

    def __init__(
        self, url: str, *, fenced: bool = True, moment: Moment = _pass, seed: int = 0
    ) -> None:
        self._url = url
        self._store = STORE if fenced else STORE_UNFENCED
        self._moment = moment
        self._random = Random(seed)
        self._idle: list[Any] = []

    async def load(self, id: int, /) -> str | None:
        return (await self.load_many([id])).get(id)

    async def load_many(self, ids: Sequence[int], /) -> dict[int, str]:
        async def ask(connection: Any) -> list[Any]:
            cursor = await connection.execute(LOAD, (list(ids),))
            rows: list[Any] = await cursor.fetchall()
            return rows

        return dict(await self._on_a_connection(ask))

    async def save_many(self, batch: Batch[int, str], /) -> None:
        # In an order that all flushers share: two of them must not wait for each other.
        writes = sorted(batch.writes, key=lambda write: write.id)
        ids = [write.id for write in writes]
        values = [write.value for write in writes]
        fences = [write.sequence for write in writes]
        tokens = [write.idempotency_id for write in writes]
        attempts = [write.attempt for write in writes]

        async def store(connection: Any) -> None:
            async with connection.transaction():
                cursor = await connection.execute(self._store, (ids, values, fences))
                applied = {row[0] for row in await cursor.fetchall()}
                was_applied = [id in applied for id in ids]
                columns = (ids, values, fences, tokens, attempts, was_applied)
                await connection.execute(LOG, columns)
                await self._moment(UNCOMMITTED)

        await self._moment(AT_ONCE)
        await self._on_a_connection(store)
        await self._moment(COMMITTED)
        if self._random.random() < _PAUSES:
            await sleep(self._random.uniform(0, _PAUSE_S))

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _on_a_connection(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = await connect(self._url)
        try:
            result = await work(connection)
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return result
