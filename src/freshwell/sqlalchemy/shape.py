"""Which columns of a table are an id, a value, a fence: checked once, with no database asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    FromClause,
    Index,
    Integer,
    Table,
    UniqueConstraint,
)

from freshwell.errors import ConfigurationError, KeyRejected

__all__ = ["Shape", "shape_of"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What is what in a table, by the columns' keys in the table.

    `key`: what an id consists of. `value`: what a value consists of, the key among it.
    """

    table: Table
    key: tuple[str, ...]
    value: tuple[str, ...]
    fence: str | None
    deleted: str | None
    version: str | None

    @property
    def key_columns(self) -> list[Column[Any]]:
        return [self.table.c[name] for name in self.key]

    def parts(self, id: Any) -> tuple[Any, ...]:
        """Return what the key's columns are for an id. Raises `KeyRejected`."""
        if len(self.key) == 1:
            return (id,)
        if not isinstance(id, tuple) or len(id) != len(self.key):
            raise KeyRejected(
                f"an id of table {self.table.name!r} is a tuple of {', '.join(self.key)}"
            )
        return id

    def id(self, row: Mapping[str, Any]) -> Any:
        """Return the id of a row."""
        parts = tuple(row[name] for name in self.key)
        return parts if len(parts) > 1 else parts[0]

    def row(self, id: Any, given: Any) -> dict[str, Any]:
        """Return the row that makes `given` the value of `id`.

        Raises `ConfigurationError`: it is no mapping, lacks a column, has one too many, or says
        another id.
        """
        if not isinstance(given, Mapping):
            raise ConfigurationError(
                f"a value for table {self.table.name!r} is of type {type(given).__name__}: "
                "give mappings of columns to values, or to_row and from_row that make them"
            )
        key = dict(zip(self.key, self.parts(id), strict=True))
        row = {**given, **key}
        if row.keys() != set(self.value):
            wrong = ", ".join(sorted(map(str, row.keys() ^ set(self.value))))
            raise ConfigurationError(
                f"a value for table {self.table.name!r} lacks columns, or has others than "
                f"{', '.join(self.value)}: see {wrong}. Give all, or say which by columns="
            )
        if any(name in given and given[name] != part for name, part in key.items()):
            raise ConfigurationError(
                f"a value for table {self.table.name!r} has another id than it is saved by"
            )
        return row


def shape_of(
    table: FromClause,
    dialect: str,
    *,
    key: str | Sequence[str] | None,
    columns: Collection[str] | None,
    fence: str | None,
    deleted: str | None,
    version: str | None,
) -> Shape:
    """Return the shape of a table. Raises `ConfigurationError`, naming what to do."""
    if not isinstance(table, Table):
        raise ConfigurationError(
            f"the table is of type {type(table).__name__}: give a sqlalchemy.Table; that of a "
            "mapped class is its __table__"
        )
    names = _key(table, key)
    given = [name for name in (fence, deleted, version) if name is not None]
    own = set(given)
    if len(own) < len(given):
        raise ConfigurationError("fence, deleted and version are to be columns of their own")
    if fence is not None:
        _check_fence(table, fence, dialect)
    if version is not None:
        _check_counts(table, version, "version", dialect)
    if deleted is not None and not isinstance(_column(table, deleted, "deleted").type, Boolean):
        raise ConfigurationError(f"deleted={deleted!r}: that column is to be a Boolean")
    writable = [c.key for c in table.c if c.computed is None and c.key not in own]
    for name in columns or ():
        _column(table, name, "columns")
        if name not in writable:
            raise ConfigurationError(
                f"columns: {name!r} is computed, the fence, the version or the mark of deletion, "
                "and so it is no part of a value"
            )
    if not set(names) <= set(writable):
        raise ConfigurationError(
            "the key's columns can be neither fence nor deleted nor version nor computed"
        )
    value = [c for c in writable if columns is None or c in columns or c in names]
    return Shape(table, names, tuple(value), fence, deleted, version)


def _column(table: Table, name: str, option: str) -> Column[Any]:
    found: Column[Any] | None = table.c.get(name)
    if found is None:
        raise ConfigurationError(
            f"{option}: table {table.name!r} has no column {name!r}; it has "
            f"{', '.join(table.c.keys())}"
        )
    return found


def _key(table: Table, key: str | Sequence[str] | None) -> tuple[str, ...]:
    primary = tuple(column.key for column in table.primary_key)
    if key is None:
        if not primary:
            raise ConfigurationError(
                f"table {table.name!r} has no primary key: name the columns of one that is "
                "unique by key="
            )
        return primary
    names = (key,) if isinstance(key, str) else tuple(key)
    wanted = {_column(table, name, "key").key for name in names}
    if wanted not in _uniques(table):
        raise ConfigurationError(
            f"key={key!r}: nothing says that these columns are unique in table {table.name!r}. "
            "Give it a UniqueConstraint, without which nothing can be written by them"
        )
    return names


def _uniques(table: Table) -> list[set[str]]:
    constraints = [
        {column.key for column in constraint.columns}
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    indexes = [{c.key for c in index.columns} for index in table.indexes if _holds_for_all(index)]
    return [{column.key for column in table.primary_key}, *constraints, *indexes]


def _holds_for_all(index: Index) -> bool:
    """Tell whether an index makes its columns unique: not some rows only, nor an expression."""
    partial = any(options.get("where") is not None for options in index.dialect_options.values())
    return bool(index.unique) and not partial and len(index.expressions) == len(index.columns)


def _check_counts(table: Table, name: str, option: str, dialect: str) -> Column[Any]:
    column = _column(table, name, option)
    wide = BigInteger if dialect == "postgresql" else Integer
    if not isinstance(column.type, wide):
        raise ConfigurationError(f"{option}={name!r}: that column is to be a BigInteger")
    return column


def _check_fence(table: Table, name: str, dialect: str) -> None:
    column = _check_counts(table, name, "fence", dialect)
    if not column.nullable and column.default is None and column.server_default is None:
        raise ConfigurationError(
            f"fence={name!r}: let that column be nullable, or give it the default 0; who writes "
            "without a sequence leaves it out"
        )
