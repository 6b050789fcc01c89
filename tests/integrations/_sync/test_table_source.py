"""Tables as sources: what is saved is loaded, whatever it is, and in few statements."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import datetime as dt
import uuid
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from freshwell import Cache, ConfigurationError, KeyRejected
from freshwell.sqlalchemy import TableSource
from tests.integrations.engines_threads import AnyEngine, closed, opened, watched
from tests.integrations.tables import (
    created,
    kinds,
    places,
    rows_kinds,
    said,
    typed,
    users,
)
from tests.support.threads import start
from tests.support.postgres import Postgres
from tests.support.servers import free_port

WHAT = ("name", "age")


def user(id: int, name: str = "Ada", age: int | None = 36) -> dict[str, Any]:
    return {"id": id, "name": name, "age": age}


def users_of(engine: AnyEngine, **options: Any) -> TableSource[dict[str, Any]]:
    return TableSource(engine, users, columns=WHAT, **options)


# -- the verbs -------------------------------------------------------------------------------


def test_an_id_of_several_columns_is_a_tuple(engine: AnyEngine) -> None:
    source = TableSource(engine, places)
    values = {("at", 2): {"name": "Graz"}, ("at", 1): {"name": "Wien"}, ("de", 1): {"name": "Ulm"}}
    source.save_many(values)
    source.save(("at", 2), {"name": "Linz"})
    assert source.load(("at", 2)) == {"country": "at", "number": 2, "name": "Linz"}
    assert set(source.load_many([*values, ("de", 2)])) == set(values)
    source.delete(("at", 1))
    assert set(source.load_many(list(values))) == {("at", 2), ("de", 1)}
    for wrong in ("at", ("at",), ("at", 1, 2)):
        with pytest.raises(KeyRejected, match="a tuple of country, number"):
            source.load(wrong)


def test_an_id_may_be_of_other_unique_columns_than_the_primary_key(engine: AnyEngine) -> None:
    by_id = TableSource(engine, places)
    by_id.save(("at", 1), {"name": "Wien"})
    by_name = TableSource(engine, places, key="name")
    by_name.save("Wien", {"country": "at", "number": 7})
    assert by_name.load("Wien") == {"country": "at", "number": 7, "name": "Wien"}
    assert by_id.load(("at", 1)) is None


def test_a_table_of_nothing_but_its_key_can_be_saved_twice(engine: AnyEngine) -> None:
    source = TableSource(engine, places, columns=())
    source.save(("at", 1), {})
    source.save(("at", 1), {})
    assert source.load(("at", 1)) == {"country": "at", "number": 1}


def test_values_may_be_objects(engine: AnyEngine) -> None:
    @dataclass(frozen=True)
    class User:
        id: int
        name: str
        age: int | None

    source = TableSource(
        engine, users, columns=WHAT, from_row=lambda row: User(**row), to_row=asdict
    )
    source.save(1, User(1, "Ada", 36))
    assert source.load(1) == User(1, "Ada", 36)


def test_columns_that_are_not_named_are_left_alone(engine: AnyEngine) -> None:
    names = TableSource(engine, users, columns=["name"])
    users_of(engine).save(1, user(1, "Ada", 36))
    names.save(1, {"name": "Eve"})
    assert users_of(engine).load(1) == user(1, "Eve", 36)


def test_each_new_row_has_a_default_of_its_own(engine: AnyEngine) -> None:
    users_of(engine).save_many({id: user(id) for id in range(20)})
    numbers = TableSource(engine, users, columns=["number"])
    found = numbers.load_many(range(20))
    assert len({row["number"] for row in found.values()}) == 20


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"name": "Ada"}, "see age"),
        ({"name": "Ada", "age": 1, "shoe": 38}, "see shoe"),
        ({"id": 2, "name": "Ada", "age": 1}, "another id"),
        ("Ada", "is of type str"),
    ],
    ids=["too few", "too many", "another id", "no mapping"],
)
def test_a_value_that_does_not_fit_is_refused(
    engine: AnyEngine, value: Any, word: str
) -> None:
    source = users_of(engine)
    with pytest.raises(ConfigurationError, match=word):
        source.save(1, value)
    assert source.load(1) is None


# -- what columns hold -----------------------------------------------------------------------


def test_every_kind_of_column_comes_back(engine: AnyEngine) -> None:
    source = TableSource(engine, kinds)
    full: dict[str, Any] = {
        "data": {"a": [1, None, "ä"]},
        "at": dt.datetime(2026, 2, 3, 4, 5, 6, 789),  # noqa: DTZ001  # the column has no zone
        "day": dt.date(2026, 2, 3),
        "blob": b"\x00\xff",
        "flag": True,
        "ratio": 0.1,
    }
    empty = dict.fromkeys(full)
    values: dict[Any, Any] = {
        uuid.uuid4(): full,
        uuid.uuid4(): empty,
        uuid.uuid4(): {**full, "data": [[1], []]},
    }
    source.save_many(values)
    assert source.load_many(list(values)) == {
        id: {"id": id, **value} for id, value in values.items()
    }


def test_what_only_postgresql_has_comes_back(postgres: AnyEngine) -> None:
    values: dict[int, dict[str, Any]] = {
        n: {
            "data": {"a": [n, None]},
            "at": dt.datetime(2026, 2, 3, 4, 5, n, tzinfo=dt.UTC),
            "price": Decimal("12345678901234.567891") + n,
            "blob": bytes([n, 0]),
            "code": "äöü",
        }
        for n in range(3)
    }
    source = TableSource(postgres, typed)
    source.save_many(values)
    assert source.load_many(range(3)) == {n: {"id": n, **values[n]} for n in values}


def test_arrays_and_enums_come_back(postgres: AnyEngine) -> None:
    values: dict[int, dict[str, Any]] = {
        1: {"numbers": [1, 2], "words": ["a,b", '"{}'], "mood": "good"},
        2: {"numbers": [], "words": None, "mood": None},
    }
    source = TableSource(postgres, rows_kinds)
    source.save_many(values)
    assert source.load_many([1, 2]) == {n: {"id": n, **values[n]} for n in values}


def test_a_text_that_is_too_long_is_refused_and_not_cut(postgres: AnyEngine) -> None:
    source = TableSource(postgres, typed, columns=["code"])
    with pytest.raises(DataError, match="too long"):
        source.save_many({1: {"code": "four"}, 2: {"code": "fives"}})
    assert source.load_many([1, 2]) == {}


# -- many ------------------------------------------------------------------------------------


def test_ten_thousand_rows_are_written_by_one_statement(engine: AnyEngine) -> None:
    source = TableSource(engine, kinds, columns=["ratio"])
    ids = [uuid.UUID(int=n) for n in range(10_001)]
    with said(watched(engine)) as statements:
        source.save_many({id: {"ratio": 1.0} for id in ids})
    assert len(statements) == 2
    with said(watched(engine)) as statements:
        found = source.load_many(ids)
    assert len(found) == 10_001
    assert len(statements) <= 12


def test_many_are_saved_all_or_none(engine: AnyEngine) -> None:
    source = users_of(engine)
    with pytest.raises(IntegrityError):
        source.save_many({1: user(1), 2: {"name": None, "age": 1}})
    assert source.load(1) is None


# -- errors ----------------------------------------------------------------------------------


def test_a_write_whose_connection_is_lost_may_still_come_about(
    own_postgres: Postgres,
) -> None:
    created(own_postgres.url)
    engine = opened(own_postgres.url)
    source = users_of(engine)
    source.save(1, user(1))
    own_postgres.freeze()
    writing = start(partial(source.save, 1, user(1, "Eve")))
    own_postgres.kill()
    with pytest.raises(ConnectionError) as lost:
        writing.result()
    assert isinstance(lost.value.__cause__, OperationalError)
    closed(engine)


def test_a_server_that_is_not_there_is_the_drivers_own_error() -> None:
    engine = opened(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    with pytest.raises(OperationalError):
        users_of(engine).save(1, user(1))
    closed(engine)


# -- with a cache ----------------------------------------------------------------------------


def test_a_cache_writes_through_to_it_and_reads_through_it(engine: AnyEngine) -> None:
    with Cache() as cache:
        people = cache.write_through(users_of(engine), key="user:{}")
        people.put(1, user(1))
        people.put_many({2: user(2, "Eve"), 3: user(3, "Bob")})
        with said(watched(engine)) as statements:
            assert people.get(1) == user(1)
            assert people.get_many([2, 3]) == {2: user(2, "Eve"), 3: user(3, "Bob")}
        assert statements == []
        people.delete(1)
        assert people.get(1) is None
        people.invalidate(2)
        assert people.get_many([1, 2, 3]) == {2: user(2, "Eve"), 3: user(3, "Bob")}
