"""How a source opens its connections: the thread half. `aio` is the other."""

from __future__ import annotations

from typing import Any

import psycopg

__all__ = ["connect"]


def connect(url: str) -> psycopg.Connection[Any]:
    """Open a connection whose statements commit by themselves, but in a `transaction`."""
    return psycopg.connect(url, autocommit=True)
