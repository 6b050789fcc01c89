"""Sections that are interrupted, by foreign code and by exceptions."""

from __future__ import annotations

import threading

import pytest

from freshwell.engines.guard import Guard


def test_a_section_inside_a_section_is_told_so_and_its_work_is_done_afterwards() -> None:
    done: list[str] = []
    guard = Guard(lambda: done.append("reset"))
    with guard as outer:
        assert outer
        with guard as inner:
            assert not inner
            guard.later(lambda: done.append("later"))
        assert done == []
        with guard as inner:
            assert not inner
    assert done == ["later"]
    with guard as again:
        assert again


def test_a_section_that_ends_by_an_exception_resets_the_structure_and_the_guard() -> None:
    done: list[str] = []
    guard = Guard(lambda: done.append("reset"))

    def break_off() -> None:
        with guard:
            guard.later(lambda: done.append("later"))
            raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        break_off()
    assert done == ["reset", "later"]
    with guard as entered:
        assert entered
    assert done == ["reset", "later"]


def test_an_exception_of_an_inner_section_alone_resets_nothing() -> None:
    done: list[str] = []
    guard = Guard(lambda: done.append("reset"))
    with guard:
        with pytest.raises(ValueError, match="inner"), guard:
            raise ValueError("inner")
        done.append("outer goes on")
    assert done == ["outer goes on"]


def test_work_left_for_later_may_leave_more_work() -> None:
    done: list[int] = []
    guard = Guard(lambda: None)

    def work() -> None:
        with guard as entered:
            assert entered
            done.append(len(done))

    with guard:
        guard.later(work)
        guard.later(work)
    assert done == [0, 1]


def test_work_left_for_later_that_fails_leaves_the_lock_free_and_the_rest_done() -> None:
    done: list[str] = []
    guard = Guard(lambda: None)

    def fail() -> None:
        raise ValueError("late")

    def enter() -> None:
        with guard:
            guard.later(fail)
            guard.later(lambda: done.append("next"))

    with pytest.raises(ValueError, match="late"):
        enter()
    assert done == ["next"]
    assert _another_thread_enters(guard)


def test_another_thread_waits_for_the_end_of_a_section() -> None:
    guard = Guard(lambda: None)
    order: list[str] = []

    def other() -> None:
        with guard as entered:
            order.append(f"other {entered}")

    with guard:
        thread = threading.Thread(target=other, daemon=True)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(20)
    assert order == ["first", "other True"]


def _another_thread_enters(guard: Guard) -> bool:
    entered: list[bool] = []

    def enter() -> None:
        with guard as free:
            entered.append(free)

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join(5)
    return entered == [True]
