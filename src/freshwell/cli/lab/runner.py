"""Run contenders over a workload, each in processes of its own, and gather what they measured."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from freshwell.cli.lab.database import build_database
from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.plan import Outcome, Plan
from freshwell.cli.lab.worker import Board, Part, work
from freshwell.cli.lab.workload import Workload

__all__ = ["Settings", "check_redis", "run_all"]

_TICK_S = 0.1
_NS_PER_S = 1_000_000_000

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
    read: str
    redis: str | None
    delay_s: float
    plain_requests: int


def check_redis(url: str) -> None:
    """Raise `LabInputError`, in one sentence, unless a server answers at `url`."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    try:
        with Redis.from_url(
            url, socket_connect_timeout=2, socket_timeout=2, retry=Retry(NoBackoff(), 0)
        ) as client:
            client.ping()
    except ValueError as error:
        raise LabInputError(f"--redis: {error}") from None
    except RedisError as error:
        raise LabInputError(f"--redis: no server answers there ({error})") from None


def run_all(workload: Workload, settings: Settings, progress: Progress) -> list[Outcome]:
    """Build the database, run every contender, and return what they measured."""
    with tempfile.TemporaryDirectory(prefix="freshwell-lab-") as folder:
        outcomes: list[Outcome] = []
        for contender in settings.contenders:
            path = Path(folder) / f"{contender}.db"
            build_database(path, products=workload.distinct, value_bytes=workload.value_bytes)
            requests = workload.first(settings.plain_requests) if contender == "no cache" else workload
            plan = _plan(contender, path, settings)
            with _tidied(plan):
                outcomes.append(_run(plan, requests, settings.processes, progress))
            path.unlink()
        return outcomes


def _plan(contender: str, path: Path, settings: Settings) -> Plan:
    return Plan(
        contender=contender,
        run=f"lab-{os.getpid()}-{contender.replace(' ', '-')}",
        database=str(path),
        ttl_s=settings.ttl_s,
        entries=settings.entries,
        workers=settings.workers,
        read=settings.read,
        redis=settings.redis,
        delay_s=settings.delay_s,
    )


def _run(plan: Plan, workload: Workload, processes: int, progress: Progress) -> Outcome:
    memory, board = Board.create(workload.distinct, processes)
    try:
        with _workers(plan, workload, processes, memory.name) as pipes:
            parts = _gather(
                pipes, lambda: progress(plan.contender, sum(board.done), len(workload))
            )
    finally:
        board.close()
        memory.unlink()
    return _outcome(plan, parts)


@contextmanager
def _workers(
    plan: Plan, workload: Workload, processes: int, board: str
) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    started: list[BaseProcess] = []
    pipes: list[Connection] = []
    try:
        for index in range(processes):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=work, args=(plan, workload, index, processes, board, theirs), daemon=True
            )
            process.start()
            theirs.close()
            started.append(process)
            pipes.append(ours)
        yield pipes
    finally:
        for process in started:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
        for pipe in pipes:
            pipe.close()


def _gather(pipes: Sequence[Connection], tick: Callable[[], None]) -> list[Part]:
    parts: list[Part] = []
    waiting = list(pipes)
    while waiting:
        for pipe in wait(waiting, timeout=_TICK_S):
            assert isinstance(pipe, Connection)
            try:
                parts.append(pipe.recv())
            except EOFError:
                raise RuntimeError("a worker process of the lab died: its error is above") from None
            waiting.remove(pipe)
        tick()
    return parts


def _outcome(plan: Plan, parts: Sequence[Part]) -> Outcome:
    latencies = array("q")
    for part in parts:
        latencies.extend(part.latencies_ns)
    ordered = sorted(latencies)
    figures: dict[str, float] = {}
    for part in parts:
        for name, value in part.figures.items():
            figures[name] = figures.get(name, 0) + value
    reads, writes = sum(p.reads for p in parts), sum(p.writes for p in parts)
    return Outcome(
        contender=plan.contender,
        requests=reads + writes,
        reads=reads,
        writes=writes,
        loads=sum(part.loads for part in parts),
        elapsed_s=(max(p.ended_ns for p in parts) - min(p.began_ns for p in parts)) / _NS_PER_S,
        p50_us=_quantile(ordered, 0.5) / 1_000,
        p99_us=_quantile(ordered, 0.99) / 1_000,
        stale_reads=sum(part.stale_reads for part in parts),
        worst_stale_ms=max(part.worst_stale_ns for part in parts) / 1_000_000,
        memory_bytes=sum(part.memory_bytes for part in parts),
        figures=figures,
        errors=sum(part.errors for part in parts),
    )


def _quantile(ordered: Sequence[int], share: float) -> float:
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) if ordered else 0.0


@contextmanager
def _tidied(plan: Plan) -> Iterator[None]:
    """Remove what a run has left on a shared server: its own keys, in small batches."""
    try:
        yield
    finally:
        if plan.redis is not None:
            _remove_keys(plan.redis, (f"{plan.run}:*", f"fw:e:{plan.run}:*"))


def _remove_keys(url: str, patterns: Sequence[str]) -> None:
    from redis import Redis

    with Redis.from_url(url) as client:
        for pattern in patterns:
            batch: list[bytes] = []
            for key in client.scan_iter(match=pattern, count=1000):
                batch.append(key)
                if len(batch) == 1000:
                    client.unlink(*batch)
                    batch.clear()
            if batch:
                client.unlink(*batch)

