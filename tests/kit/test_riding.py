"""The short way into a flight, of both kits: what those get who wait and do not lead."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import traceback
from collections.abc import Mapping
from typing import Self

import pytest

from freshwell._kit import aio_flights, threads, threads_flights
from freshwell._kit.flight import Announced, Late
from freshwell.errors import NestedLoadError


class Work:
    """Ends when told."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.gate = asyncio.Event()

    async def __call__(self, keys: tuple[str, ...]) -> Mapping[str, str]:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {key: key.upper() for key in keys}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_riders_get_what_the_flight_brings_and_nothing_where_there_is_none() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    assert await flights.ride("a") is None
    work = Work()
    leader = asyncio.create_task(flights.run(["a", "b"], work))
    await settle()
    riders = [asyncio.create_task(flights.ride(key)) for key in "ab" * 50]
    await settle()
    work.gate.set()
    assert await asyncio.gather(*riders) == ["A", "B"] * 50
    await leader
    assert await flights.ride("a") is None


async def test_the_last_rider_takes_the_work_with_it_and_none_before() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Work()
    leader = asyncio.create_task(flights.run(["a"], work))
    await settle()
    riders = [asyncio.create_task(flights.ride("a")) for _ in range(3)]
    await settle()
    for task in (leader, *riders):
        assert work.cancelled == 0
        task.cancel()
        await settle()
        assert task.cancelled()
    assert work.cancelled == 1
    assert len(flights) == 0


async def test_riders_get_the_works_exception_unwrapped_and_short() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    gate, boom = asyncio.Event(), ValueError("boom")

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        await gate.wait()
        raise boom

    leader = asyncio.create_task(flights.run(["a"], work))
    await settle()
    riders = [asyncio.create_task(flights.ride("a")) for _ in range(50)]
    await settle()
    gate.set()
    errors = await asyncio.gather(leader, *riders, return_exceptions=True)
    assert all(error is boom for error in errors)
    assert len(traceback.extract_tb(boom.__traceback__)) < 12


async def test_work_that_rides_on_itself_is_refused() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        return {"a": await flights.ride("a") or ""}

    with pytest.raises(NestedLoadError):
        await flights.run(["a"], work)


@pytest.mark.parametrize("flight_s", [None, 0.02, 60.0])
async def test_a_rider_waits_for_its_own_limit_or_the_flights(flight_s: float | None) -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Work()
    leader = asyncio.create_task(flights.run(["a"], work, limit_s=flight_s))
    await settle()
    with pytest.raises(Late) as late:
        await asyncio.wait_for(flights.ride("a", limit_s=0.05), 10)
    assert not late.value.goes_on
    assert leader.done() is (flight_s == 0.02), "who gives up leaves others alone"
    leader.cancel()
    await asyncio.wait([leader])


async def test_flights_are_found_by_the_marks_of_all_who_wait_for_them() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Work()
    first = asyncio.create_task(flights.run(["a", "b"], work, marks={"a": [b"1"], "b": [b"2"]}))
    second = asyncio.create_task(flights.run(["b", "c"], work, marks={"b": [], "c": [b"1", b"3"]}))
    await settle()
    rider = asyncio.create_task(flights.ride("b", marks=[b"4"]))
    await settle()
    assert sorted(flights.marked([b"1"])) == ["a", "c"]
    assert flights.marked([b"2"]) == flights.marked([b"4", b"5"]) == ["b"]
    flights.forget(["b"])
    assert flights.marked([b"2", b"4"]) == []
    rider.cancel()
    work.gate.set()
    await asyncio.gather(first, second)
    assert flights.marked([b"1", b"2", b"3", b"4"]) == []


# -- flights that are announced ----------------------------------------------------------------


async def parked(flights: aio_flights.Flights[str], riders: int) -> list[asyncio.Task[str | None]]:
    tasks = [asyncio.create_task(flights.ride("a")) for _ in range(riders)]
    await settle()
    assert not any(task.done() for task in tasks)
    return tasks


async def test_who_waits_for_an_announced_flight_rides_when_it_comes() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    announced: Announced[str] = Announced("a")
    assert flights.announce(announced)
    assert not flights.announce(Announced("a"))
    assert "a" not in flights
    riders = await parked(flights, 20)
    work = Work()
    leader = asyncio.create_task(flights.run(["a"], work))
    await settle()
    assert not flights.announce(Announced("a")), "it is under way"
    flights.call_off(announced)
    riders += await parked(flights, 20)
    work.gate.set()
    assert await asyncio.gather(*riders) == ["A"] * 40
    assert await leader == {"a": "A"}
    assert flights.announce(Announced("a"))


async def test_who_waits_for_an_announced_flight_is_told_that_it_does_not_come() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    announced: Announced[str] = Announced("a")
    assert flights.announce(announced)
    riders = await parked(flights, 3)
    flights.call_off(announced)
    assert await asyncio.gather(*riders) == [None] * 3
    assert flights.announce(Announced("a"))
    flights.call_off(announced)
    assert not flights.announce(Announced("a")), "who was first does not end what is another's"


async def test_who_waits_for_an_announced_flight_may_get_something_instead() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    announced: Announced[str] = Announced("a")
    assert flights.announce(announced)
    riders = await parked(flights, 3)
    announced.instead = "found"
    flights.call_off(announced)
    assert await asyncio.gather(*riders) == ["found"] * 3
    assert await flights.ride("a") is None
    assert flights.announce(Announced("a"))


@pytest.mark.parametrize("flight", ["with a limit", "of two keys"])
async def test_a_flight_of_another_kind_ends_the_announcement(flight: str) -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    announced: Announced[str] = Announced("a")
    assert flights.announce(announced)
    riders = await parked(flights, 3)
    work = Work()
    if flight == "with a limit":
        leader = asyncio.create_task(flights.run(["a"], work, limit_s=60))
    else:
        leader = asyncio.create_task(flights.run(["a", "b"], work))
    assert await asyncio.gather(*riders) == [None] * 3
    late = await parked(flights, 1)
    flights.forget(["a"])
    assert flights.announce(Announced("a"))
    flights.call_off(announced)
    assert not flights.announce(Announced("a"))
    work.gate.set()
    assert await late[0] == (await leader)["a"] == "A"


async def test_work_goes_on_while_anyone_waits_who_waited_before_it_began() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    assert flights.announce(Announced("a"))
    gone = await parked(flights, 3)
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)
    riders = await parked(flights, 2)
    work = Work()
    leader = asyncio.create_task(flights.run(["a"], work))
    await settle()
    leader.cancel()
    for task in riders:
        await settle()
        assert work.cancelled == 0
        task.cancel()
    await settle()
    assert work.cancelled == 1


async def test_work_that_waits_for_who_waits_for_it_is_refused() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    assert flights.announce(Announced("a"))

    async def outer(keys: tuple[str, ...]) -> Mapping[str, str]:
        return {"b": await flights.ride("a") or ""}

    async def inner(keys: tuple[str, ...]) -> Mapping[str, str]:
        return {"a": await flights.ride("b") or ""}

    waits = asyncio.create_task(flights.run(["b"], outer))
    await settle()
    with pytest.raises(NestedLoadError):
        await flights.run(["a"], inner)
    with pytest.raises(NestedLoadError):
        await waits


async def test_who_may_not_wait_for_ever_waits_for_flights_under_way_only() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    assert flights.announce(Announced("a"))
    assert await flights.ride("a", limit_s=60) is None


# -- threads -------------------------------------------------------------------------------------


class ThreadWork:
    """Begins in a thread, which leads it, and ends when told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.flights: threads_flights.Flights[str] = threads_flights.Flights()
        self.begun, self.gate = threading.Event(), threading.Event()
        self._error = error
        self._leader = threading.Thread(target=self._lead)

    def __enter__(self) -> Self:
        self._leader.start()
        assert self.begun.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._leader.join(10)

    def _lead(self) -> None:
        with contextlib.suppress(ValueError):
            self.flights.run(["a"], self._work, marks={"a": [b"1"]})

    def _work(self, keys: tuple[str, ...]) -> Mapping[str, str]:
        self.begun.set()
        assert self.gate.wait(10)
        if self._error is not None:
            raise self._error
        return {key: key.upper() for key in keys}


def ridden(work: ThreadWork, riders: int) -> list[object]:
    """Let threads ride, end the work when all of them wait, and return what they got."""
    outcomes: list[object] = []

    def ride() -> None:
        try:
            outcomes.append(work.flights.ride("a", marks=[b"2"]))
        except ValueError as error:
            outcomes.append(error)

    group = [threading.Thread(target=ride) for _ in range(riders)]
    flight = work.flights._roster._flights["a"]
    for rider in group:
        rider.start()
    while flight.riders < riders + 1:
        threads.sleep(0.001)
    assert work.flights.marked([b"1"]) == work.flights.marked([b"2"]) == ["a"]
    work.gate.set()
    for rider in group:
        rider.join(10)
    return outcomes


def test_threads_ride_and_get_what_the_flight_brings() -> None:
    with ThreadWork() as work:
        assert ridden(work, 20) == ["A"] * 20
    assert work.flights.ride("a") is None


def test_threads_that_ride_get_the_works_exception() -> None:
    boom = ValueError("boom")
    with ThreadWork(boom) as work:
        assert ridden(work, 20) == [boom] * 20


def test_a_thread_that_rides_gives_up_at_its_limit() -> None:
    with ThreadWork() as work:
        with pytest.raises(Late):
            work.flights.ride("a", limit_s=0.02)
        assert work.flights._roster._flights["a"].riders == 1


def test_threads_refuse_work_that_rides_on_itself() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        return {"a": flights.ride("a") or ""}

    with pytest.raises(NestedLoadError):
        flights.run(["a"], work)


@pytest.mark.parametrize("comes", [True, False])
def test_threads_wait_for_an_announced_flight(comes: bool) -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()
    announced: Announced[str] = Announced("a")
    assert flights.announce(announced)
    assert not flights.announce(Announced("a"))
    outcomes: list[str | None] = []
    riders = [
        threading.Thread(target=lambda: outcomes.append(flights.ride("a"))) for _ in range(10)
    ]
    for rider in riders:
        rider.start()
    while announced.flight is None or announced.flight.riders < len(riders):
        threads.sleep(0.001)
    if comes:
        assert flights.run(["a"], lambda keys: {"a": "A"}) == {"a": "A"}
    flights.call_off(announced)
    for rider in riders:
        rider.join(10)
    assert outcomes == ["A" if comes else None] * len(riders)
    assert flights.announce(Announced("a"))


def test_threads_that_announce_and_ride_at_once_never_wait_for_nobody() -> None:
    """Each either leads, calls off, or waits for one of those who do."""
    flights: threads_flights.Flights[str] = threads_flights.Flights()
    served: list[str] = []

    def caller(number: int) -> None:
        for turn in range(300):
            announced: Announced[str] = Announced("a")
            try:
                got = None if flights.announce(announced) else flights.ride("a")
                if got is None and (number + turn) % 3:
                    got = flights.run(["a"], lambda keys: {"a": "A"})["a"]
                served.append(got or "A")
            finally:
                flights.call_off(announced)

    group = [threading.Thread(target=caller, args=(number,), daemon=True) for number in range(8)]
    for one in group:
        one.start()
    for one in group:
        one.join(30)
    assert served == ["A"] * (300 * len(group))
    assert not flights._roster._announced
    assert len(flights) == 0
