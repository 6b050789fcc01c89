"""Processes that share a journal's file, and what is left of it when they are killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from freshwell._sync.stores.local_journal import LocalJournal
from freshwell.errors import ConfigurationError
from freshwell.ground.records import Settled
from tests.journals._sync.parts import draft
from tests.support.processes import workers

Make = Callable[..., LocalJournal]


# -- when a process is killed ---------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False], ids=["file", "control: memory"])
def test_what_was_accepted_is_there_after_a_kill(make: Make, path: Path, kept: bool) -> None:
    acked = []
    with workers("tests.journals.working:writing", [{"path": str(path) if kept else None}]) as all_:
        acked += [all_[0].hear() for _ in range(500)]
        all_[0].kill()
        while True:  # what it said before it was killed
            message = all_[0]._messages.get(timeout=20)
            if "said" not in message:
                break
            acked.append(message["said"])
    journal = make()
    found: list[int] = []
    after = 0
    while page := journal.pending(after, 1_000):
        found += (int(record.payload) for record in page)
        after = page[-1].sequence
    assert (set(acked) <= set(found)) is kept
    assert journal.backlog().records == len(found)
    journal.accept([draft("a")])  # the lock has ended with its holder


def test_one_process_writes(make: Make, path: Path) -> None:
    with workers("tests.journals.working:writing", [{"path": str(path)}]) as (writer,):
        writer.hear()
        journal = make()
        with pytest.raises(ConfigurationError, match=f"by process {writer.pid}"):
            journal.accept([draft("a")])
        assert journal.backlog().records
        writer.kill()
    journal.accept([draft("a")])


def test_one_process_flushes_and_another_takes_over_when_it_dies(make: Make, path: Path) -> None:
    journal = make()
    journal.accept([draft("a")])
    with workers("tests.journals.working:flushing", [{"path": str(path)}]) as (flusher,):
        flusher.hear()
        assert not journal.own(0)
        flusher.kill()
    assert journal.own(0)
    assert [record.name for record in journal.take(0, 0, 10)] == ["a"]


def test_what_another_process_has_flushed_is_pending_no_longer(make: Make, path: Path) -> None:
    journal = make(max_records=2)
    journal.accept([draft("a"), draft("b")])
    with workers("tests.journals.working:flushing", [{"path": str(path)}]) as (flusher,):
        flusher.hear()
        flusher.say("go")
        assert flusher.hear() == 2
    assert journal.is_pending("a")
    assert journal.latest(["a"]) == [None]
    assert not journal.is_pending("a")
    journal.accept([draft("c"), draft("c")])  # the bound is kept by what is there


def test_what_is_known_as_pending_is_bounded_when_others_flush(make: Make) -> None:
    journal, flusher = make(), make()
    assert flusher.own(0)
    for number in range(6):
        journal.accept([draft(f"{number} {each}") for each in range(300)])
        flusher.settle(0, Settled(stored=tuple(flusher.take(0, 0, 1_000))))
        flusher.settle(0, Settled(stored=tuple(flusher.take(0, 0, 1_000))))
    journal.accept([draft("last")])
    assert not journal.is_pending("0 0")
    assert journal.is_pending("last")


def test_a_forked_child_begins_anew_without_the_locks(path: Path) -> None:
    with workers("tests.journals.working:forking", [{"path": str(path)}]) as group:
        (told,) = group.results()
    assert told["status"] == 0
    assert told["in_child"].startswith("1 False ")
    assert f"by process {told['pid']}" in told["in_child"]
    assert told["names"] == ["a", "c"]
