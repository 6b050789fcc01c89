"""Catch calls that block an event loop, by what they are and not by how long they take.

`install` replaces the blocking doors of the standard library (`time.sleep`, sockets, name
look-up, waiting for threads and processes) with ones that look for a running event loop in
their thread. Where there is one, the call is recorded and raises `BlockingCall` at once. It is
recorded too because code under test may swallow the exception: `take` gives what was found.

Not caught: file and database input and output, and waiting for a plain ``Lock``, which the
engines hold for a moment only.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["BlockingCall", "blocking_allowed", "install", "take"]

_allowed: ContextVar[bool] = ContextVar("blocking_allowed", default=False)
_found: list[str] = []
_ASYNCIO = Path(asyncio.__file__).parent
_SOCKET_CALLS = (
    "accept",
    "connect",
    "recv",
    "recv_into",
    "recvfrom",
    "recvfrom_into",
    "recvmsg",
    "send",
    "sendall",
    "sendmsg",
    "sendto",
)
_LOOK_UPS = ("create_connection", "getaddrinfo", "gethostbyaddr", "gethostbyname")


class BlockingCall(AssertionError):
    """A call would have blocked the event loop of its thread."""


@contextmanager
def blocking_allowed() -> Iterator[None]:
    """Let the calls within block: for the test kit's own business, such as ending a server."""
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


def take() -> list[str]:
    """Return the blocking calls found since the last time, and forget them."""
    found = _found.copy()
    _found.clear()
    return found


def install() -> None:
    """Replace the blocking calls of this process, once and for good.

    To be called before the code under test is imported: ``from time import sleep`` in it then
    gets the replacement too.
    """
    if hasattr(time.sleep, "__wrapped__"):
        return
    _replace(time, "sleep", lambda seconds: True)
    for name in _SOCKET_CALLS:
        _replace(socket.socket, name, lambda self, *_, **__: self.gettimeout() != 0)
    for name in _LOOK_UPS:
        _replace(socket, name, lambda *_, **__: True)
    _replace(threading.Condition, "wait", _waits)
    _replace(threading.Thread, "join", _joins)
    _replace(subprocess.Popen, "wait", lambda self, *_, **__: self.poll() is None)


def _replace(owner: Any, name: str, blocks: Callable[..., bool]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _loop_runs_here() and not _allowed.get() and blocks(*args, **kwargs):
            _refuse(f"{getattr(owner, '__qualname__', owner.__name__)}.{name}", sys._getframe(1))
        return original(*args, **kwargs)

    setattr(owner, name, guarded)


def _loop_runs_here() -> bool:
    return asyncio._get_running_loop() is not None


def _refuse(call: str, frame: FrameType | None) -> None:
    where = "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
    message = f"{call} called at {where} would block the running event loop"
    _found.append(message)
    raise BlockingCall(message)


def _waits(condition: threading.Condition, timeout: float | None = None) -> bool:
    """Tell whether a wait blocks: a poll does not, nor does the hand-shake of a new thread."""
    return timeout != 0 and not _is_thread_start(sys._getframe(2))


def _is_thread_start(frame: FrameType | None) -> bool:
    for _ in range(4):
        if frame is None:
            return False
        if frame.f_code is threading.Thread.start.__code__:
            return True
        frame = frame.f_back
    return False


def _joins(thread: threading.Thread, timeout: float | None = None) -> bool:
    """Tell whether a join blocks: not where asyncio joins a thread that it has seen to its end."""
    caller = sys._getframe(2)
    by_asyncio = Path(caller.f_code.co_filename).parent == _ASYNCIO
    return timeout != 0 and thread.is_alive() and not by_asyncio
