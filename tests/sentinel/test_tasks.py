"""What only tasks can do to a link to whoever is the primary."""

from __future__ import annotations

import asyncio
import threading

import pytest

from freshwell._kit.link_errors import LinkLost
from tests.sentinel._async.links import link, naming, service_of
from tests.support.aio import until
from tests.support.impostor import impostor
from tests.support.servers import Server


async def test_who_is_cancelled_while_it_asks_leaves_the_answer_to_the_next(
    redis_server: Server,
) -> None:
    go = threading.Event()

    def answer(command: list[bytes]) -> bytes:
        go.wait(20)
        return naming(command, 1, redis_server.port)

    with impostor(answer) as sentinel:
        own = link(service_of(sentinel))
        first, second = (asyncio.create_task(own.get(b"none")) for _ in range(2))
        await until(lambda: bool(sentinel.commands), "a sentinel is asked")
        first.cancel()
        go.set()
        assert await second is None
        with pytest.raises(asyncio.CancelledError):
            await first
        await own.aclose()


async def test_closing_it_while_it_asks_ends_all_that_wait(redis_server: Server) -> None:
    go = threading.Event()

    def answer(command: list[bytes]) -> bytes:
        go.wait(20)
        return naming(command, 1, redis_server.port)

    with impostor(answer) as sentinel:
        own = link(service_of(sentinel))
        waiting = [asyncio.create_task(own.get(b"none")) for _ in range(5)]
        await until(lambda: bool(sentinel.commands), "a sentinel is asked")
        await own.aclose()
        go.set()
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, LinkLost) for error in errors)
