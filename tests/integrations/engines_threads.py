"""Engines for tests that are written in async and twinned: the sync half."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine

__all__ = ["AnyEngine", "closed", "opened", "watched"]

AnyEngine = Engine

_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}


def opened(url: str) -> AnyEngine:
    """Return an engine of this colour for the URL of a database."""
    kind, _, rest = url.partition(":")
    return create_engine(f"{_DRIVERS[kind]}:{rest}")


def watched(engine: AnyEngine) -> Engine:
    """Return what events of the engine are listened for at."""
    return engine


def closed(engine: AnyEngine) -> None:
    """Close all connections of the engine."""
    engine.dispose()
