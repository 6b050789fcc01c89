"""A fresh copy of the lab's database for each contender, wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from freshwell.cli.lab.database import Where
from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.postgres import PostgreSQL, check_postgres
from freshwell.cli.lab.sqlite import SQLite
from freshwell.cli.lab.workload import Workload

__all__ = ["SQLITE", "check_database", "copies"]

SQLITE: Final = "sqlite"
"""What a database without a server is called where one is named."""

_SCHEMES: Final = ("postgresql://", "postgres://")


def check_database(database: str) -> None:
    """Raise `LabInputError`, in one sentence, unless the lab can have its tables there."""
    if database.startswith(_SCHEMES):
        check_postgres(database)
    elif database != SQLITE:
        # It is not repeated: it may hold a password.
        raise LabInputError(
            "--database is neither sqlite nor postgresql://user:password@host:port/database"
        )


def copies(
    database: str, folder: Path, workload: Workload, *, durable: bool
) -> Callable[[str], AbstractContextManager[Where]]:
    """Return a function that gives the contender of a name a database, until it has run.

    `durable`: what a file is to survive, as `SQLite` says; a server is as it is.
    """
    products, value_bytes = workload.distinct, workload.value_bytes
    if database != SQLITE:
        return lambda _: PostgreSQL.built(database, products=products, value_bytes=value_bytes)
    original = SQLite(folder / "original.db", durable)
    original.build(products=products, value_bytes=value_bytes)
    return lambda contender: original.copy(folder / f"{contender}.db")
