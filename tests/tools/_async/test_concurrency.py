"""The concurrency that twinned tests are written with: one contract for both colours."""

from __future__ import annotations

from contextvars import ContextVar

import pytest

from tests.support.aio import Latch, all_of, start, until

setting: ContextVar[str] = ContextVar("setting", default="unset")


async def test_a_started_call_goes_on_beside_the_test() -> None:
    latch = Latch()

    async def call() -> int:
        await latch.passed()
        return 7

    running = await start(call)
    assert not running.done
    latch.open()
    assert await running.result() == 7
    assert running.done


async def test_a_started_call_runs_in_the_callers_context() -> None:
    async def call() -> str:
        return setting.get()

    setting.set("mine")
    running = await start(call)
    assert await running.result() == "mine"


async def test_the_result_of_a_call_that_raised_raises() -> None:
    async def call() -> None:
        raise LookupError("gone")

    running = await start(call)
    with pytest.raises(LookupError, match="gone"):
        await running.result()


async def test_all_calls_run_at_the_same_time() -> None:
    latches = [Latch(), Latch()]

    async def first() -> str:
        latches[0].open()
        await latches[1].passed()
        return "first"

    async def second() -> str:
        latches[1].open()
        await latches[0].passed()
        return "second"

    assert await all_of(first, second) == ["first", "second"]


async def test_an_open_latch_lets_pass_at_once() -> None:
    latch = Latch()
    assert not latch.is_open
    latch.open()
    assert latch.is_open
    await latch.passed()


async def test_until_waits_for_what_nothing_announces() -> None:
    steps: list[int] = []

    async def call() -> None:
        steps.append(1)

    running = await start(call)
    await until(lambda: steps == [1], "the call made a step")
    await running.result()
