"""What the parts of `benchmarks.scale` share: children to talk to, the server's CPU, tables."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from redis import Redis

__all__ = ["answer", "child", "cpu_us", "show"]

_LIMIT_S = 1_200.0


@contextmanager
def child(target: Callable[..., None], *args: Any) -> Iterator[Connection]:
    """Let ``target(pipe, *args)`` run in a process of its own for as long as this is open."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()


def answer(pipe: Connection) -> Any:
    """Return what a child says next."""
    if not pipe.poll(_LIMIT_S):
        raise TimeoutError("a process of the benchmark does not answer")
    return pipe.recv()


def cpu_us(client: Redis) -> float:
    """Return how much CPU time the server has taken so far, in microseconds."""
    facts: Any = client.info("cpu")
    return float(facts["used_cpu_user"] + facts["used_cpu_sys"]) * 1e6


def show(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, its columns as wide as their heads."""
    print(f"\n{title}")
    widths = [max(10, len(head) + 2) for head in heads]
    for row in (heads, *rows):
        print("  " + "".join(f"{cell!s:>{w}}" for cell, w in zip(row, widths, strict=True)))
