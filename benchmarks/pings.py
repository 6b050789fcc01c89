"""How long another client waits for its PINGs meanwhile, measured by a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from redis import Redis

__all__ = ["pinging", "prefer"]

_PAUSE_S = 0.0005
_LIMIT_S = 120.0


def prefer(pid: int) -> None:
    """Let a process go before others of the machine, where that is allowed.

    What is measured are the server's pauses, and not those of a machine that others use too.
    """
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(10))


@contextmanager
def pinging(url: str) -> Iterator[list[float]]:
    """Let a process send PINGs, with pauses of half a millisecond, for as long as this is open.

    The list that is given has what they took, in milliseconds, when it has been closed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_ping, args=(url, theirs), daemon=True)
    process.start()
    taken_ms: list[float] = []
    try:
        ours.recv()
        yield taken_ms
        ours.send("end")
        if not ours.poll(_LIMIT_S):
            raise TimeoutError("the process that sends PINGs does not answer")
        taken_ms += ours.recv()
    finally:
        process.terminate()
        process.join()
        ours.close()


def _ping(url: str, pipe: Connection) -> None:
    prefer(os.getpid())
    taken_ms: list[float] = []
    with Redis.from_url(url) as client:
        client.ping()
        pipe.send("ready")
        while not pipe.poll():
            began_ns = time.perf_counter_ns()
            client.ping()
            taken_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
            time.sleep(_PAUSE_S)
    pipe.send(taken_ms)
