"""Owners, gates, signals and flights of both kits when things end: in time, and leaving nothing."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from freshwell._kit import aio, aio_flights, threads, threads_flights
from freshwell.errors import LoadCancelled

SLACK_S = 0.5


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Stubborn:
    """Work that is cancelled and goes on all the same, until it is told to end."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.over = asyncio.Event()

    async def __call__(self, *_: object) -> Mapping[str, str]:
        while not self.over.is_set():
            try:
                await self.over.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        return {"a": "A"}

    async def alone(self) -> None:
        await self()


async def test_an_owner_does_not_wait_for_ever_for_work_that_ignores_its_end() -> None:
    owner, work = aio.Owner("test", 10), Stubborn()
    owner.spawn("stubborn", work.alone)
    await settle()
    async with asyncio.timeout(aio.GRACE_S + SLACK_S):
        await owner.aclose(0)
    assert work.cancelled == 1
    work.over.set()
    await settle()
    assert len(owner) == 0


async def test_flights_do_not_wait_for_ever_for_work_that_ignores_its_end() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Stubborn()
    caller = asyncio.create_task(flights.run(["a"], work))
    await settle()
    async with asyncio.timeout(aio.GRACE_S + SLACK_S):
        await flights.aclose(0)
    work.over.set()
    assert await caller == {"a": "A"}


async def test_an_owner_whose_closing_is_cancelled_ends_its_work_all_the_same() -> None:
    owner = aio.Owner("test", 10)
    owner.spawn("long", partial(asyncio.sleep, 3600))
    closing = asyncio.create_task(owner.aclose(3600))
    await settle()
    closing.cancel()
    await asyncio.wait([closing])
    await settle()
    assert closing.cancelled()
    assert len(owner) == 0


async def test_flights_whose_closing_is_cancelled_end_their_work_all_the_same() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        await asyncio.sleep(3600)
        return {}

    caller = asyncio.create_task(flights.run(["a"], work))
    await settle()
    closing = asyncio.create_task(flights.aclose(3600))
    await settle()
    closing.cancel()
    with pytest.raises(LoadCancelled):
        await caller
    assert len(flights) == 0


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a flight begins at once there")
async def test_a_flight_whose_task_is_cancelled_before_it_began_leaves_nobody_waiting() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        raise AssertionError("it never began")

    before = asyncio.all_tasks()
    caller = asyncio.ensure_future(flights.run(["a"], work))
    # The caller's first step makes the carrier, whose own first step would be the next.
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - before - {caller}:
        task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(LoadCancelled):
            await caller
    assert len(flights) == 0


async def test_a_gate_loses_no_slot_to_those_who_give_up() -> None:
    gate = aio.Gate(2)
    assert await gate.enter(0)
    assert await gate.enter(0)
    waiting = [asyncio.create_task(gate.enter(0.001 * i)) for i in range(50)]
    waiting += [asyncio.create_task(gate.enter(10)) for _ in range(20)]
    await asyncio.sleep(0.01)
    for task in waiting[::3]:
        task.cancel()
    gate.leave()
    gate.leave()
    entered = 0
    for task in waiting:
        if not task.cancelled() and await asyncio.wait_for(asyncio.shield(task), 5):
            entered += 1
            gate.leave()
    assert entered
    assert await gate.enter(0)
    assert await gate.enter(0)
    assert not await gate.enter(0)


async def test_a_signal_keeps_a_notice_that_comes_as_its_waiter_leaves() -> None:
    signal = aio.Signal()
    waiter = asyncio.create_task(signal.wait(10))
    await settle()
    signal.notify()
    waiter.cancel()
    await asyncio.wait([waiter])
    assert waiter.cancelled()
    assert await signal.wait(0)
    assert not await signal.wait(0)


async def test_calls_of_a_batch_leave_no_task_behind_when_one_fails() -> None:
    before = asyncio.all_tasks()
    ended = []

    async def fails() -> int:
        raise ZeroDivisionError

    async def waits() -> int:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(1)
        return 0

    with pytest.raises(ZeroDivisionError):
        await aio.each([waits, waits, fails, waits], 10)
    assert asyncio.all_tasks() == before
    assert ended == [1, 1, 1]


# -- threads ---------------------------------------------------------------------------------


def wait_for(event: threading.Event) -> None:
    event.wait(20)


def test_a_thread_that_does_not_end_is_left_behind_in_time() -> None:
    owner, over = threads.Owner("test", 10), threading.Event()
    owner.spawn("stubborn", partial(wait_for, over))
    began_s = time.monotonic()
    owner.close(0.05)
    assert time.monotonic() - began_s < 0.05 + SLACK_S
    assert not owner.spawn("late", lambda: None)
    over.set()


def test_an_owner_starts_no_more_than_its_limit() -> None:
    owner, over = threads.Owner("test", 2), threading.Event()
    started = [owner.spawn("one", partial(wait_for, over)) for _ in range(5)]
    assert started == [True, True, False, False, False]
    over.set()
    owner.close(5)
    assert len(owner) == 0


def test_work_of_an_owner_may_close_it() -> None:
    owner, closed = threads.Owner("test", 2), threading.Event()

    def work() -> None:
        owner.close(5)
        closed.set()

    owner.spawn("closer", work)
    assert closed.wait(2)


def test_an_interrupt_of_the_leader_leaves_no_rider_waiting() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()
    begun, errors = threading.Event(), []

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        begun.set()
        while flights._roster._flights["a"].riders != 2:
            time.sleep(0.001)
        raise KeyboardInterrupt

    def lead() -> None:
        with pytest.raises(KeyboardInterrupt):
            flights.run(["a"], work)

    def ride() -> None:
        try:
            flights.run(["a"], work)
        except LoadCancelled as error:
            errors.append(error)

    leader = threading.Thread(target=lead)
    leader.start()
    begun.wait(5)
    rider = threading.Thread(target=ride)
    rider.start()
    leader.join(5)
    rider.join(5)
    assert not rider.is_alive()
    assert len(errors) == 1
    assert len(flights) == 0


def test_an_interrupt_before_the_work_began_leaves_no_flight_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flights, "_fly", interrupted)
    with pytest.raises(KeyboardInterrupt):
        flights.run(["a"], lambda keys: {"a": "A"})
    monkeypatch.undo()
    assert len(flights) == 0
    assert flights.run(["a"], lambda keys: {"a": "A"}) == {"a": "A"}


# -- gates of threads ------------------------------------------------------------------------


def queued(gate: threads.Gate, count: int) -> bool:
    return len(gate._waiting) == count


def until(found: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not found():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def test_threads_enter_a_gate_in_the_order_they_came() -> None:
    gate, entered = threads.Gate(1), list[int]()
    assert gate.enter(0)

    def enter(number: int) -> None:
        assert gate.enter(10)
        entered.append(number)
        gate.leave()

    crowd = [threading.Thread(target=enter, args=(number,)) for number in range(8)]
    for number, thread in enumerate(crowd):
        thread.start()
        until(partial(queued, gate, number + 1))
    gate.leave()
    for thread in crowd:
        thread.join(5)
    assert entered == list(range(8))


def test_a_gate_loses_no_slot_to_threads_that_give_up() -> None:
    gate, inside, most = threads.Gate(2), list[int](), list[int]()

    def come_and_go(number: int) -> None:
        for i in range(40):
            if gate.enter((number * i % 4) * 0.0003):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.0001)
                inside.pop()
                gate.leave()

    crowd = [threading.Thread(target=come_and_go, args=(number,)) for number in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)
    assert max(most) == 2
    assert queued(gate, 0)
    assert [gate.enter(0) for _ in range(3)] == [True, True, False]


class Interrupted:
    """A lock whose wait ends by Ctrl-C, before or after a slot was handed over."""

    def __init__(self, gate: threads.Gate, lock: threading.Lock, *, given: bool) -> None:
        self._gate = gate
        self._lock = lock
        self._given = given

    def acquire(self, timeout: float = -1) -> bool:
        if timeout < 0:
            return self._lock.acquire()
        if self._given:
            self._gate.leave()
        raise KeyboardInterrupt

    def release(self) -> None:
        self._lock.release()


@pytest.mark.parametrize("given", [False, True])
def test_an_interrupted_wait_at_a_gate_takes_no_slot_along(
    given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threads.Gate(1)
    assert gate.enter(0)
    lock = Interrupted(gate, threading.Lock(), given=given)
    monkeypatch.setattr(threading, "Lock", lambda: lock)
    with pytest.raises(KeyboardInterrupt):
        gate.enter(10)
    monkeypatch.undo()
    if not given:
        assert not gate.enter(0)
        gate.leave()
    assert gate.enter(0)
    assert not gate.enter(0)
