"""Concurrency for tests that are written in async and twinned: the thread half.

``aio`` is the other half: same names, same signatures, same semantics.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["Latch", "Running", "all_of", "start", "unless_late", "until"]

T = TypeVar("T")

_GIVE_UP_S = 20.0


class Latch:
    """A gate that is opened once; whoever passes waits for that."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_open(self) -> bool:
        return self._event.is_set()

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._event.set()

    def passed(self) -> None:
        """Wait until it is open. Raises `TimeoutError` when that takes far too long."""
        if not self._event.wait(_GIVE_UP_S):
            raise TimeoutError("nobody opened the latch")


class Running(Generic[T]):
    """A call that goes on beside the test."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    @property
    def done(self) -> bool:
        return self._future.done()

    def result(self) -> T:
        """Wait for what the call returns, or raise what it raises.

        Raises `TimeoutError` when that takes far too long.
        """
        return self._future.result(_GIVE_UP_S)


def start(call: Callable[[], T]) -> Running[T]:
    """Start a call beside the test, and return when it runs: it may not have got far."""

    def carry() -> None:
        begun.set()
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  # it is the test's to judge
            future.set_exception(error)

    begun = threading.Event()
    future: Future[T] = Future()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(carry,), daemon=True).start()
    begun.wait()
    return Running(future)


def all_of(*calls: Callable[[], T]) -> list[T]:
    """Run the calls at the same time and return their results in order."""
    running = [start(call) for call in calls]
    return [one.result() for one in running]


def unless_late(call: Callable[[], T], seconds: float) -> T | None:
    """Return what a call returns. No thread can be cancelled: that is for the other half."""
    return call()


def until(holds: Callable[[], bool], what: str = "the condition") -> None:
    """Wait until something holds that nothing announces.

    Raises `AssertionError`, which names `what`, when that takes far too long.
    """
    deadline_s = time.monotonic() + _GIVE_UP_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.001)
