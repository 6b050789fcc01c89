"""Promises of both kits: an answer from another thread reaches its waiter, or nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from freshwell._kit import aio_promise, threads_promise


def elsewhere(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


async def test_an_answer_from_another_thread_arrives() -> None:
    promise: aio_promise.Promise[int] = aio_promise.Promise()
    elsewhere(partial(promise.deliver, 5))
    assert await promise.wait(10) == 5


def test_an_answer_from_another_thread_arrives_in_a_thread() -> None:
    promise: threads_promise.Promise[int] = threads_promise.Promise()
    elsewhere(partial(promise.deliver, 5)).join()
    assert promise.wait(10) == 5


async def test_an_error_is_raised_where_the_answer_is_waited_for() -> None:
    promise: aio_promise.Promise[int] = aio_promise.Promise()
    elsewhere(partial(promise.fail, ValueError("x")))
    with pytest.raises(ValueError, match="x"):
        await promise.wait(10)


def test_an_error_is_raised_in_a_thread_that_waits() -> None:
    promise: threads_promise.Promise[int] = threads_promise.Promise()
    promise.fail(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        promise.wait(10)


async def test_of_several_answers_the_first_counts() -> None:
    promise: aio_promise.Promise[int] = aio_promise.Promise()
    promise.deliver(1)
    promise.fail(ValueError())
    promise.deliver(2)
    assert await promise.wait(10) == 1
    other: threads_promise.Promise[int] = threads_promise.Promise()
    other.deliver(1)
    other.fail(ValueError())
    assert other.wait(0) == 1


async def test_a_wait_has_a_limit() -> None:
    with pytest.raises(TimeoutError):
        await aio_promise.Promise[int]().wait(0.001)
    with pytest.raises(TimeoutError):
        threads_promise.Promise[int]().wait(0)


async def test_each_wait_has_the_limit_it_was_given() -> None:
    long: aio_promise.Promise[int] = aio_promise.Promise()
    waiting = asyncio.create_task(long.wait(3600))
    with pytest.raises(TimeoutError):
        await aio_promise.Promise[int]().wait(0.001)
    assert not waiting.done()
    long.deliver(1)
    assert await waiting == 1


async def test_a_cancelled_waiter_loses_its_answer_and_no_other_does() -> None:
    promises: list[aio_promise.Promise[int]] = [aio_promise.Promise() for _ in range(3)]
    waiting = [asyncio.create_task(promise.wait(10)) for promise in promises]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    elsewhere(partial(aio_promise.deliver_all, [(promise, 7, None) for promise in promises]))
    assert [await waiting[0], await waiting[2]] == [7, 7]
    assert waiting[1].cancelled()


async def test_many_answers_wake_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    woken: list[Any] = []
    wake = loop.call_soon_threadsafe

    def counted(*arguments: Any, **options: Any) -> Any:
        woken.append(arguments)
        return wake(*arguments, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    promises: list[aio_promise.Promise[int]] = [aio_promise.Promise() for _ in range(256)]
    aio_promise.deliver_all([(promise, i, None) for i, promise in enumerate(promises)])
    assert [await promise.wait(10) for promise in promises] == list(range(256))
    assert len(woken) == 1


def test_an_answer_for_a_loop_that_is_closed_is_dropped() -> None:
    async def make() -> aio_promise.Promise[int]:
        return aio_promise.Promise()

    closed, open_ = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        gone = closed.run_until_complete(make())
        closed.close()
        there = open_.run_until_complete(make())
        aio_promise.deliver_all([(gone, 1, None), (there, 2, None)])
        assert open_.run_until_complete(there.wait(10)) == 2
    finally:
        open_.close()


async def test_an_error_that_nobody_waits_for_is_no_mistake() -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    promise: aio_promise.Promise[int] = aio_promise.Promise()
    promise.fail(ValueError())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del promise
    assert told == []
