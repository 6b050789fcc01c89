"""Engines for tests that are written in async and twinned: the async half."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

__all__ = ["AnyEngine", "closed", "opened", "watched"]

AnyEngine = AsyncEngine

_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite+aiosqlite"}


def opened(url: str) -> AnyEngine:
    """Return an engine of this colour for the URL of a database."""
    kind, _, rest = url.partition(":")
    return create_async_engine(f"{_DRIVERS[kind]}:{rest}")


def watched(engine: AnyEngine) -> Engine:
    """Return what events of the engine are listened for at."""
    return engine.sync_engine


async def closed(engine: AnyEngine) -> None:
    """Close all connections of the engine."""
    await engine.dispose()
