"""Rounds of both kits: what is asked for in one tick is done together, each as if alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from freshwell._kit import aio_rounds, threads_rounds


class Work:
    """Doubles numbers, when its gate is open. Odd keys fail."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.done: list[tuple[int, list[int]]] = []

    async def __call__(self, key: int, things: Sequence[int]) -> list[int]:
        self.done.append((key, list(things)))
        await self.gate.wait()
        if key % 2:
            raise ValueError(key)
        return [2 * thing for thing in things]


async def ask(rounds: aio_rounds.Rounds[int, int, int], key: int, thing: int) -> int:
    return await rounds.run(key, thing)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def begun(*asked: tuple[int, int]) -> tuple[Work, list[asyncio.Task[int]]]:
    """Ask for thing 0 under key 0, and when that is under way for these, in one tick."""
    work = Work()
    rounds: aio_rounds.Rounds[int, int, int] = aio_rounds.Rounds(work)
    tasks = [asyncio.create_task(ask(rounds, 0, 0))]
    await settle()
    tasks += [asyncio.create_task(ask(rounds, key, thing)) for key, thing in asked]
    return work, tasks


async def test_who_asks_while_nothing_is_under_way_is_served_at_once() -> None:
    work = Work()
    rounds: aio_rounds.Rounds[int, int, int] = aio_rounds.Rounds(work)
    work.gate.set()
    for number in range(3):
        assert await rounds.run(0, number) == 2 * number
    assert work.done == [(0, [0]), (0, [1]), (0, [2])]


async def test_what_is_asked_for_in_one_tick_is_done_together_in_its_order_key_by_key() -> None:
    work, tasks = await begun((0, 1), (2, 2), (0, 3), (2, 4), (0, 5))
    await settle()
    assert work.done == [(0, [0]), (0, [1, 3, 5]), (2, [2, 4])]
    work.gate.set()
    assert [await task for task in tasks] == [0, 2, 4, 6, 8, 10]


async def test_who_joins_is_never_served_alone() -> None:
    work = Work()
    rounds: aio_rounds.Rounds[int, int, int] = aio_rounds.Rounds(work)
    tasks = [asyncio.create_task(rounds.join(0, number)) for number in range(3)]
    await settle()
    assert (rounds.joining, work.done) == (3, [(0, [0, 1, 2])])
    tasks[0].cancel()
    await settle()
    assert rounds.joining == 2
    work.gate.set()
    assert [await task for task in tasks[1:]] == [2, 4]
    assert rounds.joining == 0


async def test_a_round_waits_for_no_other() -> None:
    work = Work()
    rounds: aio_rounds.Rounds[int, int, int] = aio_rounds.Rounds(work)
    tasks = []
    for number in range(3):
        tasks.append(asyncio.create_task(ask(rounds, 0, number)))
        await settle()
    assert work.done == [(0, [0]), (0, [1]), (0, [2])]
    work.gate.set()
    assert [await task for task in tasks] == [0, 2, 4]


async def test_who_is_cancelled_before_the_round_leaves_stays_out_of_it() -> None:
    work, tasks = await begun((0, 1), (0, 2), (2, 3))
    await asyncio.sleep(0)
    tasks[2].cancel()
    tasks[3].cancel()
    await settle()
    assert work.done == [(0, [0]), (0, [1])]
    work.gate.set()
    assert [await tasks[0], await tasks[1]] == [0, 2]


async def test_who_is_cancelled_afterwards_takes_nothing_from_the_others() -> None:
    work, tasks = await begun((0, 1), (0, 2))
    await settle()
    tasks[0].cancel()
    tasks[1].cancel()
    await settle()
    work.gate.set()
    assert await tasks[2] == 4
    assert tasks[0].cancelled()
    assert tasks[1].cancelled()
    assert work.done == [(0, [0]), (0, [1, 2])]


async def test_what_the_work_raises_reaches_those_of_its_round_alone() -> None:
    work, tasks = await begun((1, 1), (0, 2), (1, 3))
    await settle()
    work.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [found[0], found[2]] == [0, 4]
    assert isinstance(found[1], ValueError)
    assert found[1] is found[3]


async def test_an_error_in_the_place_of_a_result_is_that_callers_alone() -> None:
    async def odd_ones_fail(key: int, things: Sequence[int]) -> list[int | Exception]:
        await asyncio.sleep(0)
        return [ValueError(thing) if thing % 2 else thing for thing in things]

    rounds: aio_rounds.Rounds[int, int, int] = aio_rounds.Rounds(odd_ones_fail)
    asked = [ask(rounds, 0, thing) for thing in (1, 2, 3, 4)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [repr(one) for one in found] == ["ValueError(1)", "2", "ValueError(3)", "4"]


async def test_an_error_that_nobody_waits_for_any_more_is_no_mistake() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    work, tasks = await begun((1, 1))
    await settle()
    tasks[1].cancel()
    work.gate.set()
    await settle()
    del tasks
    assert told == []


def test_callers_end_with_a_loop_that_ends_in_between() -> None:
    ended: list[str] = []

    async def one(rounds: aio_rounds.Rounds[int, int, int], key: int) -> None:
        try:
            await rounds.run(key, key)
        finally:
            ended.append("ended")

    async def main() -> None:
        rounds: aio_rounds.Rounds[int, int, int] = aio_rounds.Rounds(Work())
        tasks = [asyncio.create_task(one(rounds, key)) for key in (0, 2, 4)]
        await settle()
        for task in asyncio.all_tasks() - {*tasks, asyncio.current_task()}:
            task.cancel()
        await settle()
        assert [task.done() for task in tasks] == [False, True, True]

    asyncio.run(main())
    assert ended == ["ended"] * 3


def test_threads_ask_each_for_itself() -> None:
    done: list[tuple[int, list[int]]] = []

    def work(key: int, things: Sequence[int]) -> list[int]:
        done.append((key, list(things)))
        if key % 2:
            raise ValueError(key)
        return [2 * thing for thing in things]

    rounds: threads_rounds.Rounds[int, int, int] = threads_rounds.Rounds(work)
    assert [rounds.run(0, 1), rounds.run(2, 2)] == [2, 4]
    with pytest.raises(ValueError, match="1"):
        rounds.run(1, 3)
    assert done == [(0, [1]), (2, [2]), (1, [3])]
    assert rounds.join(0, 4) == 8


def test_an_error_in_the_place_of_a_threads_result_is_raised() -> None:
    rounds: threads_rounds.Rounds[int, int, int] = threads_rounds.Rounds(lambda *_: [ValueError(7)])
    with pytest.raises(ValueError, match="7"):
        rounds.run(0, 7)
