"""An answer that another thread gives to a waiting one (threads)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

__all__ = ["Promise", "deliver_all"]

T = TypeVar("T")


class Promise(Generic[T]):
    """One answer, for one waiter. Made by the waiter, kept from any thread.

    Of several answers the first counts. One that comes when nobody waits any more is dropped.
    """

    # A bare lock, held until there is an answer: an Event costs a tenth of what accepting does.

    __slots__ = ("_answers_wanted", "_error", "_kept", "_value")

    def __init__(self) -> None:
        self._kept = threading.Lock()
        self._kept.acquire()
        self._answers_wanted = [True]
        self._value: T | None = None
        self._error: BaseException | None = None

    def deliver(self, value: T) -> None:
        """Give the answer. From any thread; never waits."""
        self._settle(value, None)

    def fail(self, error: BaseException) -> None:
        """Have `wait` raise `error`. From any thread; never waits."""
        self._settle(None, error)

    def wait(self, timeout_s: float, late: Callable[[], Exception] = TimeoutError) -> T:
        """Return the answer, or raise it. Raises what `late` makes after `timeout_s` seconds."""
        if not self._kept.acquire(timeout=timeout_s):
            raise late()
        self._kept.release()
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def _settle(self, value: T | None, error: BaseException | None) -> None:
        try:
            self._answers_wanted.pop()  # atomic
        except IndexError:
            return
        self._value, self._error = value, error
        self._kept.release()


def deliver_all(answers: Sequence[tuple[Promise[Any], Any, BaseException | None]]) -> None:
    """Give many answers: each a promise, its value, and its error or None. Never waits."""
    for promise, value, error in answers:
        promise._settle(value, error)
