"""Writes of several callers in one call of a journal in a file: each as if it were alone."""

from __future__ import annotations

from typing import Any

from freshwell._kit.threads_promise import Promise
from tests.journals._sync.parts import draft
from tests.journals.conftest import Make
from tests.journals.test_sqlite import Hold


def test_of_the_writes_of_several_callers_one_that_cannot_be_fails_alone(make: Make) -> None:
    journal = make()
    hold, alone, shared = Hold(), Promise[list[int]](), Promise[list[Any]]()
    journal._engine.write(hold, Promise())
    hold.begun.wait(20)
    journal._engine.accept([draft("first")], alone)
    journal._engine.accept_each(
        [draft("a"), draft("a")._replace(name="\ud800"), draft("b")], shared
    )
    hold.let_go.set()
    (first,), outcomes = alone.wait(20), shared.wait(20)
    assert [type(outcome) for outcome in outcomes] == [int, UnicodeEncodeError, int]
    found = [(record.name, record.sequence) for record in journal.pending()]
    assert found == [("first", first), ("a", outcomes[0]), ("b", outcomes[2])]
    assert journal.backlog().records == 3


def test_of_the_writes_of_several_callers_one_without_room_keeps_out_no_other(make: Make) -> None:
    journal = make(max_bytes=1_000)
    drafts = [draft("a"), draft("b", bytes(999)), draft("c")]
    assert list(map(bool, journal.accept(drafts, each=True))) == [True, False, True]
    assert list(map(bool, journal.accept(drafts))) == [True, False, False], "the control"
