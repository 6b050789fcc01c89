"""A thread that does jobs in groups: what came in while it was busy is the next group."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from freshwell.errors import JournalUnavailable

__all__ = ["Answer", "Job", "Lane"]

C = TypeVar("C")

Answer = tuple[Any, Any, BaseException | None]
"""What came of a job: its ticket, its value, and its error or None."""

_GROUP_ROWS: Final = 1_000
_GROUP_BYTES: Final = 4_000_000
_QUEUE_JOBS: Final = 10_000
_QUEUE_BYTES: Final = 64_000_000


class Job(NamedTuple, Generic[C]):
    """`work` is called with what the lane works on; `ticket` names whoever waits for it.

    `parts` gives what it is made of, where one of them may be at fault alone.
    """

    work: Callable[[C], Any]
    ticket: object
    rows: int = 1
    size: int = 0
    parts: Callable[[], Sequence[Callable[[C], Any]]] | None = None


class Lane(Generic[C]):
    """One thread, which takes jobs in order, as many at a time as wait (within bounds).

    It is started by the first job, and ended by `close`. `perform` does the jobs of a group and
    answers for all of them; it raises nothing. `finish` is called last.
    """

    def __init__(
        self,
        name: str,
        perform: Callable[[list[Job[C]]], None],
        finish: Callable[[], None],
    ) -> None:
        self._name = name
        self._perform = perform
        self._finish = finish
        self._mutex = threading.Lock()
        self._more = threading.Condition(self._mutex)
        self._jobs: deque[Job[C]] = deque()
        self._size = 0
        self._idle = False
        self._thread: threading.Thread | None = None
        self._closing = False

    def submit(self, job: Job[C]) -> None:
        """Have a job done. Never waits. Raises `JournalUnavailable` when too much waits."""
        with self._mutex:
            if self._closing:
                raise JournalUnavailable("the journal is closed")
            if len(self._jobs) >= _QUEUE_JOBS or self._size + job.size > _QUEUE_BYTES > job.size:
                raise JournalUnavailable("too much waits for the journal's disk already")
            if self._thread is None:
                self._thread = self._started()
            self._jobs.append(job)
            self._size += job.size
            if self._idle:
                self._idle = False
                self._more.notify()

    def close(self) -> None:
        """Refuse more jobs, and have the thread end when those that wait are done.

        Never waits. Idempotent. `finish` is called in any case, once.
        """
        with self._mutex:
            if self._closing:
                return
            self._closing = True
            self._more.notify()
            begun = self._thread is not None
        if not begun:
            self._finish()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is going down, or there are too many
            raise JournalUnavailable("no thread can be started for the journal") from error
        return thread

    def _run(self) -> None:
        while group := self._next():
            self._perform(group)
        self._finish()

    def _next(self) -> list[Job[C]]:
        """Wait for jobs, and return some. Empty: it is over."""
        with self._mutex:
            while not self._jobs and not self._closing:
                self._idle = True
                self._more.wait()
            group: list[Job[C]] = []
            rows = size = 0
            while self._jobs:
                job = self._jobs[0]
                rows, size = rows + job.rows, size + job.size
                if group and (rows > _GROUP_ROWS or size > _GROUP_BYTES):
                    break
                group.append(self._jobs.popleft())
                self._size -= job.size
            return group
