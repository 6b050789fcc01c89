"""Processes that invalidate while L2 is away, until they are killed."""

from __future__ import annotations

import os
import threading
import warnings
from itertools import count
from typing import Any

from freshwell import Cache
from tests.support.worker import Talk

__all__ = ["forking", "invalidating", "outage"]


def outage(talk: Talk, *, url: str, spool: str) -> None:
    """Store an entry, wait for the outage, invalidate the entry, and wait to be killed."""
    cache = Cache(url, spool=spool, connect_timeout=2, command_timeout=2)
    cache.get_or_load("a", lambda: 1)
    talk.say("stored")
    talk.hear()
    cache.invalidate("a")
    talk.say("spooled")
    talk.hear()


def invalidating(talk: Talk, *, spool: str, seed: int) -> None:
    """Invalidate from several threads for ever where nobody listens, and say what is spooled."""
    cache = Cache("redis://127.0.0.1:1/0", spool=spool, max_spool=100_000)
    numbers = count()

    def invalidate() -> None:
        while True:
            key = f"{seed} {next(numbers)}"
            cache.invalidate(key, "of both")
            talk.say(key)

    for _ in range(3):
        threading.Thread(target=invalidate, daemon=True).start()
    talk.hear()


def forking(talk: Talk, *, spool: str) -> dict[str, Any]:
    """Invalidate where nobody listens, fork, and do it in both processes, until both are closed."""
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads
    cache = Cache("redis://127.0.0.1:1/0", spool=spool, drain=0)
    cache.invalidate("before")
    child = os.fork()
    if child == 0:
        cache.invalidate("in the child")
        records = cache.stats().spool_records
        cache.close()
        os._exit(records)
    _, status = os.waitpid(child, 0)
    cache.invalidate("in the parent")
    records = cache.stats().spool_records
    cache.close()
    return {"in_child": os.waitstatus_to_exitcode(status), "in_parent": records}
