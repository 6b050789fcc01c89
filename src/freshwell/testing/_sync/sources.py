"""What sources do: those that are read, those that are written to, and those that take batches."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, ClassVar

import pytest

from freshwell._kit.threads import each, resolve
from freshwell.ground.batches import Batch, Outcome, Write
from freshwell.testing._marks.threads import MARKS

__all__ = [
    "BatchSourceConformance",
    "SourceConformance",
    "WritableSourceConformance",
]

_sequences = count(1)
_MANY = 50


class _Values:
    """The ids and values that a suite uses. A subclass says what its source can keep."""

    def id(self, number: int) -> Any:
        """Return an id, another one for each number. By default the number."""
        return number

    def value(self, number: int) -> Any:
        """Return the value of ``id(number)``, as ``load`` gives it. By default a text."""
        return f"value {number}"

    def changed(self, number: int) -> Any:
        """Return another value that ``id(number)`` may have. By default another text."""
        return f"changed {number}"

    def values(self, *numbers: int) -> dict[Any, Any]:
        """Return values by their ids."""
        return {self.id(number): self.value(number) for number in numbers}

    def ids(self, *numbers: int) -> list[Any]:
        """Return ids."""
        return [self.id(number) for number in numbers]


class SourceConformance(_Values):
    """What every source does that is read: it says what is there, and None of what is not.

    A subclass overrides the fixture `source` with a source that has ``id(1)`` to ``id(3)`` with
    their values, and nothing else; and `id` and `value` where numbers and texts do not fit.
    ``load_many`` is asked for where the source has it.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = MARKS

    @pytest.fixture
    def source(self) -> Any:
        """Give a source with three values: to be overridden."""
        pytest.fail("give the class a fixture `source`: see the docstring of the suite")

    def test_what_is_there_is_loaded_each_time(self, source: Any) -> None:
        for number in (1, 2, 3, 1):
            assert resolve(source.load(self.id(number))) == self.value(number)

    def test_what_is_not_there_is_none(self, source: Any) -> None:
        assert resolve(source.load(self.id(4))) is None

    def test_many_are_loaded_at_the_same_time(self, source: Any) -> None:
        wanted = [1, 2, 3, 4] * 5

        def load(number: int) -> Any:
            return resolve(source.load(self.id(number)))

        found = each([partial(load, number) for number in wanted], len(wanted))
        assert found == [None if number == 4 else self.value(number) for number in wanted]

    def test_load_many_gives_those_that_exist(self, source: Any) -> None:
        load_many = _optional(source, "load_many")
        assert dict(resolve(load_many(self.ids(3, 4, 1)))) == self.values(3, 1)

    def test_load_many_of_nothing_is_nothing(self, source: Any) -> None:
        load_many = _optional(source, "load_many")
        assert dict(resolve(load_many([]))) == {}
        assert dict(resolve(load_many(self.ids(4)))) == {}


class WritableSourceConformance(_Values):
    """What every source does that is written to: when a call returns, every load sees it.

    A subclass overrides the fixture `source` with an empty source; and `id`, `value` and
    `changed` where numbers and texts do not fit. ``save_many``, ``load_many`` and ``delete`` are
    asked for where the source has them, ``delete_many`` too.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = MARKS

    @pytest.fixture
    def source(self) -> Any:
        """Give an empty source: to be overridden."""
        pytest.fail("give the class a fixture `source`: see the docstring of the suite")

    def save(self, source: Any, *numbers: int) -> None:
        """Save values one by one."""
        for number in numbers:
            resolve(source.save(self.id(number), self.value(number)))

    def found(self, source: Any, *numbers: int) -> list[Any]:
        """Load values one by one."""
        return [resolve(source.load(self.id(number))) for number in numbers]

    def test_nothing_is_there_at_first(self, source: Any) -> None:
        assert self.found(source, 1) == [None]

    def test_what_is_saved_is_loaded(self, source: Any) -> None:
        self.save(source, 1)
        assert self.found(source, 1, 2) == [self.value(1), None]

    def test_what_is_saved_again_is_replaced_and_nothing_else_is(self, source: Any) -> None:
        self.save(source, 1, 2)
        resolve(source.save(self.id(1), self.changed(1)))
        assert self.found(source, 1, 2) == [self.changed(1), self.value(2)]

    def test_a_value_may_be_saved_twice(self, source: Any) -> None:
        self.save(source, 1, 1)
        assert self.found(source, 1) == [self.value(1)]

    def test_many_are_saved_at_the_same_time(self, source: Any) -> None:
        numbers = range(10)
        each([partial(self.save, source, number) for number in numbers], len(numbers))
        assert self.found(source, *numbers) == [self.value(number) for number in numbers]

    def test_save_many_saves_them_all(self, source: Any) -> None:
        save_many = _optional(source, "save_many")
        self.save(source, 1, 9)
        changed = {self.id(1): self.changed(1)}
        resolve(save_many(changed | self.values(*range(2, 8))))
        found = self.found(source, *range(1, 10))
        assert found == [self.changed(1), *map(self.value, range(2, 8)), None, self.value(9)]

    def test_save_many_saves_very_many(self, source: Any) -> None:
        save_many = _optional(source, "save_many")
        resolve(save_many(self.values(*range(_MANY))))
        assert self.found(source, *range(_MANY)) == [*map(self.value, range(_MANY))]

    def test_load_many_gives_those_that_exist(self, source: Any) -> None:
        load_many = _optional(source, "load_many")
        self.save(source, 3, 1)
        assert dict(resolve(load_many(self.ids(1, 2, 3)))) == self.values(1, 3)
        assert dict(resolve(load_many(self.ids(2)))) == {}
        assert dict(resolve(load_many([]))) == {}

    def test_what_is_deleted_is_gone_and_nothing_else_is(self, source: Any) -> None:
        delete = _optional(source, "delete")
        self.save(source, 1, 2)
        resolve(delete(self.id(1)))
        assert self.found(source, 1, 2) == [None, self.value(2)]

    def test_what_is_not_there_can_be_deleted(self, source: Any) -> None:
        delete = _optional(source, "delete")
        resolve(delete(self.id(1)))
        self.save(source, 1)
        resolve(delete(self.id(1)))
        resolve(delete(self.id(1)))
        assert self.found(source, 1) == [None]

    def test_what_was_deleted_can_be_saved_again(self, source: Any) -> None:
        delete = _optional(source, "delete")
        self.save(source, 1)
        resolve(delete(self.id(1)))
        resolve(source.save(self.id(1), self.changed(1)))
        assert self.found(source, 1) == [self.changed(1)]

    def test_delete_many_deletes_those_that_are_there(self, source: Any) -> None:
        delete_many = _optional(source, "delete_many")
        self.save(source, *range(1, 5))
        resolve(delete_many(self.ids(2, 3, 9)))
        assert self.found(source, *range(1, 5)) == [self.value(1), None, None, self.value(4)]


class BatchSourceConformance(_Values):
    """What every source does that takes the batches of write-behind: again and again the same.

    A subclass overrides the fixture `source` with an empty source that has ``save_many(batch)``;
    and `id`, `value` and `changed` where numbers and texts do not fit. ``delete_many(batch)``
    is asked for where the source has it, else ``delete(id)``.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = MARKS
    fenced: ClassVar[bool] = False
    """Whether the source compares sequences: then nothing older replaces what is there."""
    fences_deletes: ClassVar[bool] = False
    """Whether it does so for what is deleted too."""

    @pytest.fixture
    def source(self) -> Any:
        """Give an empty source: to be overridden."""
        pytest.fail("give the class a fixture `source`: see the docstring of the suite")

    def write(self, number: int, value: Any, sequence: int | None = None) -> Write[Any, Any]:
        """Return one write; of None, a deletion. Its sequence is larger than all before."""
        own = next(_sequences) if sequence is None else sequence
        return Write(self.id(number), value, own, f"{own:032x}", 1, value is None)

    def batch(self, *numbers: int) -> Batch[Any, Any]:
        """Return a batch that saves values."""
        return Batch([self.write(number, self.value(number)) for number in numbers])

    def saved(self, source: Any, batch: Batch[Any, Any]) -> None:
        """Have a batch saved, and look at what is said of it."""
        answer = resolve(source.save_many(batch))
        kinds = {Outcome.in_answer(answer, id).kind for id in batch}
        assert kinds == {"stored"}, f"save_many said of its writes: {sorted(kinds)}"

    def deleted(self, source: Any, *numbers: int, sequence: int | None = None) -> None:
        """Have ids deleted, as write-behind does."""
        batch = Batch([self.write(number, None, sequence) for number in numbers])
        if (delete_many := getattr(source, "delete_many", None)) is not None:
            resolve(delete_many(batch))
            return
        delete = _optional(source, "delete")
        for id in batch:
            resolve(delete(id))

    def found(self, source: Any, *numbers: int) -> list[Any]:
        """Load values one by one."""
        return [resolve(source.load(self.id(number))) for number in numbers]

    def test_a_batch_is_saved_and_nothing_else_is_touched(self, source: Any) -> None:
        self.saved(source, self.batch(1, 2))
        self.saved(source, self.batch(3))
        assert self.found(source, 1, 2, 3, 4) == [*map(self.value, (1, 2, 3)), None]

    def test_a_batch_may_come_twice(self, source: Any) -> None:
        batch = self.batch(1, 2)
        self.saved(source, batch)
        self.saved(source, batch)
        assert self.found(source, 1, 2) == [self.value(1), self.value(2)]

    def test_a_later_batch_replaces_an_earlier_one(self, source: Any) -> None:
        self.saved(source, self.batch(1, 2))
        self.saved(source, Batch([self.write(1, self.changed(1))]))
        assert self.found(source, 1, 2) == [self.changed(1), self.value(2)]

    def test_a_large_batch_is_saved(self, source: Any) -> None:
        self.saved(source, self.batch(*range(_MANY)))
        assert self.found(source, *range(_MANY)) == [*map(self.value, range(_MANY))]

    def test_what_is_deleted_is_gone_and_nothing_else_is(self, source: Any) -> None:
        self.saved(source, self.batch(1, 2, 3))
        self.deleted(source, 1, 3, 9)
        assert self.found(source, 1, 2, 3) == [None, self.value(2), None]

    def test_a_deletion_may_come_twice(self, source: Any) -> None:
        self.saved(source, self.batch(1))
        self.deleted(source, 1)
        self.deleted(source, 1)
        assert self.found(source, 1) == [None]

    def test_what_was_deleted_can_be_saved_again(self, source: Any) -> None:
        self.saved(source, self.batch(1))
        self.deleted(source, 1)
        self.saved(source, Batch([self.write(1, self.changed(1))]))
        assert self.found(source, 1) == [self.changed(1)]

    def test_nothing_older_replaces_what_is_there(self, source: Any) -> None:
        _only_where(self.fenced, "fenced")
        old = Batch([self.write(1, self.value(1)), self.write(2, self.value(2))])
        self.saved(source, Batch([self.write(1, self.changed(1))]))
        self.saved(source, old)
        assert self.found(source, 1, 2) == [self.changed(1), self.value(2)]

    def test_nothing_is_deleted_by_what_is_older(self, source: Any) -> None:
        _only_where(self.fenced, "fenced")
        old = next(_sequences)
        self.saved(source, self.batch(1))
        self.deleted(source, 1, sequence=old)
        assert self.found(source, 1) == [self.value(1)]

    def test_nothing_older_brings_back_what_was_deleted(self, source: Any) -> None:
        _only_where(self.fences_deletes, "fences_deletes")
        old = self.batch(1)
        self.saved(source, old)
        self.deleted(source, 1)
        self.saved(source, old)
        assert self.found(source, 1) == [None]


def _optional(source: Any, name: str) -> Callable[..., Any]:
    """Return a method of a source; skip the test where it has none."""
    method: Callable[..., Any] | None = getattr(source, name, None)
    if method is None:
        pytest.skip(f"the source has no {name}")
    return method


def _only_where(promised: bool, name: str) -> None:
    if not promised:
        pytest.skip(f"the source does not promise it: {name} is False")
