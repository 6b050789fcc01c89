"""Sum up an open cache for those who look at the fleet from outside."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import os
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from freshwell.engines.counters import Stats
from freshwell.engines.observing import Observing
from freshwell.errors import CacheClosed, JournalError
from freshwell.ground.keys import short_digest
from freshwell.ground.names import shown
from freshwell.ground.records import Backlog
from freshwell.ground.snapshots import JournalState, Snapshot

__all__ = ["Publication", "new_process_name", "snapshot_of"]

_MAX_HOT = 20
_NS_PER_MS = 1_000_000
_UNFIT_FOR_NAMES = str.maketrans({":": "-", "*": "-", "?": "-", "[": "-", "]": "-"})


@runtime_checkable
class Backlogged(Protocol):
    """Something open with a cache that has a backlog."""

    journal_name: str

    def backlog(self) -> Backlog: ...


class Publication:
    """How a cache is published: under which name, how often, and whether keys are named."""

    def __init__(self, every_ns: int, *, keys: bool) -> None:
        self.every_ms = max(1, every_ns // _NS_PER_MS)
        self.keys = keys
        self.process = new_process_name()
        self.since_ns = time.monotonic_ns()


def new_process_name() -> str:
    """Return a name for this process that no other has, and that people can place."""
    host = socket.gethostname().translate(_UNFIT_FOR_NAMES)[:60]
    return f"{host}.{os.getpid()}.{secrets.token_hex(3)}"


def snapshot_of(
    namespace: str,
    publication: Publication,
    stats: Stats,
    observing: Observing,
    parts: Sequence[object],
) -> Snapshot:
    """Return what is to be published now. One round trip for each journal that is open."""
    numbers = stats.as_dict()
    hot = observing.hot.top(_MAX_HOT)
    journals: list[JournalState] = []
    for part in parts:
        if isinstance(part, Backlogged):
            try:
                journals.append(_journal(part.journal_name, part.backlog()))
            except (CacheClosed, JournalError):
                continue  # it has ended, or does not answer now
    return Snapshot(
        namespace=namespace,
        process=publication.process,
        every_ms=publication.every_ms,
        up_ms=(time.monotonic_ns() - publication.since_ns) // _NS_PER_MS,
        counts={
            name: round(value) for name, value in numbers.items() if not isinstance(value, str)
        },
        coherence=stats.coherence,
        load_counts=observing.loads.now().counts,
        hot=[
            (shown(one.key) if publication.keys else short_digest(one.key), one.reads)
            for one in hot
        ],
        journals=journals,
    )


def _journal(name: str, held: Backlog) -> JournalState:
    return JournalState(
        name, held.records, held.bytes, held.dead, held.oldest_age_s, held.source_down
    )
