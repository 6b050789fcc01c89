"""The concurrency that twinned tests are written with: one contract for both colours."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from contextvars import ContextVar

import pytest

from tests.support.threads import Latch, all_of, start, until

setting: ContextVar[str] = ContextVar("setting", default="unset")


def test_a_started_call_goes_on_beside_the_test() -> None:
    latch = Latch()

    def call() -> int:
        latch.passed()
        return 7

    running = start(call)
    assert not running.done
    latch.open()
    assert running.result() == 7
    assert running.done


def test_a_started_call_runs_in_the_callers_context() -> None:
    def call() -> str:
        return setting.get()

    setting.set("mine")
    running = start(call)
    assert running.result() == "mine"


def test_the_result_of_a_call_that_raised_raises() -> None:
    def call() -> None:
        raise LookupError("gone")

    running = start(call)
    with pytest.raises(LookupError, match="gone"):
        running.result()


def test_all_calls_run_at_the_same_time() -> None:
    latches = [Latch(), Latch()]

    def first() -> str:
        latches[0].open()
        latches[1].passed()
        return "first"

    def second() -> str:
        latches[1].open()
        latches[0].passed()
        return "second"

    assert all_of(first, second) == ["first", "second"]


def test_an_open_latch_lets_pass_at_once() -> None:
    latch = Latch()
    assert not latch.is_open
    latch.open()
    assert latch.is_open
    latch.passed()


def test_until_waits_for_what_nothing_announces() -> None:
    steps: list[int] = []

    def call() -> None:
        steps.append(1)

    running = start(call)
    until(lambda: steps == [1], "the call made a step")
    running.result()
