"""Estimates of memory: near where it is plain, bounded always, and never an error."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.engines import sizes
from freshwell.engines.sizes import estimate_bytes
from freshwell.testing import FakeClock
from tests.engines.parts import fill, make_table

_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda parts: (
        st.lists(parts) | st.dictionaries(st.text(), parts) | st.tuples(parts, parts)
        | st.frozensets(st.integers()) | st.lists(parts).map(deque)
    ),
    max_leaves=60,
)  # fmt: skip


@pytest.mark.parametrize("value", [b"x" * 10_000, "x" * 10_000, 7, 1 << 999, 1.5, None, True])
def test_flat_values_are_measured_exactly(value: object) -> None:
    assert estimate_bytes(value) == sys.getsizeof(value)


@given(_VALUES)
def test_an_estimate_covers_at_least_the_outermost_object(value: object) -> None:
    assert estimate_bytes(value) >= sys.getsizeof(value) - 32  # the collector's header


@pytest.mark.parametrize("count", [10, 1_000, 100_000])
def test_a_list_of_equal_parts_is_estimated_near_its_size(count: int) -> None:
    value = [b"%100d" % i for i in range(count)]
    true = sys.getsizeof(value) + sum(map(sys.getsizeof, value))
    assert 0.9 * true < estimate_bytes(value) < 1.1 * true


def test_rows_of_a_database_are_estimated_near_their_size() -> None:
    rows = [{"id": i + 1_000, "name": f"name {i:06}", "rate": i + 0.5} for i in range(1_000)]
    true = sys.getsizeof(rows) + sum(
        sys.getsizeof(row) + sum(map(sys.getsizeof, row.values())) for row in rows
    )
    assert 0.7 * true < estimate_bytes(rows) < 1.3 * true


@pytest.mark.parametrize("words", [0, 2, 32, 33, 500])
def test_a_record_with_a_list_of_words_is_estimated_near_its_size(words: int) -> None:
    tags = [f"word {i:04}" for i in range(words)]
    record = {"id": 7, "name": "x" * 60, "tags": tags}
    true = sys.getsizeof(record) + sum(map(sys.getsizeof, [*record.values(), *tags]))
    assert 0.9 * true < estimate_bytes(record) < 1.4 * true
    assert estimate_bytes(record | {"tags": [tags]}) > 0.9 * true, "a list in a list, the long way"


def test_attributes_are_counted_with_slots_and_without() -> None:
    class Plain:
        def __init__(self) -> None:
            self.text = "x" * 10_000

    class Slotted:
        __slots__ = ("text",)

        def __init__(self) -> None:
            self.text = "x" * 10_000

    assert 10_000 < estimate_bytes(Plain()) < 12_000
    assert 10_000 < estimate_bytes(Slotted()) < 11_000


def test_a_value_that_contains_itself_is_estimated() -> None:
    value: list[object] = ["x" * 1_000]
    value.append(value)
    assert 1_000 < estimate_bytes(value) < 3_000


def test_a_very_deep_value_is_estimated() -> None:
    value: object = "end"
    for _ in range(100_000):
        value = [value]
    assert estimate_bytes(value) > 0
    while isinstance(value, list):  # freed step by step: the interpreter's own way is deep
        value = value.pop()


def test_the_number_of_looks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look(value: object) -> int:
        looks.append(value)
        return 100

    monkeypatch.setattr(sizes, "_own_bytes", look)
    estimate_bytes([{str(i): [i] * 20 for i in range(100)} for _ in range(100)])
    assert 32 < len(looks) <= 256


class _Hostile:
    """A class whose every method fails."""

    def __sizeof__(self) -> int:
        raise RuntimeError("no size")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("no items")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("no attributes")


class _HostileList(list[Any]):
    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no items")


class _HostileDict(dict[Any, Any]):
    def __len__(self) -> int:
        raise RuntimeError("no length")

    def items(self) -> Any:
        raise RuntimeError("no items")


class _NegativeSize:
    def __sizeof__(self) -> int:
        return -1_000_000


class _LyingClass:
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError("no class")


@pytest.mark.parametrize(
    "value",
    [
        _Hostile(),
        [_Hostile()],
        {1: _Hostile()},
        _HostileList(["x" * 1_000]),
        _HostileDict(a="x" * 1_000),
        _NegativeSize(),
        (i for i in range(3)),
        sys,
        int,
        print,
        memoryview(b"x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_estimate_never_raises(value: object) -> None:
    assert estimate_bytes(value) >= 0


def test_a_class_that_lies_about_itself_is_estimated() -> None:
    assert estimate_bytes(_LyingClass()) >= 0
    assert estimate_bytes([_LyingClass()]) >= 0


def test_parts_of_hostile_containers_are_counted_all_the_same() -> None:
    assert estimate_bytes(_HostileList(["x" * 1_000])) > 1_000
    assert estimate_bytes(_HostileDict(a="x" * 1_000)) > 1_000


@pytest.mark.parametrize("max_bytes", [1, 10_000])
def test_a_value_that_is_larger_than_its_table_is_refused_by_its_size_alone(max_bytes: int) -> None:
    clock = FakeClock(0)
    table = make_table(clock, max_bytes=max_bytes)
    if max_bytes > 1:
        assert table.room_for("k", "small") == estimate_bytes("small")
        fill(table, clock, "k", "small", size_bytes=None)
    assert table.room_for("k", "x" * 10_000) is None
    assert table.refused == 1
    assert "k" not in table, "what it would have replaced is no more right"
    assert table.entries == table.bytes == table.evictions == 0
    table.check()
