"""What the server pays for more readers, and for more feeds that listen to one writer."""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from redis import Redis

from benchmarks.scale_parts import answer, child, cpu_us, show
from freshwell import AsyncCache

__all__ = ["run"]

_PROCESSES = (1, 2, 4, 8)
_NAMESPACE = "scale-processes"
_KEYS = 1_000
_TASKS = 64
_SHORT_S, _FULL_S = 1.0, 6.0
_SHORT_FEEDS, _FULL_FEEDS = (0, 100, 1_000), (0, 10, 100, 1_000)
_WRITES = 320


def run(url: str, *, full: bool) -> None:
    """Measure on the server at `url`, which has nothing else to do."""
    with Redis.from_url(url, socket_timeout=60) as client:
        asyncio.run(_fill(url))
        seconds = _FULL_S if full else _SHORT_S
        show(
            "Readers of L2 (64 tasks each, no L1)",
            ("processes", "reads/s", "server CPU us/read", "of it GET us", "server busy"),
            [_readers(client, url, processes, seconds) for processes in _PROCESSES],
        )
        heads = ("feeds", "writers", "writes/s", "server us/write", "feed us/notice")
        many = _WRITES * (6 if full else 1)
        listening = (0, *_PROCESSES) if full else (0, 1, 8)
        rows = [_listeners(client, url, n, tasks, many) for n in listening for tasks in (1, 64)]
        show("Processes whose L1 listens; one process invalidates keys", heads, rows)
        feeds = _FULL_FEEDS if full else _SHORT_FEEDS
        rows = [_bare_feeds(client, url, n, tasks, many) for n in feeds for tasks in (1, 64)]
        show("Bare feeds: connections that track, and read what they are told", heads, rows)


async def _fill(url: str) -> None:
    async with AsyncCache(url, namespace=_NAMESPACE, command_timeout=30) as cache:
        await cache.set_many({f"k:{i}": {"id": i, "body": "x" * 100} for i in range(_KEYS)})


# -- readers ------------------------------------------------------------------------------------


def _readers(client: Redis, url: str, processes: int, seconds: float) -> list[object]:
    with ExitStack() as stack:
        pipes = [stack.enter_context(child(_read, url, seconds)) for _ in range(processes)]
        for pipe in pipes:
            answer(pipe)
        client.config_resetstat()
        before_us, began = cpu_us(client), time.perf_counter()
        for pipe in pipes:
            pipe.send("go")
        reads = sum(answer(pipe) for pipe in pipes)
        taken_s, spent_us = time.perf_counter() - began, cpu_us(client) - before_us
        facts: Any = client.info("commandstats")
        get_us = facts["cmdstat_get"]["usec_per_call"]
    busy = spent_us / 1e6 / taken_s
    return [
        processes,
        f"{reads / taken_s:,.0f}",
        f"{spent_us / reads:.2f}",
        f"{get_us:.2f}",
        f"{busy:.0%}",
    ]


def _read(pipe: Connection, url: str, seconds: float) -> None:
    async def serve() -> int:
        async with AsyncCache(url, namespace=_NAMESPACE, l1=False, command_timeout=30) as cache:
            await cache.get("k:0")
            pipe.send("ready")
            pipe.recv()
            until = time.monotonic() + seconds
            counts = await asyncio.gather(*(_reading(cache, i, until) for i in range(_TASKS)))
            return sum(counts)

    pipe.send(asyncio.run(serve()))
    pipe.recv()


async def _reading(cache: AsyncCache, first: int, until: float) -> int:
    reads = 0
    while time.monotonic() < until:
        assert await cache.get(f"k:{(first * 31 + reads) % _KEYS}") is not None
        reads += 1
    return reads


# -- feeds --------------------------------------------------------------------------------------


def _listeners(client: Redis, url: str, processes: int, tasks: int, writes: int) -> list[object]:
    with ExitStack() as stack:
        pipes = [stack.enter_context(child(_listen, url)) for _ in range(processes)]
        for pipe in pipes:
            answer(pipe)
        return _written(client, url, pipes, processes, tasks, writes)


def _bare_feeds(client: Redis, url: str, feeds: int, tasks: int, writes: int) -> list[object]:
    with child(_drain, url, feeds) as pipe:
        answer(pipe)
        return _written(client, url, [pipe], feeds, tasks, writes)


def _written(
    client: Redis, url: str, pipes: list[Connection], feeds: int, tasks: int, writes: int
) -> list[object]:
    writing = asyncio.run(_write(client, url, tasks, writes))
    spent_s = 0.0
    for pipe in pipes:
        pipe.send("end")
        spent_s += answer(pipe)
    taken_s, server_us = writing
    return [
        feeds,
        tasks,
        f"{writes / taken_s:,.0f}",
        f"{server_us / writes:.1f}",
        f"{spent_s * 1e6 / writes / feeds:.1f}" if feeds else "",
    ]


async def _write(client: Redis, url: str, tasks: int, writes: int) -> tuple[float, float]:
    """Invalidate keys; return the seconds it took, and the server's CPU in us."""
    async with AsyncCache(url, namespace=_NAMESPACE, l1=False, command_timeout=30) as cache:

        async def one(number: int) -> None:
            for i in range(number, writes, tasks):
                await cache.invalidate(f"w:{i}")

        await cache.invalidate("w:0")
        before_us, began = cpu_us(client), time.perf_counter()
        await asyncio.gather(*(one(i) for i in range(tasks)))
        taken_s = time.perf_counter() - began
        return taken_s, cpu_us(client) - before_us


def _listen(pipe: Connection, url: str) -> None:
    """A process with an L1: it says how much CPU it took."""

    async def serve() -> float:
        async with AsyncCache(url, namespace=_NAMESPACE, command_timeout=30) as cache:
            await cache.get("k:0")
            while not cache.stats().l1_live:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            pipe.send("ready")
            began = time.process_time()
            while not pipe.poll():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return time.process_time() - began

    pipe.send(asyncio.run(serve()))
    pipe.recv()


def _drain(pipe: Connection, url: str, feeds: int) -> None:
    with selectors.DefaultSelector() as waiting, ExitStack() as stack:
        for _ in range(feeds):
            waiting.register(stack.enter_context(_feed(url)), selectors.EVENT_READ)
        pipe.send("ready")
        began = time.process_time()
        while not pipe.poll():
            for key, _ in waiting.select(0.05) if feeds else ():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                sock.recv(65_536)
            if not feeds:
                time.sleep(0.05)
        pipe.send(time.process_time() - began)
        pipe.recv()


def _feed(url: str) -> socket.socket:
    """Return a connection that is told what changes, as a feed of the library is."""
    host, port = url.removeprefix("redis://").split("/")[0].split(":")
    sock = socket.create_connection((host, int(port)))
    stream = sock.makefile("rb")
    sock.sendall(b"CLIENT ID\r\n")
    own_id = stream.readline()[1:].strip().decode()
    prefixes = " ".join(f"PREFIX fw:{kind}:{_NAMESPACE}{end}" for kind, end in _PREFIXES)
    sock.sendall(f"CLIENT TRACKING ON REDIRECT {own_id} BCAST {prefixes}\r\n".encode())
    assert stream.readline() == b"+OK\r\n"
    sock.sendall(b"SUBSCRIBE __redis__:invalidate\r\n")
    return sock


_PREFIXES = (("e", ":"), ("e", "/"), ("t", ":"))
