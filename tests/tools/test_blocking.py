"""The detector of blocking calls: what it catches, what it lets through, and that tests fail."""

from __future__ import annotations

import asyncio
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from time import sleep

import pytest

from tests.support.blocking import BlockingCall, blocking_allowed, take


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def _end_of_child() -> None:
    with _child() as child:
        try:
            child.wait()
        finally:
            child.kill()
            with blocking_allowed():
                child.wait()


BLOCKING: dict[str, Callable[[], object]] = {
    "time.sleep": lambda: time.sleep(0),
    "sleep imported by name": lambda: sleep(0),
    "a name look-up": lambda: socket.getaddrinfo("localhost", 80),
    "a connection": lambda: socket.create_connection(("127.0.0.1", 1)),
    "an event": lambda: threading.Event().wait(),
    "an event, for a time": lambda: threading.Event().wait(0.001),
    "a queue": lambda: queue.Queue[int]().get(),
    "a future": lambda: Future[int]().result(),
    "a semaphore": lambda: threading.Semaphore(0).acquire(),
    "a process": _end_of_child,
}


@pytest.mark.parametrize("call", BLOCKING.values(), ids=BLOCKING.keys())
async def test_a_blocking_call_in_a_loop_is_refused_and_recorded(
    call: Callable[[], object],
) -> None:
    with pytest.raises(BlockingCall, match="would block the running event loop"):
        call()
    (found,) = take()
    assert __file__ in found or "lib/python" in found


@pytest.mark.parametrize("verb", ["recv", "recv_into", "send"])
async def test_a_blocking_socket_in_a_loop_is_refused(
    pair: tuple[socket.socket, socket.socket], verb: str
) -> None:
    with pytest.raises(BlockingCall, match=f"socket.{verb}"):
        getattr(pair[0], verb)(1 if verb == "recv" else bytearray(1))
    assert len(take()) == 1


async def test_waiting_for_a_thread_in_a_loop_is_refused() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    with pytest.raises(BlockingCall, match=r"Thread\.join"):
        thread.join()
    assert len(take()) == 1
    end.set()
    with blocking_allowed():
        thread.join()


async def test_what_does_not_block_is_let_through(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    pair[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[0].recv(1)
    assert not threading.Event().wait(0)
    assert threading.Semaphore(1).acquire()
    with threading.Lock(), threading.Condition():
        await asyncio.sleep(0)
    thread = threading.Thread(target=int)
    thread.start()
    await asyncio.to_thread(time.sleep, 0)
    with blocking_allowed():
        thread.join()
    assert take() == []


async def test_asyncio_itself_is_let_through() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    assert await process.wait() == 0
    assert take() == []


def test_a_loop_may_end_the_threads_that_it_has_started() -> None:
    for _ in range(50):
        asyncio.run(asyncio.to_thread(int))
    assert take() == []


def test_without_a_loop_everything_may_block(pair: tuple[socket.socket, socket.socket]) -> None:
    time.sleep(0)
    pair[0].send(b"x")
    assert pair[1].recv(1) == b"x"
    assert not threading.Event().wait(0.001)
    assert take() == []


def test_a_test_that_blocks_fails_even_if_it_swallows_the_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makeconftest('pytest_plugins = ["tests.support.plugin"]')
    pytester.makepyprojecttoml('[tool.pytest]\nasyncio_mode = "auto"\nmarkers = ["server"]\n')
    pytester.makepyfile(
        """
        import time, contextlib

        async def test_blocks():
            time.sleep(0)

        async def test_blocks_and_swallows():
            with contextlib.suppress(Exception):
                time.sleep(0)

        async def test_does_not_block():
            pass
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*time.sleep called at *test_a_test_that_blocks*.py:4 would *"])
