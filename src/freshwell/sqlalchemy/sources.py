"""The two classes that users name: one over an `Engine`, one over an `AsyncEngine`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypedDict, TypeVar, Unpack, overload

from sqlalchemy import Engine, FromClause, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from freshwell.errors import ConfigurationError
from freshwell.ground.saved import Saved
from freshwell.sqlalchemy.statements import Statements, Step

__all__ = ["AsyncTableSource", "TableSource"]

E = TypeVar("E", Engine, AsyncEngine)
V = TypeVar("V")


class _Options(TypedDict, total=False):
    key: str | Sequence[str] | None
    columns: Collection[str] | None
    fence: str | None
    deleted: str | None
    version: str | None


class _Source(Generic[E, V]):
    """What both colours share: what they are given, and the statements made of it."""

    _wanted: ClassVar[type[Engine | AsyncEngine]]

    def __init__(
        self,
        engine: E,
        table: FromClause,
        *,
        from_row: Callable[[Mapping[str, Any]], Any] | None = None,
        to_row: Callable[[Any], Mapping[str, Any]] | None = None,
        key: str | Sequence[str] | None = None,
        columns: Collection[str] | None = None,
        fence: str | None = None,
        deleted: str | None = None,
        version: str | None = None,
    ) -> None:
        if not isinstance(engine, self._wanted):
            raise ConfigurationError(_another_engine(self, engine))
        self._engine: E = engine
        self._statements: Statements[V] = Statements(
            table,
            engine.dialect,
            key=key,
            columns=columns,
            fence=fence,
            deleted=deleted,
            version=version,
            from_row=from_row or _as_it_is,
            to_row=to_row or _as_it_is,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._statements.shape.table.name!r}>"


class TableSource(_Source[Engine, V]):
    """A source that is a table, by a sync engine: for `Cache` and for threads.

    - `table`: a `sqlalchemy.Table`; of a mapped class, its ``__table__``.
    - `key`: the column, or columns, that an id consists of; by default the primary key. Of one
      column, an id is its value; of several, a tuple in their order. They must be unique.
    - `columns`: those that a value consists of, besides the key; by default all that can be
      written. Others are left alone, and have their defaults in new rows.
    - `from_row`, `to_row`: make a value of a mapping of columns, and the reverse. By default a
      value *is* such a mapping: a dict when loaded.
    - `fence`: a BigInteger column, nullable or 0 by default, for the sequences of write-behind.
      What has a lower or equal one than is stored, is not stored: something later is. Who saves
      without sequences (write-through, or anything but this source) replaces what is there, and
      leaves the fence as it was. A row that is deleted takes its fence along: a late repetition
      of an older write brings it back, unless there is `deleted`.
    - `deleted`: a Boolean column. Deleted rows are marked, not removed; they are absent for
      `load`, keep their fence, and come back when they are saved.

    One call is one transaction, or one query. What the driver raises passes as it is, but for a
    connection that is lost while something is written: that is a `ConnectionError`, as the
    server may still be at it. `ConfigurationError` is raised for values that do not fit the
    table's columns, `KeyRejected` for ids. Safe for threads, as the engine is.
    """

    _wanted = Engine

    @overload
    def __init__(
        self: TableSource[dict[str, Any]],
        engine: Engine,
        table: FromClause,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self,
        engine: Engine,
        table: FromClause,
        *,
        from_row: Callable[[Mapping[str, Any]], V],
        to_row: Callable[[V], Mapping[str, Any]],
        **options: Unpack[_Options],
    ) -> None: ...
    def __init__(self, engine: Engine, table: FromClause, **options: Any) -> None:
        super().__init__(engine, table, **options)

    def load(self, id: Any, /) -> V | None:
        """Return the value of `id`. None: there is no such row."""
        return next(iter(self.load_many([id]).values()), None)

    def load_many(self, ids: Collection[Any], /) -> dict[Any, V]:
        """Return the values of those `ids` that exist."""
        found: dict[Any, V] = {}
        with self._engine.connect() as connection:
            for query in self._statements.loads(ids):
                found.update(self._statements.values(connection.execute(query).all()))
        return found

    def save(self, id: Any, value: V, /) -> Saved[V] | None:
        """Make `value` the value of `id`. Returns its version, where rows have some."""
        return next(iter(self.save_many({id: value}).values()), None)

    def save_many(self, values: Mapping[Any, V], /) -> dict[Any, Saved[V]]:
        """Save values by their ids, all or none; of a `Batch`, delete those that are to be.

        Returns the versions by their ids, where rows have some; of a `Batch`, none.
        """
        return self._statements.saved(self._write(self._statements.saves(values)))

    def delete(self, id: Any, /) -> None:
        """Delete `id`, if it is there."""
        self.delete_many([id])

    def delete_many(self, ids: Collection[Any], /) -> None:
        """Delete those `ids` that are there, all or none. A `Batch` is as for `save_many`."""
        self._write(self._statements.deletes(ids))

    def _write(self, steps: list[Step]) -> list[Row[Any]]:
        rows: list[Row[Any]] = []
        if steps:
            with _lost_is_unknown(), self._engine.begin() as connection:
                for statement, parameters in steps:
                    result = connection.execute(statement, parameters)
                    rows += result.all() if result.returns_rows else ()
        return rows


class AsyncTableSource(_Source[AsyncEngine, V]):
    """A source that is a table, by an async engine: for `AsyncCache`.

    All that is said of `TableSource` holds of it. Safe for tasks of the engine's event loop.
    """

    _wanted = AsyncEngine

    @overload
    def __init__(
        self: AsyncTableSource[dict[str, Any]],
        engine: AsyncEngine,
        table: FromClause,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self,
        engine: AsyncEngine,
        table: FromClause,
        *,
        from_row: Callable[[Mapping[str, Any]], V],
        to_row: Callable[[V], Mapping[str, Any]],
        **options: Unpack[_Options],
    ) -> None: ...
    def __init__(self, engine: AsyncEngine, table: FromClause, **options: Any) -> None:
        super().__init__(engine, table, **options)

    async def load(self, id: Any, /) -> V | None:
        """Return the value of `id`. None: there is no such row."""
        return next(iter((await self.load_many([id])).values()), None)

    async def load_many(self, ids: Collection[Any], /) -> dict[Any, V]:
        """Return the values of those `ids` that exist."""
        found: dict[Any, V] = {}
        async with self._engine.connect() as connection:
            for query in self._statements.loads(ids):
                found.update(self._statements.values((await connection.execute(query)).all()))
        return found

    async def save(self, id: Any, value: V, /) -> Saved[V] | None:
        """Make `value` the value of `id`. Returns its version, where rows have some."""
        return next(iter((await self.save_many({id: value})).values()), None)

    async def save_many(self, values: Mapping[Any, V], /) -> dict[Any, Saved[V]]:
        """Save values by their ids, all or none; of a `Batch`, delete those that are to be.

        Returns the versions by their ids, where rows have some; of a `Batch`, none.
        """
        return self._statements.saved(await self._write(self._statements.saves(values)))

    async def delete(self, id: Any, /) -> None:
        """Delete `id`, if it is there."""
        await self.delete_many([id])

    async def delete_many(self, ids: Collection[Any], /) -> None:
        """Delete those `ids` that are there, all or none. A `Batch` is as for `save_many`."""
        await self._write(self._statements.deletes(ids))

    async def _write(self, steps: list[Step]) -> list[Row[Any]]:
        rows: list[Row[Any]] = []
        if steps:
            with _lost_is_unknown():
                async with self._engine.begin() as connection:
                    for statement, parameters in steps:
                        result = await connection.execute(statement, parameters)
                        rows += result.all() if result.returns_rows else ()
        return rows


@contextmanager
def _lost_is_unknown() -> Iterator[None]:
    """Raise `ConnectionError` where a write's connection was lost.

    To the cache it says that the change may still come about, and is to be waited for.
    """
    try:
        yield
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise ConnectionError(f"the connection was lost during a write: {error.orig}") from error


def _another_engine(source: _Source[Any, Any], engine: object) -> str:
    name = type(source).__name__
    if isinstance(engine, AsyncEngine):
        return f"{name} was given an AsyncEngine: use AsyncTableSource"
    if isinstance(engine, Engine):
        return f"{name} was given an Engine: use TableSource, or create_async_engine()"
    return f"{name} was given an object of type {type(engine).__name__}: give an engine"


def _as_it_is(value: Any) -> Any:
    return value
