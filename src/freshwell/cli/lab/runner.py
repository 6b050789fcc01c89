"""Run contenders over a workload, each in processes of its own, and gather what they measured."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshwell.cli.lab.board import Board
from freshwell.cli.lab.crew import crew, gather
from freshwell.cli.lab.database import build_database
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

    `tags` and `writing` are those of `plan.Plan`.
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


def run_all(workload: Workload, settings: Settings, progress: Progress) -> list[Outcome]:
    """Build the database, run every contender on a copy of it, and return what they measured.

    Leaves nothing behind, also when it is interrupted: no process, no shared memory, no file,
    no key on the server.

    Raises:
        LabRunError: A process could not go on, or died.
    """
    with tempfile.TemporaryDirectory(prefix="freshwell-lab-") as folder:
        progress(BUILDING, 0, 1)
        original = Path(folder) / "original.db"
        build_database(original, products=workload.distinct, value_bytes=workload.value_bytes)
        progress(BUILDING, 1, 1)
        outcomes: list[Outcome] = []
        for contender in settings.contenders:
            path = Path(shutil.copy(original, Path(folder) / f"{contender}.db"))
            plan = _plan(contender, path, settings)
            plain = contender == "no cache"
            requests = workload.first(settings.plain_requests) if plain else workload
            with removed_keys(plan.redis, plan.run):
                outcomes.append(_run(plan, requests, settings.processes, progress))
            path.unlink()
        return outcomes


def _plan(contender: str, path: Path, settings: Settings) -> Plan:
    return Plan(
        contender=contender,
        run=f"lab-{os.getpid()}-{contender.replace(' ', '-')}",
        database=str(path),
        ttl_s=settings.ttl_s,
        max_staleness_s=settings.max_staleness_s,
        entries=settings.entries,
        workers=settings.workers,
        read=settings.read,
        redis=settings.redis,
        delay_s=settings.delay_s,
        tags=settings.tags,
        writing=settings.writing,
    )


def _run(plan: Plan, workload: Workload, processes: int, progress: Progress) -> Outcome:
    lock = multiprocessing.get_context("spawn").Lock()
    memory, board = Board.create(workload, processes, lock)

    def tick() -> None:
        progress(plan.contender, sum(board.done), len(workload))

    try:
        members = [
            (work, (plan, workload.part(index, processes), index, processes, memory.name, lock))
            for index in range(processes)
        ]
        with crew(members) as started:
            parts: list[Part] = gather(started, plan.contender, tick)
    finally:
        board.close()
        memory.unlink()
    return _outcome(plan, parts)


def _outcome(plan: Plan, parts: Sequence[Part]) -> Outcome:
    latencies: Counter[int] = Counter()
    figures: Counter[str] = Counter()
    for part in parts:
        latencies.update(part.latencies_ns)
        figures.update(part.figures)
    p50_ns, p99_ns = quantiles(latencies, (0.5, 0.99))
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
