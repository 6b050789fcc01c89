"""A journal in SQLite beside one that is a dictionary: whatever is done, they have the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from freshwell._sync.stores.local_journal import LocalJournal
from freshwell.errors import BacklogFull, LetterSuperseded
from freshwell.ground.records import DeadLetter, Draft, Kind, Record, Settled, sequence_of
from tests.journals._sync.parts import Local, draft
from tests.support.examples import examples

NAMES = ("a", "b", "c\0")
NOW_MS = 1_000
MAX_RECORDS, MAX_BYTES, MAX_DEAD = 12, 300, 3


class Model:
    """What a journal is, said plainly."""

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.dead: dict[int, DeadLetter] = {}

        self.last = sequence_of(NOW_MS)

    @property
    def bytes(self) -> int:
        return sum(record.size for record in self.records.values())

    def room_for(self, size: int) -> bool:
        return len(self.records) < MAX_RECORDS and self.bytes + size <= MAX_BYTES

    def accept(self, written: Draft) -> bool:
        self.last += 1
        self.records[self.last] = Record(self.last, *written)
        return True

    def latest(self, name: str) -> int | None:
        return max((s for s, record in self.records.items() if record.name == name), default=None)

    def is_superseded(self, sequence: int) -> bool:
        letter = self.dead[sequence]
        return letter.superseded or (self.latest(letter.record.name) or 0) > sequence


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.journal: LocalJournal = Local(None).made(
            max_records=MAX_RECORDS, max_bytes=MAX_BYTES, max_dead=MAX_DEAD
        )
        self.journal._engine._now_ms = lambda: NOW_MS
        assert self.journal.own(0)

    def teardown(self) -> None:
        self.journal.close()

    @rule(writes=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 60)), max_size=5))
    def accept(self, writes: list[tuple[str, int]]) -> None:
        drafts = [draft(name, bytes(size)) for name, size in writes]
        first = self.model.last + 1
        fit = sum(self.model.accept(one) for one in self._fitting(drafts))
        refused = [0] * (len(drafts) - fit)
        assert self.journal.accept(drafts) == [*range(first, first + fit), *refused]

    def _fitting(self, drafts: list[Draft]) -> Iterator[Draft]:
        return takewhile(lambda one: self.model.room_for(one.size), drafts)

    @rule(data=st.data())
    def settle(self, data: Any) -> None:
        chosen = data.draw(st.lists(st.sampled_from(("stored", "failed", "dead", "")), max_size=12))
        fates: dict[str, list[Record]] = {"stored": [], "failed": [], "dead": [], "": []}
        for record, fate in zip(self.journal.take(0, 0, 20), chosen, strict=False):
            fates[fate].append(record)
        failed = [record._replace(attempts=record.attempts + 1) for record in fates["failed"]]
        gone = data.draw(st.booleans())
        stored = list(fates["stored"])
        if gone:
            stored.append(Record(1, "a", b"", Kind.PUT, b"", b""))
        dead = [(record, "no") for record in fates["dead"]]
        settled = Settled(tuple(stored), tuple(failed), tuple(dead))
        assert self.journal.settle(0, settled) == gone
        self._settle_model(fates["stored"], failed, fates["dead"])

    def _settle_model(self, stored: list[Record], failed: list[Record], dead: list[Record]) -> None:
        for record in failed:
            self.model.records[record.sequence] = self.model.records[record.sequence]._replace(
                attempts=record.attempts
            )
        for record in dead:
            if len(self.model.dead) < MAX_DEAD:
                whole = self.model.records.pop(record.sequence)
                self.model.dead[record.sequence] = DeadLetter(whole, "no", 0)
        for record in stored:
            del self.model.records[record.sequence]
            for sequence, letter in self.model.dead.items():
                if letter.record.name == record.name and sequence < record.sequence:
                    self.model.dead[sequence] = letter._replace(superseded=True)

    @rule(data=st.data(), force=st.booleans())
    def retry(self, data: Any, force: bool) -> None:
        sequence = data.draw(st.sampled_from([1, *self.model.dead]))
        letter = self.model.dead.get(sequence)
        try:
            anew = self.journal.retry(sequence, force=force)
        except LetterSuperseded:
            assert self.model.is_superseded(sequence)
            assert not force
        except BacklogFull:
            assert letter is not None
            assert not self.model.room_for(letter.record.size)
        else:
            assert (anew is None) is (letter is None)
            if letter is not None and anew is not None:
                assert force or not self.model.is_superseded(sequence)
                assert self.model.room_for(letter.record.size)
                del self.model.dead[sequence]
                _, name, id, kind, payload, token, *_ = letter.record
                self.model.accept(Draft(name, id, kind | Kind.REVIVED, payload, token))
                assert anew == self.model.last

    @rule(data=st.data())
    def drop(self, data: Any) -> None:
        sequence = data.draw(st.sampled_from([1, *self.model.dead]))
        assert self.journal.drop(sequence) is (self.model.dead.pop(sequence, None) is not None)

    @invariant()
    def they_have_the_same(self) -> None:
        records = [record._replace(accepted_ms=0) for record in self.journal.pending()]
        assert records == [self.model.records[s] for s in sorted(self.model.records)]
        letters = [
            letter._replace(died_ms=0, record=letter.record._replace(accepted_ms=0))
            for letter in self.journal.dead()
        ]
        assert letters == [self.model.dead[s] for s in sorted(self.model.dead)]
        backlog = self.journal.backlog()
        assert (backlog.records, backlog.bytes) == (len(records), self.model.bytes)
        assert backlog.dead == len(letters)

    @invariant()
    def what_is_pending_is_known(self) -> None:
        for name in NAMES:
            assert self.journal.is_pending(name) is (self.model.latest(name) is not None)
        found = self.journal.latest(NAMES)
        assert [r and r.sequence for r in found] == [self.model.latest(name) for name in NAMES]


TestModel = Machine.TestCase
TestModel.settings = settings(examples(50, deadline=None), stateful_step_count=20)
