"""Run contenders over a workload, each in processes of its own, and gather what they measured."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from freshwell.cli.lab.board import Board
from freshwell.cli.lab.database import build_database
from freshwell.cli.lab.errors import LabRunError
from freshwell.cli.lab.plan import Outcome, Part, Plan, WorkerFailure
from freshwell.cli.lab.servers import removed_keys
from freshwell.cli.lab.worker import work
from freshwell.cli.lab.workload import Workload

__all__ = ["BUILDING", "Settings", "run_all"]

_TICK_S: Final = 0.1
_END_S: Final = 10.0
_NS_PER_S: Final = 1_000_000_000

BUILDING: Final = "database"
"""What `Progress` is called with before the first contender."""

Progress = Callable[[str, int, int], None]
"""Called with a contender's name, the requests done so far, and their number."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run. `plain_requests`: how many requests the contender without a cache gets."""

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
    )


def _run(plan: Plan, workload: Workload, processes: int, progress: Progress) -> Outcome:
    lock = multiprocessing.get_context("spawn").Lock()
    memory, board = Board.create(workload, processes, lock)

    def tick() -> None:
        progress(plan.contender, sum(board.done), len(workload))

    try:
        with _workers(plan, workload, processes, memory.name, lock) as workers:
            parts = _gather(workers, plan.contender, tick)
    finally:
        board.close()
        memory.unlink()
    return _outcome(plan, parts)


@contextmanager
def _workers(
    plan: Plan, workload: Workload, processes: int, board: str, lock: object
) -> Iterator[dict[Connection, BaseProcess]]:
    """Start the processes; give the end to read of each one's pipe, and end them in the end."""
    context = multiprocessing.get_context("spawn")
    started: dict[Connection, BaseProcess] = {}
    try:
        for index in range(processes):
            ours, theirs = context.Pipe(duplex=False)
            share = workload.part(index, processes)
            process: BaseProcess = context.Process(
                target=work, args=(plan, share, index, processes, board, lock, theirs), daemon=True
            )
            started[ours] = process
            with _signals_held():
                process.start()
            theirs.close()
        yield started
    finally:
        for pipe, process in started.items():
            _end(process)
            pipe.close()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Put off what SIGINT and SIGTERM do here, and keep SIGINT from a process started meanwhile.

    A process that is being started could not be ended; and one that was interrupted while it
    starts would show a trace. Blocking alone would not do: other threads take signals too.
    """
    came: list[int] = []
    held = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, lambda n, _: came.append(n)) for number in held}
    mask = getattr(signal, "pthread_sigmask", lambda *_: ())  # Windows has none
    before = mask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _end(process: BaseProcess) -> None:
    """End a process that has sent its part, or whose part nobody wants any more."""
    if process.pid is None:
        return
    process.terminate()
    process.join(timeout=_END_S)
    if process.is_alive():
        process.kill()
        process.join()


def _gather(
    workers: Mapping[Connection, BaseProcess], contender: str, tick: Callable[[], None]
) -> list[Part]:
    parts: list[Part] = []
    waiting = dict(workers)
    while waiting:
        for pipe in wait(list(waiting), timeout=_TICK_S):
            assert isinstance(pipe, Connection)
            parts.append(_received(pipe, waiting.pop(pipe), contender))
        tick()
    return parts


def _received(pipe: Connection, process: BaseProcess, contender: str) -> Part:
    try:
        received: Part | WorkerFailure = pipe.recv()
    except EOFError:
        process.join(timeout=_END_S)
        raise LabRunError(
            f"a process of {contender!r} died (exit code {process.exitcode})"
        ) from None
    if isinstance(received, WorkerFailure):
        raise LabRunError(f"a process of {contender!r} could not go on: {received.reason}")
    return received


def _outcome(plan: Plan, parts: Sequence[Part]) -> Outcome:
    latencies: Counter[int] = Counter()
    figures: Counter[str] = Counter()
    for part in parts:
        latencies.update(part.latencies_ns)
        figures.update(part.figures)
    p50_ns, p99_ns = _quantiles(latencies, (0.5, 0.99))
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


def _quantiles(counts: Counter[int], shares: Sequence[float]) -> list[int]:
    """Return the values below which each of `shares` lies (ascending); 0 where there are none."""
    total, seen = counts.total(), 0
    found: list[int] = []
    for value, count in sorted(counts.items()):
        seen += count
        while len(found) < len(shares) and seen > shares[len(found)] * total:
            found.append(value)
    return found + [0] * (len(shares) - len(found))
