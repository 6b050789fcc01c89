"""The contenders: which run, and what a write ends, by key and by tag."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from freshwell.cli.lab.contenders import (
    CONTENDERS,
    PUTTING,
    STRATEGIES,
    USUAL,
    Contender,
    chosen,
    make,
)
from freshwell.cli.lab.database import Database
from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.plan import Plan
from freshwell.cli.lab.sqlite import SQLite
from tests.support.blocking import blocking_allowed

PLAN = Plan("", "run", SQLite(Path()), 60, 2, 100, 1, "eventual", None, 0)
CACHED = ["get-or-set", "cache-aside", "read-through"]
OURS = ["cache-aside", "read-through"]


class Held(Database):
    """A database whose writes wait, where they are told to, after the source has changed."""

    def __init__(self, where: SQLite) -> None:
        super().__init__(where)
        self.written = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def write(self, id: int) -> int:
        version = await super().write(id)
        self.written.set()
        await self.let_go.wait()
        return version


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Held]:
    with blocking_allowed():
        file = SQLite(tmp_path / "products.db")
        file.build(products=40, value_bytes=300)
        database = Held(file)
    yield database
    with blocking_allowed():
        database.close()


@pytest.fixture(params=["in process", "redis"])
def plan(request: pytest.FixtureRequest) -> Plan:
    shared = request.param == "redis"
    return replace(PLAN, redis=request.getfixturevalue("redis_url") if shared else None)


async def loads_of(contender: Contender, database: Database, *ids: int) -> int:
    """Read products, and return how often the source was asked."""
    before = database.loads
    for id in ids:
        assert (await contender.read(id))["id"] == id
    return database.loads - before


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("writing", [False, True], ids=["after", "announced"])
async def test_a_write_ends_the_entry_of_its_product(
    name: str, writing: bool, plan: Plan, database: Held
) -> None:
    contender = make(replace(plan, contender=name, writing=writing), database)
    assert await loads_of(contender, database, 3, 13, 3, 13) == 2
    assert await contender.write(3) == 2
    assert (await contender.read(3))["version"] == 2
    assert await loads_of(contender, database, 3, 13) == 0
    await contender.aclose()


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("writing", [False, True], ids=["after", "announced"])
async def test_with_tags_a_write_ends_all_entries_of_its_category(
    name: str, writing: bool, plan: Plan, database: Held
) -> None:
    contender = make(replace(plan, contender=name, tags=10, writing=writing), database)
    assert await loads_of(contender, database, 3, 13, 4, 3, 13, 4) == 3
    assert await contender.write(3) == 2
    assert (await contender.read(3))["version"] == 2
    assert await loads_of(contender, database, 13) == 1, "of the same category"
    assert await loads_of(contender, database, 3, 13, 4) == 0
    await contender.aclose()


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("tags", [0, 10], ids=["by key", "by tag"])
@pytest.mark.parametrize("writing", [False, True], ids=["after", "announced"])
async def test_an_announced_write_ends_the_entry_before_the_source_changes(
    name: str, tags: int, writing: bool, plan: Plan, database: Held
) -> None:
    contender = make(replace(plan, contender=name, tags=tags, writing=writing), database)
    await contender.read(3)
    database.let_go.clear()
    write = asyncio.ensure_future(contender.write(3))
    await database.written.wait()
    # The control: without an announcement the old value is served until the invalidation.
    assert (await loads_of(contender, database, 3, 3) > 0) is writing
    database.let_go.set()
    assert await write == 2
    assert (await contender.read(3))["version"] == 2
    await contender.aclose()


@pytest.mark.parametrize("name", sorted(PUTTING))
async def test_a_product_that_is_put_is_read_without_loading_it_and_is_stored_in_the_end(
    name: str, plan: Plan, database: Held, tmp_path: Path
) -> None:
    journal = "redis" if plan.redis else f"sqlite:///{tmp_path}/journal-{{}}.db"
    plan = replace(plan, contender=name, journal=journal, assume_durable=True)
    contender = make(plan, database)
    assert await loads_of(contender, database, 3, 13) == 2
    assert await asyncio.gather(*(contender.write(3) for _ in range(5))) == [2, 3, 4, 5, 6]
    assert await contender.write(4) == 2
    assert await loads_of(contender, database, 3, 4, 13) == 0
    assert await contender.read(3) == database.product(3, 6)
    await contender.finish()
    assert await database.load_many([3, 4]) == {
        3: database.product(3, 6),
        4: database.product(4, 2),
    }
    await contender.aclose()


async def test_a_set_of_members_forgets_what_the_bound_puts_out(database: Held) -> None:
    contender = make(replace(PLAN, contender="get-or-set", tags=2, entries=3), database)
    assert await loads_of(contender, database, 0, 2, 4, 6) == 4
    assert contender.figures() == {"entries": 3}
    await contender.write(2)
    assert contender.figures() == {"entries": 0}
    assert await loads_of(contender, database, 4, 4) == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], list(USUAL), id="none named"),
        pytest.param(["none"], ["no cache"], id="one"),
        pytest.param(["read-through", "get-or-set"], ["get-or-set", "read-through"], id="two"),
        pytest.param(["read-through, none"], ["no cache", "read-through"], id="list"),
        pytest.param(["none,none", "none"], ["no cache"], id="twice"),
    ],
)
def test_strategies_are_chosen_by_name_and_run_in_one_order(
    names: list[str], expected: list[str]
) -> None:
    assert chosen(names) == tuple(expected)


def test_where_strategies_are_compared_all_of_them_run() -> None:
    assert chosen([], STRATEGIES) == STRATEGIES
    assert chosen(["write-through"], STRATEGIES) == ("write-through",)
    assert set(STRATEGIES) == set(CONTENDERS) - {"no cache", "get-or-set"}


@pytest.mark.parametrize("name", ["", "no cache", "none,,read-through", "write-nothing"])
def test_a_strategy_that_is_not_known_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(LabInputError, match="use none, get-or-set, cache-aside, read-through"):
        chosen([name])
