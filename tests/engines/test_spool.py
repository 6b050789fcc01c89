"""What waits for L2: each invalidation once, bounded, withheld for as long as it waits, on disk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freshwell.engines.spool import Held, Spool
from freshwell.engines.spool_file import SpoolFile
from freshwell.errors import ConfigurationError, JournalUnavailable
from freshwell.ground.names import Names, user_tag
from freshwell.ground.spooling import Act, Missed, Row
from tests.support.examples import examples

S = 1_000_000_000
NAMES = Names("n")


def entry(name: str, act: Act = Act.INVALIDATE, version: str = "") -> Missed:
    return Missed(act, name, version)


def tag(name: str) -> Missed:
    return Missed(Act.VOID, user_tag(name), "")


def digest(name: str) -> bytes:
    return NAMES.digest(user_tag(name))


def spool(limit: int = 100) -> Spool:
    return Spool(NAMES, limit)


def added(held: Spool, *missed: Missed, now_ns: int = 0) -> list[Held]:
    found = held.add(missed, now_ns)
    assert found is not None
    return found


def waiting(held: Spool) -> list[Missed]:
    return [one.missed for one in held.oldest(1_000)]


# -- in memory ------------------------------------------------------------------------------


def test_an_entry_is_withheld_by_itself_and_by_its_tags_until_l2_has_all_of_it() -> None:
    held = spool()
    first = added(held, entry("a"), tag("t"))
    again = added(held, entry("a", Act.EXPIRE))
    assert held.withholds("a")
    assert held.withholds("b", (digest("x"), digest("t")))
    assert held.withholds_tag(digest("t"))
    assert not held.withholds("b", (digest("x"),))
    held.remove(first)
    assert held.withholds("a"), "its end of freshness is still to be told"
    assert not held.withholds_tag(digest("t"))
    held.remove(again)
    assert not held.withholds("a")


def test_the_same_waits_once_behind_what_came_before_it() -> None:
    held = spool()
    added(held, entry("a"), entry("b"))
    added(held, entry("a"))
    assert waiting(held) == [entry("b"), entry("a")]


def test_what_was_added_anew_while_l2_was_told_is_told_again() -> None:
    held = spool()
    told = added(held, entry("a"))
    added(held, entry("a"))
    held.remove(told)
    assert waiting(held) == [entry("a")]
    assert held.withholds("a")


def test_a_call_without_room_for_all_of_it_adds_nothing() -> None:
    held = spool(limit=2)
    added(held, entry("a"), entry("b"))
    assert held.add([entry("a"), entry("c")], 0) is None
    assert waiting(held) == [entry("a"), entry("b")]
    added(held, entry("b"), entry("a"))  # these take no more room


def test_what_is_taken_back_was_never_there_and_what_was_there_before_is() -> None:
    held = spool()
    before = added(held, entry("a"), now_ns=S)
    held.take_back(added(held, entry("a"), entry("b"), now_ns=3 * S))
    assert waiting(held) == [entry("a")]
    assert not held.withholds("b")
    assert held.age_s(4 * S) == 3.0
    held.remove(before)
    assert not len(held)


def test_what_an_earlier_process_left_comes_in_beyond_the_limit_and_takes_up_room() -> None:
    held = spool(limit=1)
    rows = [Row(entry(name), name.encode(), 1_000) for name in "ab"]
    held.take_over(rows, now_ns=100 * S, now_ms=6_000)
    assert held.withholds("a")
    assert held.withholds("b")
    assert held.age_s(100 * S) == 5.0
    assert held.add([entry("c")], 100 * S) is None
    held.remove(held.oldest(2))
    added(held, entry("c"))


def test_the_oldest_are_found_by_name_too() -> None:
    held = spool()
    added(held, entry("a"), entry("b"), tag("t"), entry("a", Act.EXPIRE))
    found = held.oldest(10, {"a", user_tag("t")})
    assert [one.missed for one in found] == [entry("a"), tag("t"), entry("a", Act.EXPIRE)]
    assert held.oldest(1) == found[:1]


class SpoolModel(RuleBasedStateMachine):
    """A spool against a dictionary from what waits to its latest mark."""

    def __init__(self) -> None:
        super().__init__()
        self.spool = spool(limit=4)
        self.model: dict[Missed, bytes] = {}
        self.taken: list[Held] = []

    some = st.lists(
        st.builds(
            Missed, st.sampled_from(Act), st.sampled_from(["#a", "#b", "#c"]), st.sampled_from("12")
        ),
        max_size=3,
    )

    @rule(missed=some, back=st.booleans())
    def add(self, missed: Sequence[Missed], back: bool) -> None:
        held = self.spool.add(missed, 0)
        assert (held is None) is (len(self.model.keys() | set(missed)) > 4)
        if held is not None and back:
            self.spool.take_back(held)
        elif held is not None:
            self.model.update({one.missed: one.mark for one in held})

    @rule(limit=st.integers(1, 4))
    def take(self, limit: int) -> None:
        self.taken = self.spool.oldest(limit)

    @rule()
    def remove(self) -> None:
        self.spool.remove(self.taken)
        for one in self.taken:
            if self.model.get(one.missed) == one.mark:
                del self.model[one.missed]

    @invariant()
    def agrees(self) -> None:
        self.spool.check()
        assert {one.missed: one.mark for one in self.spool.oldest(100)} == self.model


SpoolModel.TestCase.settings = examples(30)
TestSpoolModel = SpoolModel.TestCase


# -- in a file ------------------------------------------------------------------------------


class Files:
    """Files opened by a test, which waits for their answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened: list[SpoolFile] = []

    def open(self, namespace: str = "n") -> SpoolFile:
        file = SpoolFile(str(self.path), namespace, _answer)
        self.opened.append(file)
        return file


def _answer(answers: list[Any]) -> None:
    for ticket, value, error in answers:
        ticket(value, error)


def ask(asked: Any, *arguments: Any) -> None:
    """Ask a file for something, wait until it is done, and raise what it raised."""
    done = threading.Event()
    errors: list[BaseException | None] = []

    def ticket(value: Any, error: BaseException | None) -> None:
        errors.append(error)
        done.set()

    asked(*arguments, ticket)
    assert done.wait(20)
    if errors[0] is not None:
        raise errors[0]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path / "spool.db")
    yield files
    for file in files.opened:
        ask(file.close)


def row(name: str, mark: bytes) -> Row:
    return Row(entry(name, version="7"), mark, 5)


def test_what_was_recorded_is_found_by_the_next_who_opens_the_file_in_order(files: Files) -> None:
    file = files.open()
    assert file.rows() == []
    ask(file.record, [row("b", b"1"), row("a", b"2")])
    assert files.open().rows() == [row("b", b"1"), row("a", b"2")]
    assert files.open("other").rows() == [], "each namespace has its own"


def test_a_row_recorded_anew_by_anybody_outlives_the_end_of_the_one_before(files: Files) -> None:
    one, other = files.open(), files.open()
    ask(one.record, [row("a", b"1"), row("b", b"2")])
    ask(other.record, [row("a", b"3")])
    ask(one.remove, [b"1", b"2"])
    assert one.rows() == [row("a", b"3")]
    ask(other.remove, [b"3", b"gone"])
    assert one.rows() == []


def test_a_file_of_something_else_is_refused_and_left_alone(files: Files) -> None:
    with sqlite3.connect(files.path) as other:
        other.execute("CREATE TABLE users (id)")
    other.close()
    was = files.path.read_bytes()
    with pytest.raises(ConfigurationError, match="something else"):
        files.open().rows()
    assert files.path.read_bytes() == was


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "spool.db", tmp_path):
        with pytest.raises(ConfigurationError, match=r"no folder|cannot be used"):
            SpoolFile(str(path), "n", _answer).rows()


def test_what_the_disk_does_not_take_is_an_error_and_the_file_goes_on(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freshwell.engines.sqlite_file._BUSY_MS", 10)
    file = files.open()
    file.rows()
    holder = sqlite3.connect(files.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalUnavailable, match="the spool could not write"):
        ask(file.record, [row("a", b"1")])
    holder.close()
    ask(file.record, [row("b", b"2")])
    assert file.rows() == [row("b", b"2")]


def test_a_file_that_was_removed_is_made_anew(files: Files) -> None:
    file = files.open()
    ask(file.record, [row("a", b"1")])
    for left in files.path.parent.iterdir():
        left.unlink()
    ask(file.record, [row("b", b"2")])
    assert file.rows() == [row("b", b"2")]


def test_a_file_that_is_closed_takes_nothing(files: Files) -> None:
    file = files.open()
    ask(file.close)
    with pytest.raises(JournalUnavailable):
        ask(file.record, [row("a", b"1")])
    assert not file.close(lambda *_: None)
    files.opened.clear()
