"""Flights of both kits: one piece of work for all who ask, whatever becomes of each of them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import traceback
from collections.abc import Mapping

import pytest

from freshwell._kit import aio_flights, threads, threads_flights
from freshwell.errors import LoadCancelled, NestedLoadError


class Work:
    """Counts its calls, and ends when told."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.gate = asyncio.Event()

    async def __call__(self, keys: tuple[str, ...]) -> Mapping[str, str]:
        self.calls += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {key: key.upper() for key in keys}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_of_one_key_share_one_piece_of_work() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Work()
    callers = [asyncio.create_task(flights.run(["a"], work)) for _ in range(100)]
    await settle()
    work.gate.set()
    assert await asyncio.gather(*callers) == [{"a": "A"}] * 100
    assert work.calls == 1
    assert len(flights) == 0


async def test_callers_after_the_end_start_anew() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Work()
    work.gate.set()
    await flights.run(["a"], work)
    await flights.run(["a"], work)
    assert work.calls == 2


async def test_a_cancelled_leader_does_not_end_the_work_for_the_others() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Work()
    leader = asyncio.create_task(flights.run(["a"], work))
    await settle()
    rider = asyncio.create_task(flights.run(["a"], work))
    await settle()
    leader.cancel()
    await settle()
    assert leader.cancelled()
    assert work.cancelled == 0
    work.gate.set()
    assert await rider == {"a": "A"}
    assert work.calls == 1


async def test_the_last_caller_takes_the_work_with_it() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    work = Work()
    callers = [asyncio.create_task(flights.run(["a"], work)) for _ in range(3)]
    await settle()
    for caller in callers:
        caller.cancel()
    await settle()
    assert work.cancelled == 1
    assert "a" not in flights


async def test_who_comes_after_an_abandoned_flight_starts_anew() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    first, second = Work(), Work()
    caller = asyncio.create_task(flights.run(["a"], first))
    await settle()
    caller.cancel()
    await settle()
    second.gate.set()
    assert await flights.run(["a"], second) == {"a": "A"}


async def test_the_works_exception_reaches_every_rider_unwrapped_and_short() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    gate = asyncio.Event()
    boom = ValueError("boom")

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        await gate.wait()
        raise boom

    callers = [asyncio.create_task(flights.run(["a"], work)) for _ in range(50)]
    await settle()
    gate.set()
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert all(error is boom for error in errors)
    assert len(traceback.extract_tb(boom.__traceback__)) < 12


async def test_work_cancelled_from_inside_is_an_error_and_no_cancellation_of_the_riders() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        raise asyncio.CancelledError

    with pytest.raises(LoadCancelled):
        await flights.run(["a"], work)


async def test_many_keys_ride_where_they_can_and_lead_the_rest() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    first, second = Work(), Work()
    early = asyncio.create_task(flights.run(["a", "b"], first))
    await settle()
    late = asyncio.create_task(flights.run(["b", "c"], second))
    await settle()
    second.gate.set()
    first.gate.set()
    assert await early == {"a": "A", "b": "B"}
    assert await late == {"b": "B", "c": "C"}
    assert first.calls == second.calls == 1


async def test_forgotten_keys_are_loaded_anew_while_old_riders_get_what_they_waited_for() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    old, new = Work(), Work()
    before = asyncio.create_task(flights.run(["a"], old))
    await settle()
    flights.forget(["a"])
    new.gate.set()
    assert await flights.run(["a"], new) == {"a": "A"}
    assert new.calls == 1
    old.gate.set()
    assert await before == {"a": "A"}


async def test_work_that_waits_for_itself_is_refused() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()

    async def inner(keys: tuple[str, ...]) -> Mapping[str, str]:
        raise AssertionError("never runs")

    async def outer(keys: tuple[str, ...]) -> Mapping[str, str]:
        return await flights.run(["a"], inner)

    with pytest.raises(NestedLoadError):
        await flights.run(["a"], outer)


async def test_two_pieces_of_work_that_wait_for_each_other_are_refused() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    both = asyncio.Barrier(2)

    def work(other: str) -> object:
        async def run(keys: tuple[str, ...]) -> Mapping[str, str]:
            await both.wait()
            return dict.fromkeys(keys, (await flights.run([other], run))[other])

        return run

    outcomes = await asyncio.gather(
        flights.run(["a"], work("b")),  # type: ignore[arg-type]
        flights.run(["b"], work("a")),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert any(isinstance(outcome, NestedLoadError) for outcome in outcomes)


async def test_nested_work_on_other_keys_is_fine() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()

    async def leaf(keys: tuple[str, ...]) -> Mapping[str, str]:
        return dict.fromkeys(keys, "leaf")

    async def root(keys: tuple[str, ...]) -> Mapping[str, str]:
        return {"root": (await flights.run(["leaf"], leaf))["leaf"]}

    assert await flights.run(["root"], root) == {"root": "leaf"}


async def test_work_runs_in_a_copy_of_the_leaders_context() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    request.set("42")

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        return {"a": request.get()}

    assert await flights.run(["a"], work) == {"a": "42"}


def in_threads(calls: list[object]) -> list[object]:
    """Run calls at the same time and return what they return or raise, in order."""
    outcomes: list[object] = [None] * len(calls)

    def run(i: int) -> None:
        try:
            outcomes[i] = calls[i]()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - the outcome is what is looked at
            outcomes[i] = error

    workers = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return outcomes


class ThreadWork:
    """Counts its calls, and ends when all `riders` have been seen waiting."""

    def __init__(self, roster: threads_flights.Flights[str], riders: int) -> None:
        self.calls = 0
        self._flights = roster
        self._riders = riders

    def __call__(self, keys: tuple[str, ...]) -> Mapping[str, str]:
        self.calls += 1
        flight = self._flights._roster._flights[keys[0]]
        while flight.riders < self._riders:
            threads.sleep(0.001)
        return {key: key.upper() for key in keys}


def test_threads_share_one_piece_of_work() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()
    work = ThreadWork(flights, 20)
    outcomes = in_threads([lambda: flights.run(["a"], work)] * 20)
    assert outcomes == [{"a": "A"}] * 20
    assert work.calls == 1


def test_the_works_exception_reaches_every_thread() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()
    waits = ThreadWork(flights, 10)
    boom = ValueError("boom")

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        waits(keys)
        raise boom

    assert in_threads([lambda: flights.run(["a"], work)] * 10) == [boom] * 10


def test_an_interrupted_leader_leaves_an_error_and_not_a_wait() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()
    waits = ThreadWork(flights, 2)

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        waits(keys)
        raise KeyboardInterrupt

    outcomes = in_threads([lambda: flights.run(["a"], work)] * 2)
    assert {type(outcome) for outcome in outcomes} == {KeyboardInterrupt, LoadCancelled}


def test_threads_refuse_work_that_waits_for_itself() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights()

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        return flights.run(["a"], work)

    with pytest.raises(NestedLoadError):
        flights.run(["a"], work)
