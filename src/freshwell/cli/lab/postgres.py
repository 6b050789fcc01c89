"""The lab's database on a PostgreSQL server, in a schema of its own that is dropped in the end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from freshwell.cli.lab.errors import LabInputError, LabRunError
from freshwell.cli.lab.products import CATEGORIES, REVIEWS_EACH, body_of

__all__ = ["PostgreSQL", "check_postgres"]

_CONNECT_S: Final = 5
_UNUSABLE: Final = (
    "--database: the URL cannot be used: write postgresql://user:password@host:port/database, "
    "with %40, %2F and the like for signs of the password"
)
_MAY_CREATE: Final = "SELECT has_database_privilege(current_database(), 'CREATE')"
_SCHEMA: Final = """
CREATE TABLE category (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE product (
    id integer PRIMARY KEY, category_id integer NOT NULL REFERENCES category (id),
    version integer NOT NULL, title text NOT NULL, body text NOT NULL
);
CREATE TABLE review (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id integer NOT NULL REFERENCES product (id), stars integer NOT NULL
);
CREATE INDEX review_product ON review (product_id);
"""
_ROWS: Final = (
    "INSERT INTO category SELECT i, 'category ' || i FROM generate_series(0, %(categories)s - 1) i",
    "INSERT INTO product SELECT i, i %% %(categories)s, 1, 'product ' || i, %(body)s "
    "FROM generate_series(0, %(products)s - 1) i",
    # The stars are those of `products.stars_of`.
    "INSERT INTO review (product_id, stars) SELECT i, 1 + (7 * i + 3 * nth) %% 5 "
    "FROM generate_series(0, %(products)s - 1) i, generate_series(0, %(reviews)s - 1) nth",
)


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """The tables in one schema of the database at `url`, which may hold a password."""

    url: str = field(repr=False)
    schema: str

    mark: ClassVar = "%s"
    connections: ClassVar = 8
    """How many a process has: a commit waits for the server's disk, and does so beside others."""

    def connect(self) -> Any:
        """Return a connection in which each statement is a transaction, for any thread."""
        connection = _connect(self.url)
        connection.execute(f"SET search_path TO {self.schema}")
        return connection

    @classmethod
    @contextmanager
    def built(
        cls, url: str, *, products: int, value_bytes: int, drop_s: float = 10
    ) -> Iterator[PostgreSQL]:
        """Give tables as those of `SQLite.build` in a new schema, and drop it in the end.

        Raises `LabRunError` where that cannot be. Where it could not be dropped, within `drop_s`
        because of others' locks, it says how to.
        """
        from psycopg import Error

        where = cls(url, f"freshwell_lab_{secrets.token_hex(6)}")
        try:
            try:
                where._build(products, value_bytes)
            except Error as error:
                raise LabRunError(f"--database: no tables could be made: {_line(error)}") from None
            yield where
        finally:
            where._drop(drop_s)

    def _build(self, products: int, value_bytes: int) -> None:
        values = {
            "categories": CATEGORIES,
            "products": products,
            "reviews": REVIEWS_EACH,
            "body": body_of(value_bytes),
        }
        with _connect(self.url) as connection, connection.transaction():
            connection.execute(f"CREATE SCHEMA {self.schema}")
            connection.execute(f"SET LOCAL search_path TO {self.schema}")
            connection.execute(_SCHEMA)
            for statement in _ROWS:
                connection.execute(statement, values)
            connection.execute("ANALYZE category, product, review")

    def _drop(self, limit_s: float) -> None:
        from psycopg import Error

        drop = f"DROP SCHEMA IF EXISTS {self.schema} CASCADE"
        try:
            with _connect(self.url) as connection:
                # A query of a process that was ended may still be under way on the server.
                connection.execute(f"SET lock_timeout = {round(1_000 * limit_s)}")
                connection.execute(drop)
        except Error as error:
            raise LabRunError(
                f"--database: the lab's tables may be left there: {_line(error)}: {drop}"
            ) from None


def check_postgres(url: str) -> None:
    """Raise `LabInputError`, in one sentence, unless the lab may create a schema at `url`."""
    try:
        from psycopg import Error, ProgrammingError
    except ImportError:
        raise LabInputError(
            '--database needs psycopg: pip install "freshwell[lab,postgres]"'
        ) from None
    if not _is_clear(url):
        raise LabInputError(_UNUSABLE)
    try:
        with _connect(url) as connection:
            allowed = connection.execute(_MAY_CREATE).fetchone()[0]
    except ProgrammingError:
        # What it says may show a part of the URL, and so of the password.
        raise LabInputError(_UNUSABLE) from None
    except Error as error:
        raise LabInputError(f"--database: no server lets the lab in: {_line(error)}") from None
    if not allowed:
        raise LabInputError(
            "--database: the user may not create a schema there: the lab needs one of its own"
        )


def _is_clear(url: str) -> bool:
    """Tell whether nobody could take a part of the password for that of an address.

    What is taken for an address is shown where it cannot be reached.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return url.count("@") == parts.netloc.count("@") <= 1


def _connect(url: str) -> Any:
    import psycopg

    return psycopg.connect(
        url, autocommit=True, connect_timeout=_CONNECT_S, application_name="freshwell lab"
    )


def _line(error: Exception) -> str:
    """Return the first line of what the server, or the driver, says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
