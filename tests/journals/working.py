"""Processes that write or flush, until they are told to end or are killed."""

from __future__ import annotations

import os
import resource
import threading
import warnings
from itertools import count
from typing import Any

from freshwell._sync.stores.local_journal import LocalJournal
from freshwell.errors import ConfigurationError, JournalUnavailable
from freshwell.ground.records import Settled
from tests.journals._sync.parts import draft
from tests.support.worker import Talk

__all__ = ["filling", "flushing", "forking", "writing"]


def journal_at(path: str | None) -> LocalJournal:
    return LocalJournal(
        path, owner="user:{id}", max_records=10**6, max_bytes=2**30, max_dead=100, timeout_s=30
    )


def writing(talk: Talk, *, path: str | None) -> None:
    """Accept from several threads for ever, and say each payload when it is accepted."""
    journal = journal_at(path)
    numbers = count()

    def write() -> None:
        while True:
            number = next(numbers)
            journal.accept([draft(f"key {number % 7}", b"%d" % number)])
            talk.say(number)

    for _ in range(4):
        threading.Thread(target=write, daemon=True).start()
    talk.hear()


def flushing(talk: Talk, *, path: str) -> int:
    """Own the shard, say so, settle all there is when told to, and tell how many there were."""
    journal = journal_at(path)
    assert journal.own(0)
    talk.say("owned")
    talk.hear()
    records = journal.take(0, 0, 1_000)
    journal.settle(0, Settled(stored=tuple(records)))
    talk.say(len(records))
    talk.hear()
    return len(records)


def filling(talk: Talk, *, path: str) -> dict[str, Any]:
    """Write until files may not grow any more, then let them, and write again."""
    journal = journal_at(path)
    journal.accept([draft("a", b"0")])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    accepted, refusals = [0], 0
    for number in range(1, 500):
        try:
            journal.accept([draft("a", b"%d " % number + bytes(4_000))])
        except JournalUnavailable:
            refusals += 1
            if refusals == 3:
                break
        else:
            accepted.append(number)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    journal.accept([draft("a", b"1000")])
    accepted.append(1_000)
    found = [int(record.payload.split()[0].strip(b"\0")) for record in journal.pending(0, 1_000)]
    journal.close()
    return {"accepted": accepted, "found": found, "refusals": refusals}


def forking(talk: Talk, *, path: str) -> dict[str, Any]:
    """Use a journal, fork, and use it in both processes. Tells what became of it."""
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads
    journal = journal_at(path)
    journal.accept([draft("a")])
    journal.own(0)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        told = f"{len(journal.pending())} {journal.own(0)} "
        try:
            journal.accept([draft("b")])
        except ConfigurationError as error:
            told += str(error)
        journal.close()
        os.write(writable, told.encode())
        os._exit(0)
    os.close(writable)
    _, status = os.waitpid(child, 0)
    in_child = os.read(readable, 1_000).decode()
    os.close(readable)
    journal.accept([draft("c")])
    names = [record.name for record in journal.take(0, 0, 10)]
    journal.close()
    return {"status": status, "in_child": in_child, "names": names, "pid": os.getpid()}
