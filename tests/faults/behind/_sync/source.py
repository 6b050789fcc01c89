"""A table in PostgreSQL that is written behind, and a log of what it was given."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from freshwell import Batch
from freshwell._kit.threads import sleep
from tests.faults.behind.threads import connect
from tests.faults.behind.statements import LOAD, LOG, STORE, STORE_UNFENCED

__all__ = ["AT_ONCE", "COMMITTED", "UNCOMMITTED", "Moment", "Table"]

AT_ONCE, UNCOMMITTED, COMMITTED = "at once", "uncommitted", "committed"
"""How far a batch has come: just given; stored and not committed; committed and not settled."""

Moment = Callable[[str], None]
"""Is told how far a batch has come, and may stay there."""

_PAUSE_S = 0.03
_PAUSES = 0.25


def _pass(place: str) -> None:
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

    def load(self, id: int, /) -> str | None:
        return self.load_many([id]).get(id)

    def load_many(self, ids: Sequence[int], /) -> dict[int, str]:
        def ask(connection: Any) -> list[Any]:
            cursor = connection.execute(LOAD, (list(ids),))
            rows: list[Any] = cursor.fetchall()
            return rows

        return dict(self._on_a_connection(ask))

    def save_many(self, batch: Batch[int, str], /) -> None:
        # In an order that all flushers share: two of them must not wait for each other.
        writes = sorted(batch.writes, key=lambda write: write.id)
        ids = [write.id for write in writes]
        values = [write.value for write in writes]
        fences = [write.sequence for write in writes]
        tokens = [write.idempotency_id for write in writes]
        attempts = [write.attempt for write in writes]

        def store(connection: Any) -> None:
            with connection.transaction():
                cursor = connection.execute(self._store, (ids, values, fences))
                applied = {row[0] for row in cursor.fetchall()}
                was_applied = [id in applied for id in ids]
                columns = (ids, values, fences, tokens, attempts, was_applied)
                connection.execute(LOG, columns)
                self._moment(UNCOMMITTED)

        self._moment(AT_ONCE)
        self._on_a_connection(store)
        self._moment(COMMITTED)
        if self._random.random() < _PAUSES:
            sleep(self._random.uniform(0, _PAUSE_S))

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _on_a_connection(self, work: Callable[[Any], Any]) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._url)
        try:
            result = work(connection)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return result
