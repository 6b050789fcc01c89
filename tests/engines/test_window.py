"""Records of a shard: each key in order, none twice, none lost, and no key waits for another."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freshwell.engines.window import Handout, Window
from freshwell.ground.records import Kind, Record
from tests.support.examples import examples

BIG = 1 << 40


def record(sequence: int, name: str = "a", size: int = 0, attempts: int = 0) -> Record:
    payload = bytes(max(size - len(name), 0))
    return Record(sequence, name, b"", Kind.PUT, payload, bytes(16), attempts)


def window(coalesce: bool = True, records: int = 100, size: int = BIG) -> Window:
    return Window(most_records=records, most_bytes=size, coalesce=coalesce)


def sequences(handouts: list[Handout]) -> list[int]:
    return [handout.record.sequence for handout in handouts]


def test_the_newest_record_of_a_key_covers_those_before_it() -> None:
    held = window()
    held.add([record(1), record(2, "b"), record(3)])
    handouts = held.hand_out(0, 10, BIG)
    assert sequences(handouts) == [3, 2]
    assert [r.sequence for r in handouts[0].covers] == [1, 3]
    held.stored(handouts[0])
    assert len(held) == 1


def test_without_coalescing_each_goes_alone_and_in_order() -> None:
    held = window(coalesce=False)
    held.add([record(1), record(2), record(3, "b")])
    first = held.hand_out(0, 10, BIG)
    assert sequences(first) == [1, 3]
    assert held.hand_out(0, 10, BIG) == []
    held.stored(first[0])
    assert sequences(held.hand_out(0, 10, BIG)) == [2]


def test_a_key_that_was_handed_out_is_busy_until_it_is_said_what_came_of_it() -> None:
    held = window()
    held.add([record(1)])
    (handout,) = held.hand_out(0, 10, BIG)
    held.add([record(2)])
    assert held.hand_out(0, 10, BIG) == []
    held.back([handout])
    assert sequences(held.hand_out(0, 10, BIG)) == [2]


def test_a_record_that_came_meanwhile_is_not_settled_with_those_before_it() -> None:
    held = window()
    held.add([record(1)])
    (handout,) = held.hand_out(0, 10, BIG)
    held.add([record(2)])
    held.stored(handout)
    assert sequences(held.hand_out(0, 10, BIG)) == [2]


def test_a_parked_key_waits_with_its_later_records_and_others_go_on() -> None:
    held = window(coalesce=False)
    held.add([record(1), record(2), record(3, "b")])
    held.failed(held.hand_out(0, 1, BIG)[0], 1, until_ns=50)
    assert (held.parked, held.next_due_ns) == (1, 50)
    assert sequences(held.hand_out(49, 10, BIG)) == [3]
    (handout,) = held.hand_out(50, 10, BIG)
    assert handout.record == record(1, attempts=1)
    assert (held.parked, held.next_due_ns) == (0, None)


def test_a_newer_record_inherits_the_attempts_of_those_it_covers() -> None:
    held = window()
    held.add([record(1, attempts=3), record(2)])
    (handout,) = held.hand_out(0, 10, BIG)
    assert handout.record.attempts == 3
    assert [r.attempts for r in handout.covers] == [3, 0]
    held.failed(handout, 4, until_ns=1)
    held.add([record(3)])
    assert held.hand_out(1, 10, BIG)[0].record == record(3, attempts=4)


def test_what_is_taken_apart_goes_one_by_one_and_what_came_later_is_covered_again() -> None:
    held = window()
    held.add([record(1), record(2)])
    (handout,) = held.hand_out(0, 10, BIG)
    held.add([record(3), record(4)])
    held.apart(handout)
    for number in (1, 2):
        (handout,) = held.hand_out(0, 10, BIG)
        assert [r.sequence for r in handout.covers] == [number]
        held.dead(handout)
    (handout,) = held.hand_out(0, 10, BIG)
    assert [r.sequence for r in handout.covers] == [3, 4]
    held.stored(handout)
    assert len(held) == 0


def test_what_was_not_tried_goes_first_again_and_what_shall_be_last_goes_last() -> None:
    held = window()
    held.add([record(1, "a"), record(2, "b"), record(3, "c"), record(4, "d")])
    handouts = held.hand_out(0, 3, BIG)
    held.back(handouts[1:])
    held.back(handouts[:1], last=True)
    assert sequences(held.hand_out(0, 10, BIG)) == [2, 3, 4, 1]


def test_a_batch_is_bounded_by_records_and_by_bytes() -> None:
    held = window()
    held.add([record(n, f"k{n}", size=40) for n in range(1, 10)])
    assert sequences(held.hand_out(0, 2, BIG)) == [1, 2]
    assert sequences(held.hand_out(0, 10, 120)) == [3, 4, 5]
    assert sequences(held.hand_out(0, 10, 1)) == [6], "one that is too large goes alone"


def test_there_is_room_for_so_many_records_and_bytes() -> None:
    held = window(records=3, size=100)
    assert held.room == 3
    held.add([record(1, size=99)])
    assert held.room == 2
    held.add([record(2, size=1)])
    assert held.room == 0
    held.stored(held.hand_out(0, 1, BIG)[0])
    assert held.room == 3


def test_what_was_added_before_is_not_added_again() -> None:
    held = window()
    held.add([record(1), record(2)])
    held.add([record(1), record(2), record(3)])
    assert (len(held), held.last) == (3, 3)


def test_a_clear_forgets_everything() -> None:
    held = window()
    held.add([record(1, "a"), record(2, "b"), record(3, "c")])
    held.failed(held.hand_out(0, 1, BIG)[0], 1, until_ns=5)
    held.hand_out(0, 1, BIG)
    held.clear()
    assert (len(held), held.last, held.parked, held.ready(10), held.room) == (0, 0, 0, 0, 100)
    held.add([record(1)])
    assert sequences(held.hand_out(0, 10, BIG)) == [1]


class WindowAndModel(RuleBasedStateMachine):
    """`waits`: each key's records. `busy`: handed out. `until`: parked. `apart`: up to which."""

    coalesce = True

    def __init__(self) -> None:
        super().__init__()
        self.window = window(self.coalesce, records=30)
        self.now = self.sequence = 0
        self.waits: dict[str, list[int]] = {}
        self.busy: dict[str, Handout] = {}
        self.until: dict[str, int] = {}
        self.apart: dict[str, int] = {}

    @rule(names=st.lists(st.sampled_from("abcde"), max_size=6))
    def add(self, names: list[str]) -> None:
        records = []
        for name in names[: self.window.room]:
            self.sequence += 1
            records.append(record(self.sequence, name))
            self.waits.setdefault(name, []).append(self.sequence)
        self.window.add(records)

    @rule(limit=st.integers(1, 6), by=st.integers(0, 5))
    def hand_out(self, limit: int, by: int) -> None:
        self.now += by
        free = {
            name
            for name, waits in self.waits.items()
            if waits and name not in self.busy and self.until.get(name, 0) <= self.now
        }
        assert self.window.ready(self.now) == len(free)
        handouts = self.window.hand_out(self.now, limit, BIG)
        names = [handout.record.name for handout in handouts]
        assert len(names) == len(set(names)) == min(limit, len(free))
        assert free.issuperset(names)
        for handout in handouts:
            waits = self.waits[handout.record.name]
            covered = [r.sequence for r in handout.covers]
            alone = not self.coalesce or waits[0] <= self.apart.get(handout.record.name, 0)
            assert covered == (waits[:1] if alone else waits)
            assert handout.record.sequence == covered[-1]
            self.busy[handout.record.name] = handout
            self.until.pop(handout.record.name, None)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), wait=st.integers(0, 8))
    def settle(self, data: st.DataObject, wait: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.busy)))
        handout = self.busy.pop(name)
        covered = [r.sequence for r in handout.covers]
        match data.draw(st.sampled_from(["stored", "failed", "dead", "rejected", "back", "last"])):
            case "stored":
                self.window.stored(handout)
            case "failed":
                self.window.failed(handout, 1, self.now + wait)
                self.until[name] = self.now + wait
                covered = []
            case "dead":
                self.window.dead(handout)
            case "rejected":
                self.window.apart(handout)
                self.apart[name] = covered[-1]
                covered = []
            case way:
                self.window.back([handout], last=way == "last")
                covered = []
        self.waits[name] = [n for n in self.waits[name] if n not in covered]

    @rule()
    def clear(self) -> None:
        self.window.clear()
        self.window.last = self.sequence
        self.waits, self.busy, self.until, self.apart = {}, {}, {}, {}

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        assert len(self.window) == sum(map(len, self.waits.values())) == 30 - self.window.room


class WindowAndModelOneByOne(WindowAndModel):
    """The same without coalescing."""

    coalesce = False


TestWindowAndModel = WindowAndModel.TestCase
TestWindowAndModel.settings = examples(60, stateful_step_count=40)
TestWindowAndModelOneByOne = WindowAndModelOneByOne.TestCase
TestWindowAndModelOneByOne.settings = examples(60, stateful_step_count=40)
