"""Turns at gates of both kits: who waits for a slot goes on in that of who waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from freshwell._kit import aio, threads
from freshwell._kit.flight import Flight, Roster, current_flight
from freshwell._kit.turns import Turn

_ROUNDS = 300


@pytest.mark.parametrize("given", [False, True], ids=["only lent", "given and lent"])
async def test_a_task_that_is_lent_a_slot_waits_for_none_and_takes_none(given: bool) -> None:
    gate, turn = aio.Gate(1), Turn()
    assert await gate.enter(0)
    waiting = asyncio.create_task(gate.enter(10, turn))
    await asyncio.sleep(0)
    if given:
        gate.leave()
    assert turn.lend()
    async with asyncio.timeout(5):
        entered = await waiting
    if entered or not given:
        gate.leave()
    assert await gate.enter(0)
    assert not await gate.enter(0)
    assert not turn.is_missed()


async def test_a_task_that_leaves_as_it_is_lent_a_slot_is_cancelled_all_the_same() -> None:
    gate, turn = aio.Gate(1), Turn()
    assert await gate.enter(0)
    waiting = asyncio.create_task(gate.enter(10, turn))
    await asyncio.sleep(0)
    turn.lend()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_slot_may_be_lent_as_the_time_for_it_ends() -> None:
    gate, turn = aio.Gate(1), Turn()
    assert await gate.enter(0)
    waiting = asyncio.create_task(gate.enter(0, turn))
    await asyncio.sleep(0)  # it waits, and its time limit is due
    await asyncio.sleep(0)  # that has been reached, and the task is not told yet
    assert not waiting.done()
    assert turn.lend()
    async with asyncio.timeout(5):
        assert not await waiting
    assert not turn.is_missed()


def test_threads_that_are_given_and_lent_slots_at_once_lose_none() -> None:
    gate, entered = threads.Gate(1), list[bool]()
    for _ in range(_ROUNDS):
        turn, both = Turn(), threading.Barrier(3)
        assert gate.enter(0)

        def enter(turn: Turn = turn) -> None:
            entered.append(gate.enter(5, turn))

        def at_once(call: Callable[[], object], both: threading.Barrier = both) -> None:
            both.wait()
            call()

        crowd = [
            threading.Thread(target=at_once, args=(call,))
            for call in (enter, turn.lend, gate.leave)
        ]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(5)
        assert len(entered) == 1, "it waits no more"
        if entered.pop():
            gate.leave()
        assert [gate.enter(0), gate.enter(0)] == [True, False]
        gate.leave()
    assert not gate._waiting


def test_a_turn_that_was_missed_is_lent_nothing() -> None:
    turn = Turn()
    assert turn.is_missed()
    assert not turn.lend()
    assert turn.is_missed()


def test_a_load_joins_no_flight_that_has_missed_its_turn() -> None:
    roster: Roster[str] = Roster(Flight)
    shed = roster.board(["a"]).led
    outer = roster.board(["b"]).led
    assert shed is not None
    assert outer is not None
    assert shed.turn.is_missed()
    assert not outer.turn.is_lent, "nobody waits for it but who is no load"
    token = current_flight.set(outer)  # type: ignore[arg-type]
    try:
        assert roster.join("a", (), early=True) is None
        led = roster.board(["a"]).led
        assert led not in (None, shed)
        assert led is not None
        assert led.turn.is_lent
        assert outer.waits_for == [led]
    finally:
        current_flight.reset(token)
    roster.land(shed)
    assert roster.join("a", (), early=True) is led
