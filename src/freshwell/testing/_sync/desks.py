"""What every desk does: a journal, as people handle it."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from typing import ClassVar

import pytest

from freshwell.errors import LetterSuperseded
from freshwell.ground.records import Kind, Record
from freshwell.testing._sync.journal_parts import Make, Opened, all_stored, dies, draft, settle
from freshwell.testing._marks.threads import MARKS

__all__ = ["DeskConformance"]


class DeskConformance:
    """What people do with a journal: look at what waits, bring dead letters back or forget them.

    As the suite of journals, of which it takes the fixture `make`; but what that opens is a desk
    as well, with the methods of both.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = MARKS

    @pytest.fixture
    def make(self) -> Make:
        """Open a journal that is a desk too: to be overridden."""
        pytest.fail("give the class a fixture `make`: see the docstring of the suite")

    def test_a_dead_letter_is_kept_with_its_reason(self, make: Make) -> None:
        with Opened(make) as journal:
            (sequence,) = journal.accept([draft("a", b"value")])
            settle(journal, dies("a"))
            (letter,) = journal.dead()
            assert letter.record.payload == b"value"
            assert (letter.record.sequence, letter.reason) == (sequence, "refused")
            assert letter.died_ms >= letter.record.accepted_ms
            assert not letter.superseded
            assert journal.letter(sequence) == letter

    def test_a_record_that_waits_is_found_by_its_sequence(self, make: Make) -> None:
        with Opened(make) as journal:
            (sequence,) = journal.accept([draft("a", b"value")])
            found = journal.letter(sequence)
            assert isinstance(found, Record)
            assert [found] == journal.pending()
            assert journal.letter(sequence + 1) is None

    @pytest.mark.parametrize("sequence", [-1, 0, 5, 2**63 - 1, 2**63, 2**80], ids=str)
    def test_sequences_that_are_none_name_nothing(self, make: Make, sequence: int) -> None:
        with Opened(make) as journal:
            journal.accept([draft("a")])
            settle(journal, dies("a"))
            assert journal.letter(sequence) is None
            assert journal.retry(sequence) is None
            assert not journal.drop(sequence)
            assert len(journal.dead()) == 1

    def test_dead_letters_are_listed_page_by_page(self, make: Make) -> None:
        with Opened(make) as journal:
            sequences = journal.accept([draft("a") for _ in range(5)])
            settle(journal, dies("a"))
            first = journal.dead(limit=3)
            rest = journal.dead(after=first[-1].record.sequence)
            assert [letter.record.sequence for letter in (*first, *rest)] == sequences

    def test_a_dead_letter_is_accepted_anew_behind_all_others(self, make: Make) -> None:
        with Opened(make) as journal:
            written = draft("a", b"value")
            (sequence,) = journal.accept([written])
            settle(journal, dies("a"))
            anew = journal.retry(sequence)
            assert anew is not None
            assert anew > sequence
            (record,) = journal.pending()
            assert record[:6] == (anew, *written._replace(kind=Kind.PUT | Kind.REVIVED))
            assert record.attempts == 0
            assert journal.dead() == []
            backlog = journal.backlog()
            assert (backlog.records, backlog.bytes, backlog.dead) == (1, written.size, 0)

    def test_a_dead_letter_is_forgotten(self, make: Make) -> None:
        with Opened(make) as journal:
            (sequence,) = journal.accept([draft("a")])
            settle(journal, dies("a"))
            assert journal.drop(sequence)
            assert not journal.drop(sequence)
            assert journal.backlog().dead == 0

    def test_a_dead_letter_whose_key_has_been_stored_since_is_superseded(
        self, make: Make
    ) -> None:
        with Opened(make) as journal:
            (sequence,) = journal.accept([draft("a", b"old")])
            settle(journal, dies("a"))
            journal.accept([draft("a", b"new"), draft("b")])
            settle(journal, all_stored)
            (letter,) = journal.dead()
            assert letter.superseded
            with pytest.raises(LetterSuperseded):
                journal.retry(sequence)
            assert len(journal.dead()) == 1
            assert journal.retry(sequence, force=True) is not None

    def test_a_dead_letter_whose_key_waits_to_be_stored_is_not_tried_again(
        self, make: Make
    ) -> None:
        with Opened(make) as journal:
            (sequence,) = journal.accept([draft("a", b"old")])
            settle(journal, dies("a"))
            journal.accept([draft("a", b"new")])
            with pytest.raises(LetterSuperseded):
                journal.retry(sequence)

    def test_a_dead_letter_of_another_key_is_not_superseded(self, make: Make) -> None:
        with Opened(make) as journal:
            (sequence,) = journal.accept([draft("a")])
            settle(journal, dies("a"))
            journal.accept([draft("b")])
            settle(journal, all_stored)
            assert journal.retry(sequence) is not None
