"""Run a campaign: processes that write and flush, are killed, and leave a source to be judged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from tests.faults.behind._sync.parts import behind, opened
from tests.faults.behind._sync.source import Table
from tests.faults.behind.diary import Diary
from tests.faults.behind.judge import Verdict, judged, kept_in
from tests.faults.behind.orders import Orders
from tests.faults.behind.statements import SCHEMA
from tests.support.postgres import Postgres
from tests.support.processes import Worker, workers
from tests.support.servers import Server

__all__ = ["Case", "Outcome", "make_tables", "run"]

_NURSERY = "tests.faults.behind.nursery:nursery"
_FLUSH_S = 60.0
_KILLED_S = 120.0
_KILL_S = 15.0


@dataclass(frozen=True)
class Case:
    """A campaign. `kills` are shared out among the writers, and as many among the flushers.

    - `fsync`: when the server of the journal writes its file through. None: it has no file.
    - `server_kills`, `source_kills`: how often the server of the journal, and the source, are
      killed and started anew.
    """

    name: str
    orders: Orders = field(default_factory=Orders)
    writers: int = 2
    flushers: int = 2
    kills: int = 10
    fsync: str | None = "everysec"
    server_kills: int = 0
    source_kills: int = 0


@dataclass
class Outcome:
    """What a campaign was, and what it has shown."""

    case: Case
    seed: int
    verdict: Verdict
    hurt: int
    seconds: float

    def __str__(self) -> str:
        case, shown = self.case, vars(self.verdict)
        told = ", ".join(f"{name} {count:,}" for name, count in shown.items())
        return (
            f"{case.name} (seed {self.seed}): {case.kills} + {case.kills} kills, {self.hurt} of "
            f"them around a commit, {case.server_kills} of the server, {case.source_kills} of the "
            f"source, in {self.seconds:.1f} s: {told}"
        )


def run(case: Case, folder: Path, source: Postgres, *, seed: int) -> Outcome:
    """Run a campaign on an empty source. Raises `AssertionError` where a process failed."""
    began_s = time.monotonic()
    random = Random(seed)
    make_tables(source)
    with ExitStack() as stack:
        server = None
        if case.orders.journal == "redis":
            server = stack.enter_context(_server(case.fsync))
        url = "" if server is None else server.url
        orders = replace(case.orders, url=url, source=source.url, folder=str(folder))
        diaries = [Diary(folder / f"diary-{number}") for number in range(case.writers)]
        flushers = stack.enter_context(_nurseries("flusher", case.flushers, case, orders, random))
        writers = stack.enter_context(_nurseries("writer", case.writers, case, orders, random))
        for worker in (*flushers, *writers):
            worker.wait_ready()
        for worker in (*flushers, *writers):
            worker.go()
        _kill_servers(case, server, source, random)
        for worker in (*flushers, *writers):
            assert worker.hear(_KILLED_S + _KILL_S * case.kills) == "killed"
        _end(writers)
        seen, dead = _flushed(orders, source) if flushers else ({}, 0)
        hurt = _end(flushers)
        verdict = judged(diaries, source, all_delivered=not orders.coalesce)
        kept = {id: row.value for id, row in kept_in(source).items()}
        verdict.differing = sum(kept[id] != seen.get(id) for id in kept) if flushers else 0
        verdict.dead = dead
        for diary in diaries:
            diary.close()
    return Outcome(case, seed, verdict, hurt, time.monotonic() - began_s)


def make_tables(source: Postgres) -> None:
    """Make the tables of a campaign."""
    for statement in SCHEMA:
        source.ask(statement)


@contextmanager
def _server(fsync: str | None) -> Iterator[Server]:
    file = ("--appendonly", "yes", "--appendfsync", fsync) if fsync else ()
    with Server(arguments=file) as server:
        yield server


@contextmanager
def _nurseries(
    part: str, count: int, case: Case, orders: Orders, random: Random
) -> Iterator[list[Worker]]:
    arguments = [
        {
            "part": part,
            "number": number,
            "kills": (case.kills + number) // count,
            "seed": random.randrange(2**32),
            "orders": orders.told(),
        }
        for number in range(count)
    ]
    with workers(_NURSERY, arguments) as group:
        yield list(group)


def _kill_servers(case: Case, server: Server | None, source: Postgres, random: Random) -> None:
    """Kill and start anew what is to be, after pauses of chance."""
    todo: list[Server | Postgres] = [source] * case.source_kills
    if server is not None:
        todo += [server] * case.server_kills
    random.shuffle(todo)
    for each in todo:
        time.sleep(random.uniform(0.5, 1.5))
        each.restart()


def _end(crew: Sequence[Worker]) -> int:
    """Have the last ones killed. Returns how many were killed around a commit."""
    for worker in crew:
        worker.say("end")
    return sum(worker.result() for worker in crew)


def _flushed(orders: Orders, source: Postgres) -> tuple[dict[int, str], int]:
    """Wait until all is flushed. Returns what a reader sees then, and how many letters are dead."""
    table = Table(source.url)
    with opened(orders) as cache, behind(cache, table, orders) as rows:
        rows.start()
        rows.flush(_FLUSH_S)
        held = rows.backlog()
        assert held.records == 0, held
        seen = rows.get_many(list(kept_in(source)))
    table.close()
    return seen, held.dead
