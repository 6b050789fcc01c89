"""What every desk does: a journal, as people handle it."""

from __future__ import annotations

from typing import ClassVar

import pytest

from freshwell.errors import LetterSuperseded
from freshwell.ground.records import Kind, Record
from freshwell.testing._async.journal_parts import Make, Opened, all_stored, dies, draft, settle
from freshwell.testing._marks.aio import MARKS

__all__ = ["AsyncDeskConformance"]


class AsyncDeskConformance:
    """What people do with a journal: look at what waits, bring dead letters back or forget them.

    As the suite of journals, of which it takes the fixture `make`; but what that opens is a desk
    as well, with the methods of both.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = MARKS

    @pytest.fixture
    def make(self) -> Make:
        """Open a journal that is a desk too: to be overridden."""
        pytest.fail("give the class a fixture `make`: see the docstring of the suite")

    async def test_a_dead_letter_is_kept_with_its_reason(self, make: Make) -> None:
        async with Opened(make) as journal:
            (sequence,) = await journal.accept([draft("a", b"value")])
            await settle(journal, dies("a"))
            (letter,) = await journal.dead()
            assert letter.record.payload == b"value"
            assert (letter.record.sequence, letter.reason) == (sequence, "refused")
            assert letter.died_ms >= letter.record.accepted_ms
            assert not letter.superseded
            assert await journal.letter(sequence) == letter

    async def test_a_record_that_waits_is_found_by_its_sequence(self, make: Make) -> None:
        async with Opened(make) as journal:
            (sequence,) = await journal.accept([draft("a", b"value")])
            found = await journal.letter(sequence)
            assert isinstance(found, Record)
            assert [found] == await journal.pending()
            assert await journal.letter(sequence + 1) is None

    @pytest.mark.parametrize("sequence", [-1, 0, 5, 2**63 - 1, 2**63, 2**80], ids=str)
    async def test_sequences_that_are_none_name_nothing(self, make: Make, sequence: int) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a")])
            await settle(journal, dies("a"))
            assert await journal.letter(sequence) is None
            assert await journal.retry(sequence) is None
            assert not await journal.drop(sequence)
            assert len(await journal.dead()) == 1

    async def test_dead_letters_are_listed_page_by_page(self, make: Make) -> None:
        async with Opened(make) as journal:
            sequences = await journal.accept([draft("a") for _ in range(5)])
            await settle(journal, dies("a"))
            first = await journal.dead(limit=3)
            rest = await journal.dead(after=first[-1].record.sequence)
            assert [letter.record.sequence for letter in (*first, *rest)] == sequences

    async def test_a_dead_letter_is_accepted_anew_behind_all_others(self, make: Make) -> None:
        async with Opened(make) as journal:
            written = draft("a", b"value")
            (sequence,) = await journal.accept([written])
            await settle(journal, dies("a"))
            anew = await journal.retry(sequence)
            assert anew is not None
            assert anew > sequence
            (record,) = await journal.pending()
            assert record[:6] == (anew, *written._replace(kind=Kind.PUT | Kind.REVIVED))
            assert record.attempts == 0
            assert await journal.dead() == []
            backlog = await journal.backlog()
            assert (backlog.records, backlog.bytes, backlog.dead) == (1, written.size, 0)

    async def test_a_dead_letter_is_forgotten(self, make: Make) -> None:
        async with Opened(make) as journal:
            (sequence,) = await journal.accept([draft("a")])
            await settle(journal, dies("a"))
            assert await journal.drop(sequence)
            assert not await journal.drop(sequence)
            assert (await journal.backlog()).dead == 0

    async def test_a_dead_letter_whose_key_has_been_stored_since_is_superseded(
        self, make: Make
    ) -> None:
        async with Opened(make) as journal:
            (sequence,) = await journal.accept([draft("a", b"old")])
            await settle(journal, dies("a"))
            await journal.accept([draft("a", b"new"), draft("b")])
            await settle(journal, all_stored)
            (letter,) = await journal.dead()
            assert letter.superseded
            with pytest.raises(LetterSuperseded):
                await journal.retry(sequence)
            assert len(await journal.dead()) == 1
            assert await journal.retry(sequence, force=True) is not None

    async def test_a_dead_letter_whose_key_waits_to_be_stored_is_not_tried_again(
        self, make: Make
    ) -> None:
        async with Opened(make) as journal:
            (sequence,) = await journal.accept([draft("a", b"old")])
            await settle(journal, dies("a"))
            await journal.accept([draft("a", b"new")])
            with pytest.raises(LetterSuperseded):
                await journal.retry(sequence)

    async def test_a_dead_letter_of_another_key_is_not_superseded(self, make: Make) -> None:
        async with Opened(make) as journal:
            (sequence,) = await journal.accept([draft("a")])
            await settle(journal, dies("a"))
            await journal.accept([draft("b")])
            await settle(journal, all_stored)
            assert await journal.retry(sequence) is not None
