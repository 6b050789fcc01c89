"""The tables that table sources are tested with, and batches as write-behind makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    create_engine,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB

from freshwell.ground.batches import Batch, Write

__all__ = ["batch", "counted", "created", "kinds", "places", "rows_kinds", "said", "typed", "users"]

_everywhere = MetaData()
_postgresql = MetaData()
_numbers = count()

users = Table(
    "users",
    _everywhere,
    Column("id", BigInteger, primary_key=True),
    Column("name", String(30), nullable=False),
    Column("age", Integer),
    Column("number", Integer, default=lambda: next(_numbers)),
    Column("sequence", BigInteger),
    Column("deleted", Boolean),
)
places = Table(
    "places",
    _everywhere,
    Column("country", String(2), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, unique=True),
)
counted = Table(
    "counted",
    _everywhere,
    Column("id", BigInteger, primary_key=True),
    Column("name", String(30), nullable=False),
    Column("sequence", BigInteger),
    Column("deleted", Boolean),
    Column("changes", BigInteger, nullable=False),
)
kinds = Table(
    "kinds",
    _everywhere,
    Column("id", Uuid, primary_key=True),
    Column("data", JSON),
    Column("at", DateTime),
    Column("day", Date),
    Column("blob", LargeBinary),
    Column("flag", Boolean),
    Column("ratio", Float),
)
typed = Table(
    "typed",
    _postgresql,
    Column("id", Integer, primary_key=True),
    Column("data", JSON().with_variant(JSONB, "postgresql")),
    Column("at", DateTime(timezone=True)),
    Column("price", Numeric(20, 6)),
    Column("blob", LargeBinary),
    Column("code", String(4)),
)
rows_kinds = Table(
    "rows_kinds",
    _postgresql,
    Column("id", Integer, primary_key=True),
    Column("numbers", ARRAY(Integer)),
    Column("words", ARRAY(Text)),
    Column("mood", Enum("good", "bad", name="mood")),
)


def created(url: str) -> None:
    """Create the tables in an empty database."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
    _everywhere.create_all(engine)
    if engine.dialect.name == "postgresql":
        _postgresql.create_all(engine)
    engine.dispose()


def batch(*writes: tuple[Any, Any, int]) -> Batch[Any, Any]:
    """Return a batch of (id, value, sequence). A value of None deletes."""
    return Batch(
        [
            Write(id, value, sequence, f"{sequence:032x}", 1, deleted=value is None)
            for id, value, sequence in writes
        ]
    )


@contextmanager
def said(engine: Engine) -> Iterator[list[str]]:
    """Give the list of the statements that are sent from now on, each as often as it is sent."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
