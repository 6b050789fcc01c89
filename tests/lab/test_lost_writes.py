"""Lost writes: who drops what was acknowledged is caught, and no strategy of freshwell does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from freshwell.cli.lab.comparison import as_comparison, check_lost
from freshwell.cli.lab.contenders import STRATEGIES, Contender, make
from freshwell.cli.lab.database import Database, stored_versions
from freshwell.cli.lab.errors import LabRunError
from freshwell.cli.lab.plan import Part, Plan
from freshwell.cli.lab.products import Product
from freshwell.cli.lab.runner import _outcome
from freshwell.cli.lab.sqlite import SQLite
from freshwell.cli.lab.worker import serve
from tests.lab.test_report import SETTINGS, rendered
from tests.lab.test_stale_reads import BUSY, PLAN, board_of
from tests.support.blocking import blocking_allowed


class Unjournaled:
    """The control: writes behind from a queue in memory, and drops it in the end."""

    def __init__(self, plan: Plan, database: Database) -> None:
        self._database = database
        self._versions: dict[int, int] = {}
        self._queue: dict[int, Product] = {}

    async def read(self, id: int) -> Product:
        return self._queue.get(id) or await self._database.load(id)

    async def write(self, id: int) -> int:
        self._versions[id] = version = self._versions.get(id, 1) + 1
        self._queue[id] = self._database.product(id, version)
        if sum(self._versions.values()) % 100 == 0:
            await self._database.save_many(self._queue)
        return version

    async def finish(self) -> None:
        return None

    def figures(self) -> dict[str, float]:
        return {"backlog_peak": len(self._queue)}

    async def aclose(self) -> None:
        self._queue.clear()


async def ran(
    contender_of: Callable[[Plan, Database], Contender], plan: Plan, folder: Path
) -> tuple[Part, int]:
    """Serve a busy workload, and return what was measured and how many writes were lost."""
    where = SQLite(folder / "products.db")
    with board_of(BUSY) as board, blocking_allowed():
        where.build(products=BUSY.distinct, value_bytes=100)
        database = Database(where)
        contender = contender_of(plan, database)
        part = await serve(contender, plan, BUSY, 0, board)
        await contender.aclose()
        await asyncio.to_thread(database.close)
        part.statements, part.rows = database.statements, database.rows
        return part, board.unstored(stored_versions(where))


@pytest.mark.parametrize("name", STRATEGIES)
async def test_what_a_strategy_has_acknowledged_is_in_the_database_in_the_end(
    name: str, tmp_path: Path
) -> None:
    journal = f"sqlite:///{tmp_path}/journal.db"
    plan = replace(PLAN, contender=name, workers=8, max_staleness_s=2, journal=journal)
    part, lost = await ran(make, plan, tmp_path)
    assert (part.stale_reads, part.errors, lost) == (0, 0, 0)
    assert part.writes == sum(BUSY.writes)
    if name == "write-behind":
        assert part.figures["backlog_peak"] > 0
        assert part.statements < part.writes / 2, "in batches"
    else:
        assert part.statements == part.rows == part.writes
    check_lost([_outcome(plan, [part], lost)])


async def test_a_queue_without_a_journal_that_is_dropped_is_counted_as_losing(
    tmp_path: Path,
) -> None:
    plan = replace(PLAN, contender="write-behind", workers=8)
    part, lost = await ran(Unjournaled, plan, tmp_path)
    assert (part.stale_reads, part.errors) == (0, 0), "its readers see nothing of it"
    assert 0 < lost < part.writes
    outcome = _outcome(plan, [part], lost)
    assert f"{lost:,}" in rendered(as_comparison([outcome], SETTINGS))
    with pytest.raises(LabRunError, match=f"^write-behind lost {lost:,} of {part.writes:,} ackn"):
        check_lost([outcome])
