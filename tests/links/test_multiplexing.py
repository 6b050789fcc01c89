"""The async link is one connection for all tasks: what leaves together, and who may leave."""

from __future__ import annotations

import asyncio

import pytest

from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout
from tests.support.impostor import SILENCE, impostor


async def test_the_first_command_leaves_at_once_and_those_of_the_same_tick_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with impostor(lambda command: b"$1\r\nv\r\n") as server:
        own = Link(Endpoint.of(server.url))
        await own.get(b"warm")
        # What the server reads at once is no measure: it may come late, and find both writes.
        writes: list[int] = []
        transport = own._line._transport  # type: ignore[union-attr]
        write = transport.write

        def counted(data: bytes) -> None:
            writes.append(data.count(b"GET"))
            write(data)

        monkeypatch.setattr(transport, "write", counted)
        await asyncio.gather(*(own.get(b"k:%d" % i) for i in range(100)))
        assert writes == [1, 99]
        assert server.connections == 1
        await own.aclose()


async def test_equal_reads_that_wait_to_leave_are_one_command() -> None:
    with impostor(lambda command: b"$1\r\nv\r\n") as server:
        own = Link(Endpoint.of(server.url))
        await own.get(b"warm")
        await asyncio.gather(*(own.get(b"k") for _ in range(100)))
        assert server.commands == [[b"GET", b"warm"], [b"GET", b"k"], [b"GET", b"k"]]
        await own.get(b"k")
        assert len(server.commands) == 4
        await own.aclose()


async def test_a_cancelled_caller_disturbs_no_other(redis_url: str) -> None:
    own = Link(Endpoint.of(redis_url), command_timeout_s=10)
    await own.batch([(b"SET", b"k:%d" % i, b"%d" % i) for i in range(20)])
    tasks = [asyncio.create_task(own.get(b"k:%d" % (i // 2))) for i in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert results[1::2] == [b"%d" % i for i in range(20)]
    await own.aclose()


async def test_all_who_wait_are_told_when_the_connection_times_out() -> None:
    with impostor(lambda command: SILENCE) as server:
        own = Link(Endpoint.of(server.url), command_timeout_s=0.1)
        calls = (own.get(b"k:%d" % (i % 5)) for i in range(20))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, LinkTimeout) for result in results)
        assert server.connections == 1
        await own.aclose()


async def test_closing_tells_those_who_wait() -> None:
    with impostor(lambda command: SILENCE) as server:
        own = Link(Endpoint.of(server.url), command_timeout_s=10)
        waiting = asyncio.create_task(own.batch([("PING",)]))
        while not server.commands:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
        await own.aclose()
        with pytest.raises(LinkLost, match="closed"):
            await waiting
