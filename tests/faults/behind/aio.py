"""How a source opens its connections: the asyncio half. `threads` is the other."""

from __future__ import annotations

from typing import Any

import psycopg

__all__ = ["connect"]


async def connect(url: str) -> psycopg.AsyncConnection[Any]:
    """Open a connection whose statements commit by themselves, but in a `transaction`."""
    return await psycopg.AsyncConnection.connect(url, autocommit=True)
