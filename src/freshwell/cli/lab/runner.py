"""Run contenders over a workload, each in processes of its own, and gather what they measured."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshwell.cli.lab.board import Board
from freshwell.cli.lab.contenders import PUTTING
from freshwell.cli.lab.copies import SQLITE, copies
from freshwell.cli.lab.crew import crew, gather
from freshwell.cli.lab.database import Where, stored_versions
from freshwell.cli.lab.plan import Outcome, Part, Plan
from freshwell.cli.lab.servers import removed_keys
from freshwell.cli.lab.worker import work
from freshwell.cli.lab.workload import Workload

__all__ = ["BUILDING", "Settings", "quantiles", "run_all"]

_NS_PER_S: Final = 1_000_000_000

BUILDING: Final = "database"
"""What `Progress` is called with before the first contender."""

Progress = Callable[[str, int, int], None]
"""Called with a contender's name, the requests done so far, and their number."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run. `plain_requests`: how many requests the contender without a cache gets.

    `database`: ``"sqlite"``, or the URL of a PostgreSQL database. `tags` and `writing` are those
    of `plan.Plan`. `compare`: writes are compared too, so that a commit means the same wherever
    there is one. `aof`: the server at `redis` keeps what it has acknowledged.
    """

    contenders: Sequence[str]
    workers: int
    processes: int
    entries: int
    ttl_s: float
    max_staleness_s: float
    read: str
    redis: str | None
    delay_s: float
    plain_requests: int
    tags: int = 0
    writing: bool = False
    database: str = SQLITE
    compare: bool = False
    aof: bool = False

    @property
    def by_writer(self) -> bool:
        """Whether each key has one process that makes all its writes: a contender needs that."""
        return self.processes > 1 and not PUTTING.isdisjoint(self.contenders)


def run_all(workload: Workload, settings: Settings, progress: Progress) -> list[Outcome]:
    """Build the database, run every contender on a copy of it, and return what they measured.

    Leaves nothing behind, also when it is interrupted: no process, no shared memory, no file,
    no key and no table on a server.

    Raises:
        LabRunError: A process could not go on, or died.
    """
    with tempfile.TemporaryDirectory(prefix="freshwell-lab-") as folder:
        progress(BUILDING, 0, 1)
        copy = copies(settings.database, Path(folder), workload, durable=settings.compare)
        progress(BUILDING, 1, 1)
        outcomes: list[Outcome] = []
        for contender in settings.contenders:
            plain = contender == "no cache"
            requests = workload.first(settings.plain_requests) if plain else workload
            with copy(contender) as where:
                plan = _plan(contender, where, requests, settings, folder)
                with removed_keys(plan.redis, plan.run):
                    outcomes.append(_run(plan, requests, settings, progress))
        return outcomes


def _plan(
    contender: str, where: Where, workload: Workload, settings: Settings, folder: str
) -> Plan:
    in_process = settings.redis is None
    return Plan(
        contender=contender,
        run=f"lab-{os.getpid()}-{contender.replace(' ', '-')}",
        database=where,
        ttl_s=settings.ttl_s,
        max_staleness_s=settings.max_staleness_s,
        entries=settings.entries,
        workers=settings.workers,
        read=settings.read,
        redis=settings.redis,
        delay_s=settings.delay_s,
        tags=settings.tags,
        writing=settings.writing,
        value_bytes=workload.value_bytes,
        journal=f"sqlite:///{folder}/journal-{{}}.db" if in_process else "redis",
        assume_durable=not in_process and not settings.aof,
    )


def _run(plan: Plan, workload: Workload, settings: Settings, progress: Progress) -> Outcome:
    processes = settings.processes
    part_of = workload.part_by_writer if settings.by_writer else workload.part
    lock = multiprocessing.get_context("spawn").Lock()
    memory, board = Board.create(workload, processes, lock)

    def tick() -> None:
        progress(plan.contender, sum(board.done), len(workload))

    try:
        members = [
            (work, (plan, part_of(index, processes), index, processes, memory.name, lock))
            for index in range(processes)
        ]
        with crew(members) as started:
            parts: list[Part] = gather(started, plan.contender, tick)
        lost = board.unstored(stored_versions(plan.database))
    finally:
        board.close()
        memory.unlink()
    return _outcome(plan, parts, lost)


def _outcome(plan: Plan, parts: Sequence[Part], lost: int = 0) -> Outcome:
    latencies: Counter[int] = Counter()
    of_writes: Counter[int] = Counter()
    figures: Counter[str] = Counter()
    for part in parts:
        latencies.update(part.latencies_ns)
        of_writes.update(part.write_latencies_ns)
        figures.update(part.figures)
    p50_ns, p99_ns = quantiles(latencies, (0.5, 0.99))
    write_p50_ns, write_p99_ns = quantiles(of_writes, (0.5, 0.99))
    reads, writes = sum(p.reads for p in parts), sum(p.writes for p in parts)
    return Outcome(
        contender=plan.contender,
        requests=reads + writes,
        reads=reads,
        writes=writes,
        loads=sum(part.loads for part in parts),
        elapsed_s=(max(p.ended_ns for p in parts) - min(p.began_ns for p in parts)) / _NS_PER_S,
        p50_us=p50_ns / 1_000,
        p99_us=p99_ns / 1_000,
        stale_reads=sum(part.stale_reads for part in parts),
        overdue_reads=sum(part.overdue_reads for part in parts),
        worst_stale_ms=max(part.worst_stale_ns for part in parts) / 1_000_000,
        memory_bytes=sum(part.memory_bytes for part in parts),
        figures=dict(figures),
        errors=sum(part.errors for part in parts),
        first_error=next((part.first_error for part in parts if part.first_error), ""),
        write_p50_us=write_p50_ns / 1_000,
        write_p99_us=write_p99_ns / 1_000,
        statements=sum(part.statements for part in parts),
        rows=sum(part.rows for part in parts),
        flush_s=max(part.flush_ns for part in parts) / _NS_PER_S,
        lost=lost,
    )


def quantiles(counts: Counter[int], shares: Sequence[float]) -> list[int]:
    """Return the values below which each of `shares` lies (ascending); 0 where there are none."""
    total, seen = counts.total(), 0
    found: list[int] = []
    for value, count in sorted(counts.items()):
        seen += count
        while len(found) < len(shares) and seen > shares[len(found)] * total:
            found.append(value)
    return found + [0] * (len(shares) - len(found))
