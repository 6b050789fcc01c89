"""What table sources refuse when they are built, and what they say to the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    text,
)
from sqlalchemy.dialects import registry
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freshwell import ConfigurationError
from freshwell.sqlalchemy import AsyncTableSource, TableSource
from freshwell.sqlalchemy.statements import Statements
from tests.integrations.tables import batch, places, typed, users

MYSQL: Dialect = registry.load("mysql")()
POSTGRESQL: Dialect = registry.load("postgresql")()
SQLITE: Dialect = registry.load("sqlite")()


def table(*more: Any) -> Table:
    return Table("t", MetaData(), Column("id", Integer, primary_key=True), *more)


def statements(of: Table, dialect: Dialect | None = None, **options: Any) -> Statements[Any]:
    defaults: dict[str, Any] = dict.fromkeys(["key", "columns", "fence", "deleted", "version"])
    converters: dict[str, Any] = {"from_row": dict, "to_row": dict}
    return Statements(of, dialect or SQLITE, **{**defaults, **converters, **options})


# -- errors when it is built -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "options", "word"),
    [
        (Table("t", MetaData(), Column("a", Integer)), {}, "no primary key: name the columns"),
        (table(), {"key": "nam"}, "has no column 'nam'; it has id"),
        (table(Column("a", Integer)), {"key": "a"}, "unique in table 't'. Give it a Unique"),
        (table(), {"columns": ["b"]}, "columns: table 't' has no column 'b'"),
        (table(), {"fence": "seq"}, "fence: table 't' has no column 'seq'"),
        (table(Column("seq", String)), {"fence": "seq"}, "is to be a BigInteger"),
        (table(Column("seq", BigInteger, nullable=False)), {"fence": "seq"}, "be nullable"),
        (table(Column("gone", Integer)), {"deleted": "gone"}, "is to be a Boolean"),
        (table(), {"fence": "id"}, "nullable"),
        (table(), {"version": "v"}, "version: table 't' has no column 'v'"),
        (table(), {"version": "id"}, "neither fence nor deleted nor version nor computed"),
        (table(Column("v", String)), {"version": "v"}, "version='v': that column is to be a Big"),
        (users, {"fence": "sequence", "version": "sequence"}, "columns of their own"),
        (table(Column("v", Integer)), {"version": "v", "columns": ["v"]}, "no part of a value"),
        (table(Column("c", Integer, Computed("1"))), {"columns": ["c"]}, "'c' is computed"),
        (users, {"fence": "sequence", "columns": ["sequence"]}, "no part of a value"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_what_to_do(
    of: Table, options: Mapping[str, Any], word: str
) -> None:
    with pytest.raises(ConfigurationError, match=word):
        statements(of, **options)


def test_a_fence_that_is_too_narrow_for_postgresql_is_refused() -> None:
    narrow = table(Column("seq", Integer))
    assert statements(narrow, fence="seq")
    for option in ("fence", "version"):
        with pytest.raises(ConfigurationError, match="is to be a BigInteger"):
            statements(narrow, POSTGRESQL, **{option: "seq"})


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"'mysql' cannot .* PostgreSQL and SQLite can"):
        statements(users, MYSQL)


def test_an_engine_of_the_other_colour_is_refused() -> None:
    engine, async_engine = create_engine("sqlite://"), create_async_engine("sqlite+aiosqlite://")
    wrong: Any = async_engine
    with pytest.raises(ConfigurationError, match="use AsyncTableSource"):
        TableSource(wrong, users)
    wrong = engine
    with pytest.raises(ConfigurationError, match="use TableSource"):
        AsyncTableSource(wrong, users)
    wrong = "sqlite://"
    with pytest.raises(ConfigurationError, match="of type str: give an engine"):
        TableSource(wrong, users)


def test_a_mapped_class_is_refused_and_its_table_is_not() -> None:
    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "user"
        id: Mapped[int] = mapped_column(primary_key=True)

    engine, wrong = create_engine("sqlite://"), User
    with pytest.raises(ConfigurationError, match="of a mapped class is its __table__"):
        TableSource(engine, wrong)  # type: ignore[call-overload]
    assert repr(TableSource(engine, User.__table__)) == "<TableSource 'user'>"


@pytest.mark.parametrize(
    "unique",
    [UniqueConstraint("a", "b"), Index("u", "a", "b", unique=True)],
    ids=["constraint", "index"],
)
def test_what_is_unique_can_be_a_key_in_any_order(unique: Any) -> None:
    made = table(Column("a", Integer), Column("b", Integer), unique)
    assert statements(made, key=["b", "a"]).shape.key == ("b", "a")


@pytest.mark.parametrize(
    "index",
    [
        Index("i", "a"),
        Index("i", "a", unique=True, sqlite_where=text("a > 1")),
        Index("i", "a", unique=True, postgresql_where=text("a > 1")),
        Index("i", "a", text("lower(b)"), unique=True),
    ],
    ids=["not unique", "partial in SQLite", "partial in PostgreSQL", "of an expression"],
)
def test_an_index_that_does_not_hold_for_all_rows_is_no_key(index: Index) -> None:
    made = table(Column("a", Integer), Column("b", String), index)
    with pytest.raises(ConfigurationError, match="nothing says that these columns are unique"):
        statements(made, key="a")


# -- what is said ----------------------------------------------------------------------------


def test_postgresql_is_given_arrays_where_they_mean_the_same() -> None:
    ((statement, parameters),) = statements(typed, POSTGRESQL, columns=["code"]).saves(
        {1: {"code": "a"}, 2: {"code": "b"}}
    )
    assert "unnest" in str(statement)
    assert parameters == {"id": [1, 2], "code": ["a", "b"]}


@pytest.mark.parametrize("of", [places, users], ids=["a tuple", "a number"])
def test_rows_are_written_in_the_order_of_their_keys(of: Table) -> None:
    made = statements(of, columns=["name"])
    ids: list[Any] = [("b", 1), ("a", 2), ("a", 1)] if of is places else [3, 1, 2]
    ((_, rows),) = made.saves({id: {"name": "x"} for id in ids})
    assert [made.shape.id(row) for row in rows] == sorted(ids)
    ((_, keys),) = made.deletes(ids)
    assert [tuple(key.values()) for key in keys] == [made.shape.parts(id) for id in sorted(ids)]


def test_ids_that_have_no_order_are_written_as_they_come() -> None:
    ((_, rows),) = statements(users, columns=["name"]).saves(
        {id: {"name": "x"} for id in (2, "1", 3)}
    )
    assert [row["id"] for row in rows] == [2, "1", 3]


def test_of_several_writes_of_an_id_the_last_is_made() -> None:
    made = statements(users, columns=["name"], fence="sequence")
    steps = made.saves(batch((1, {"name": "b"}, 2), (1, {"name": "a"}, 1), (2, None, 3)))
    (_, rows), (_, keys) = steps
    assert rows == [{"name": "b", "id": 1, "sequence": 2}]
    assert [list(key.values()) for key in keys] == [[2, 3]]
    ((_, keys),) = made.saves(batch((1, {"name": "a"}, 1), (1, None, 2)))
    assert [list(key.values()) for key in keys] == [[1, 2]]


def test_nothing_is_said_where_nothing_is_to_be_done() -> None:
    made = statements(users, columns=["name"], fence="sequence")
    assert [made.saves({}), made.saves(batch()), made.deletes([]), list(made.loads([]))] == [[]] * 4
