"""Sources that are tables: SQLAlchemy 2, on PostgreSQL and SQLite.

::

    users = cache.write_through(TableSource(engine, users_table), key="user:{}", ttl="5m")

Needs the extra ``freshwell[sqlalchemy]``, and the driver of the database.
"""

from __future__ import annotations

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401  # its absence is told in words
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        'freshwell.sqlalchemy needs SQLAlchemy: pip install "freshwell[sqlalchemy]"',
        name=_missing.name,
    ) from _missing

from freshwell.sqlalchemy.sources import AsyncTableSource, TableSource

__all__ = ["AsyncTableSource", "TableSource"]
