"""Flights that may not last for ever, and callers who lose patience, of both kits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

import pytest

from freshwell._kit import aio_flights, threads, threads_flights
from freshwell._kit.flight import Crowded, Late


async def test_a_flight_over_its_limit_is_cancelled_and_all_are_told() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    cancelled = asyncio.Event()

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return {}

    led = asyncio.create_task(flights.run(["a"], work, limit_s=0.02))
    await asyncio.sleep(0)
    ridden = asyncio.create_task(flights.run(["a"], work))
    for task in (led, ridden):
        with pytest.raises(Late) as late:
            await task
        assert not late.value.goes_on
    await cancelled.wait()
    assert len(flights) == 0


async def test_who_loses_patience_leaves_the_work_to_go_on_though_nobody_waits() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()
    let_go, done = asyncio.Event(), asyncio.Event()

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        await let_go.wait()
        done.set()
        return dict.fromkeys(keys, "x")

    with pytest.raises(Late) as late:
        await flights.run(["a"], work, patience_s=0.01)
    assert late.value.goes_on
    rider = asyncio.create_task(flights.run(["a"], work))
    await asyncio.sleep(0)
    rider.cancel()
    await asyncio.wait([rider])
    assert len(flights) == 1, "not even a rider's cancellation ends it"
    let_go.set()
    await asyncio.wait_for(done.wait(), 10)
    assert len(flights) == 0


async def test_work_that_ends_in_time_is_as_without_limits() -> None:
    flights: aio_flights.Flights[str] = aio_flights.Flights()

    async def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        await asyncio.sleep(0)
        return dict.fromkeys(keys, "x")

    assert await flights.run(["a"], work, limit_s=60, patience_s=30) == {"a": "x"}
    await flights.aclose(1)


def test_a_thread_over_its_limit_goes_on_alone_and_later_callers_start_anew() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights(8)
    let_go, calls = threading.Event(), []

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        calls.append(keys)
        if len(calls) == 1:
            assert let_go.wait(20)
        return dict.fromkeys(keys, f"{len(calls)}")

    with pytest.raises(Late) as late:
        flights.run(["a"], work, limit_s=0.02)
    assert not late.value.goes_on
    assert len(flights) == 0
    assert flights.run(["a"], work, limit_s=20) == {"a": "2"}
    let_go.set()
    flights.close(10)


def test_riders_of_a_late_thread_are_told_too() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights(8)
    begun, let_go = threading.Event(), threading.Event()
    told: list[Late] = []

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        begun.set()
        assert let_go.wait(20)
        return dict.fromkeys(keys, "x")

    def ride(limit_s: float | None = None) -> None:
        try:
            flights.run(["a"], work, limit_s=limit_s)
        except Late as late:
            told.append(late)

    leader = threading.Thread(target=lambda: ride(0.3))
    leader.start()
    assert begun.wait(20)
    rider = threading.Thread(target=ride)
    rider.start()
    rider.join(20)
    leader.join(20)
    let_go.set()
    flights.close(10)
    assert len(told) == 2


def test_a_flight_whose_time_is_over_is_not_joined_though_nobody_has_noticed() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights(8)
    let_go, calls = threading.Event(), []

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        calls.append(keys)
        if len(calls) == 1:
            assert let_go.wait(20)
        return dict.fromkeys(keys, "x")

    with pytest.raises(Late):
        flights.run(["a"], work, limit_s=0.05, patience_s=0.01)
    flight = flights._roster._flights["a"]
    while not flight.is_over():
        threads.sleep(0.001)
    assert flights.run(["a"], work) == {"a": "x"}
    assert len(calls) == 2
    let_go.set()
    flights.close(10)


def test_where_no_thread_is_free_the_caller_is_told_at_once() -> None:
    flights: threads_flights.Flights[str] = threads_flights.Flights(1)
    let_go = threading.Event()

    def work(keys: tuple[str, ...]) -> Mapping[str, str]:
        assert let_go.wait(20)
        return dict.fromkeys(keys, "x")

    with pytest.raises(Late):
        flights.run(["a"], work, patience_s=0.01)
    with pytest.raises(Crowded):
        flights.run(["b"], work, limit_s=20)
    let_go.set()
    flights.close(10)
    assert len(flights) == 0
