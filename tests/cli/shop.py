"""A service that writes behind, as its own module defines it for `flush-worker`.

The environment says where its journal is, and where its source notes what it is called for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from freshwell import AsyncCache, AsyncWriteBehind, Batch, Cache, WriteBehind

__all__ = [
    "async_ended_elsewhere",
    "async_rows",
    "ended_elsewhere",
    "many",
    "mixed",
    "no_rows",
    "rows",
]

_FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))
_POLL_S = 0.005


class Notebook:
    """Notes the sequences it is given, before and after. Waits in between for the file `open`."""

    def load(self, id: Any, /) -> Any:
        return None

    def save_many(self, batch: Batch[Any, Any], /) -> None:
        self._note("begun", batch)
        while not (_FOLDER / "open").exists():
            time.sleep(_POLL_S)
        self._note("ended", batch)

    def _note(self, what: str, batch: Batch[Any, Any]) -> None:
        with (_FOLDER / what).open("a") as notes:
            notes.writelines(f"{write.sequence}\n" for write in batch.writes)


class AsyncNotebook:
    """The same, for a loop."""

    def __init__(self) -> None:
        self._notebook = Notebook()

    async def load(self, id: Any, /) -> Any:
        return self._notebook.load(id)

    async def save_many(self, batch: Batch[Any, Any], /) -> None:
        await asyncio.to_thread(self._notebook.save_many, batch)


_BEHIND: dict[str, Any] = {
    "key": "row:{}",
    "journal": os.environ.get("SHOP_JOURNAL", "memory"),
    "flusher": False,
    "flush_every": "10ms",
    "shards": 2,
    "batch": 2,
    "assume_durable": "SHOP_TRUSTS" in os.environ,
}
_URL = os.environ.get("SHOP_URL")

rows: WriteBehind[Any] = Cache(_URL, l1=_URL is None).write_behind(Notebook(), **_BEHIND)
async_rows: AsyncWriteBehind[Any] = AsyncCache(_URL, l1=_URL is None).write_behind(
    AsyncNotebook(), **_BEHIND
)


def many() -> list[WriteBehind[Any]]:
    """Give what a function gives."""
    return [rows]


def ended_elsewhere() -> WriteBehind[Any]:
    """Give one, and let a signal meet another thread than the main one, which sleeps by then."""
    threading.Thread(target=_end_elsewhere, daemon=True).start()
    return rows


def async_ended_elsewhere() -> AsyncWriteBehind[Any]:
    """The same, for a loop."""
    threading.Thread(target=_end_elsewhere, daemon=True).start()
    return async_rows


def _end_elsewhere() -> None:
    while not (_FOLDER / "open").exists():
        time.sleep(_POLL_S)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


mixed = [rows, async_rows]
no_rows = 7
