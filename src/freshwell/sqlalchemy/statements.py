"""What is said to the database. Built once; nothing here waits, or knows of a connection.

A `Step` is a statement with its parameters, and all steps of a write belong into one
transaction. Rows are in the order of their keys, so that two writers of the same rows do not
wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Delete,
    Dialect,
    Enum,
    Executable,
    FromClause,
    Insert,
    Integer,
    LargeBinary,
    Numeric,
    Row,
    Select,
    String,
    Text,
    Time,
    Update,
    Uuid,
    and_,
    bindparam,
    column,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from freshwell.errors import ConfigurationError
from freshwell.ground.batches import Batch
from freshwell.ground.saved import Saved
from freshwell.sqlalchemy.shape import shape_of

__all__ = ["Statements", "Step"]

V = TypeVar("V")

Step: TypeAlias = tuple[Executable, Any]

_INSERTS: Final[dict[str, Callable[..., postgresql.Insert | sqlite.Insert]]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}
_ROWS_AT_ONCE: Final = 10_000
# Parameters of one query. PostgreSQL takes 65,535, and SQLite of 2020 and older 999.
_PARAMETERS_AT_ONCE: Final = {"postgresql": 30_000, "sqlite": 900}
_PLAIN: Final = (
    *(Boolean, Date, DateTime, Integer, JSON, LargeBinary, Numeric, String, Time, Uuid),
)
"""Types of which PostgreSQL has arrays that mean the same."""
# Parameters with a column's name would be taken for what is to be set in it.
_KEY, _SEQUENCE = "freshwell_key_", "freshwell_sequence"


class Statements(Generic[V]):
    """The statements for one table, and what their rows mean. Immutable."""

    def __init__(
        self,
        table: FromClause,
        dialect: Dialect,
        *,
        key: str | Sequence[str] | None,
        columns: Collection[str] | None,
        fence: str | None,
        deleted: str | None,
        version: str | None,
        from_row: Callable[[Mapping[str, Any]], V],
        to_row: Callable[[V], Any],
    ) -> None:
        name = dialect.name
        if name not in _INSERTS:
            raise ConfigurationError(
                f"a table of {name!r} cannot be written by its key here: PostgreSQL and "
                "SQLite can; write a class with load, save and delete for others"
            )
        self.shape = shape_of(
            table, name, key=key, columns=columns, fence=fence, deleted=deleted, version=version
        )
        self._dialect = dialect
        self._from_row = from_row
        self._to_row = to_row
        self._told = (*self.shape.key, *(() if version is None else (version,)))
        self._ids_at_once = _PARAMETERS_AT_ONCE[name] // len(self.shape.key)
        self._bound_names = [f"{_KEY}{number}" for number in range(len(self.shape.key))]
        names = [*self.shape.value, *self._mark()]
        self._save = self._saving(names)
        self._save_telling = self._returning(self._save)
        self._delete = self._deleting(fenced=False)
        if fence is not None:
            self._save_fenced = self._saving([*names, fence])
            self._delete_fenced = self._deleting(fenced=True)

    # -- reading -----------------------------------------------------------------------------

    def loads(self, ids: Collection[Any]) -> Iterator[Select[Any]]:
        """Yield the queries for the rows of `ids`."""
        shape = self.shape
        query = select(*(shape.table.c[name] for name in shape.value))
        if shape.deleted is not None:
            query = query.where(shape.table.c[shape.deleted].is_not(True))
        parts = [shape.parts(id) for id in ids]
        for first in range(0, len(parts), self._ids_at_once):
            some = parts[first : first + self._ids_at_once]
            yield query.where(self._is_one_of(some))

    def values(self, rows: Collection[Row[Any]]) -> dict[Any, V]:
        """Return what queried rows hold, by their ids."""
        found = [dict(zip(self.shape.value, row, strict=True)) for row in rows]
        return {self.shape.id(row): self._from_row(row) for row in found}

    def _is_one_of(self, parts: Sequence[tuple[Any, ...]]) -> ColumnElement[bool]:
        columns = self.shape.key_columns
        if len(parts) == 1:
            return and_(*(c == part for c, part in zip(columns, parts[0], strict=True)))
        if len(columns) == 1:
            return columns[0].in_([part for (part,) in parts])
        return tuple_(*columns).in_(parts)

    # -- writing -----------------------------------------------------------------------------

    def saves(self, values: Mapping[Any, Any]) -> list[Step]:
        """Return how to save values by their ids; those that a `Batch` deletes are deleted."""
        if not isinstance(values, Batch):
            rows = [self._row(*item) for item in values.items()]
            return self._steps_of_rows(self._save_telling, rows)
        last = {write.id: write for write in sorted(values.writes, key=lambda w: w.sequence)}
        kept = {id: write for id, write in last.items() if not write.deleted}
        gone = {id: write for id, write in last.items() if write.deleted}
        fence = self.shape.fence
        if fence is None:
            rows = [self._row(id, write.value) for id, write in kept.items()]
            return [*self._steps_of_rows(self._save, rows), *self.deletes(gone)]
        rows = [{**self._row(id, write.value), fence: write.sequence} for id, write in kept.items()]
        keys = [{**self._bound(id), _SEQUENCE: write.sequence} for id, write in gone.items()]
        deletes = _steps(self._delete_fenced, _in_order(keys, self._bound_names))
        return [*self._steps_of_rows(self._save_fenced, rows), *deletes]

    def saved(self, rows: Collection[Row[Any]]) -> dict[Any, Saved[Any]]:
        """Return what the source says of rows by what saving them has returned."""
        found = [dict(zip(self._told, row, strict=True)) for row in rows]
        return {self.shape.id(row): Saved(version=row[self._told[-1]]) for row in found}

    def deletes(self, ids: Collection[Any]) -> list[Step]:
        """Return how to delete ids, or the writes of a `Batch` with what they say of sequences."""
        if isinstance(ids, Batch):
            return self.saves(ids)
        return _steps(self._delete, _in_order([self._bound(id) for id in ids], self._bound_names))

    def _row(self, id: Any, value: Any) -> dict[str, Any]:
        row = self.shape.row(id, self._to_row(value))
        row.update(self._mark())
        return row

    def _mark(self) -> dict[str, bool]:
        return {} if self.shape.deleted is None else {self.shape.deleted: False}

    def _bound(self, id: Any) -> dict[str, Any]:
        return dict(zip(self._bound_names, self.shape.parts(id), strict=True))

    def _steps_of_rows(self, statement: Insert, rows: list[dict[str, Any]]) -> list[Step]:
        rows = _in_order(rows, self.shape.key)
        if statement.select is None:
            return _steps(statement, rows)
        return [
            (statement, {name: [row[name] for row in some] for name in rows[0]})
            for some in _chunks(rows)
        ]

    # -- how the statements are built --------------------------------------------------------

    def _saving(self, names: Sequence[str]) -> Insert:
        """Return the upsert of rows with these columns.

        PostgreSQL is given columns, as arrays: one statement whatever their length, and twice as
        fast as many. Where a type has no array that means the same, it is given rows.
        """
        shape = self.shape
        upsert = _INSERTS[self._dialect.name](shape.table)
        first = {} if shape.version is None else {shape.version: literal(1, BigInteger())}
        if self._takes_arrays([*names, *first]):
            rows = self._unnested(names).add_columns(*first.values())
            upsert = upsert.from_select([*names, *first], rows)
        else:
            upsert = upsert.values({name: bindparam(name) for name in names} | first)
        changed: dict[str, Any] = {n: upsert.excluded[n] for n in names if n not in shape.key}
        changed |= self._raised()
        key = shape.key_columns
        if not changed:
            return upsert.on_conflict_do_nothing(index_elements=key)
        where = None
        if shape.fence is not None and shape.fence in names:
            where = self._is_older(upsert.excluded[shape.fence])
        return upsert.on_conflict_do_update(index_elements=key, set_=changed, where=where)

    def _returning(self, upsert: Insert) -> Any:
        """Return the statement, made to tell versions if there are any."""
        if self.shape.version is None:
            return upsert
        return upsert.returning(*(self.shape.table.c[name] for name in self._told))

    def _raised(self) -> dict[str, ColumnElement[Any]]:
        """Return what each change does to the version."""
        name = self.shape.version
        return {} if name is None else {name: func.coalesce(self.shape.table.c[name], 0) + 1}

    def _takes_arrays(self, names: Sequence[str]) -> bool:
        if self._dialect.name != "postgresql":
            return False
        # A default that is a function would be called once for all rows.
        others = (c.default for c in self.shape.table.c if c.key not in names)
        if any(default is not None and default.is_callable for default in others):
            return False
        return all(_is_plain(self.shape.table.c[name].type, self._dialect) for name in names)

    def _unnested(self, names: Sequence[str]) -> Select[Any]:
        """Return a query for rows, with an array for each column as its parameters."""
        types = [_element(self.shape.table.c[name].type) for name in names]
        arrays = (bindparam(name, type_=ARRAY(t)) for name, t in zip(names, types, strict=True))
        columns = (column(f"c{number}", t) for number, t in enumerate(types))
        given = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
        return select(*given.c)

    def _deleting(self, *, fenced: bool) -> Update | Delete:
        shape = self.shape
        key = [
            c == bindparam(name, type_=c.type)
            for name, c in zip(self._bound_names, shape.key_columns, strict=True)
        ]
        sequence = bindparam(_SEQUENCE, type_=BigInteger())
        where = and_(*key, self._is_older(sequence)) if fenced else and_(*key)
        if shape.deleted is None:
            return delete(shape.table).where(where)
        changed: dict[str, Any] = {shape.deleted: True, **self._raised()}
        if fenced and shape.fence is not None:
            changed[shape.fence] = sequence
        return update(shape.table).where(where).values(changed)

    def _is_older(self, sequence: ColumnElement[Any]) -> ColumnElement[bool]:
        assert self.shape.fence is not None
        present = self.shape.table.c[self.shape.fence]
        return or_(present.is_(None), present < sequence)


def _is_plain(type_: TypeEngine[Any], dialect: Dialect) -> bool:
    """Tell whether a type, as SQLAlchemy makes it for `dialect`, is one that is `_PLAIN`."""
    made = type_.dialect_impl(dialect)
    own = type(type_).__module__.startswith("sqlalchemy.")
    return own and isinstance(made, _PLAIN) and not isinstance(made, Enum)


def _element(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type of an array's elements.

    A text that is too long for its column is cut by a cast to VARCHAR(n)[], without a word.
    """
    return Text() if isinstance(type_, String) else type_


def _in_order(rows: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    try:
        return sorted(rows, key=lambda row: [row[name] for name in names])
    except TypeError:
        return rows


def _steps(statement: Executable, rows: list[dict[str, Any]]) -> list[Step]:
    return [(statement, some) for some in _chunks(rows)]


def _chunks(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[first : first + _ROWS_AT_ONCE]
