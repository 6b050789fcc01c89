"""Run functions in processes of their own, talk with them, and leave none behind.

::

    def reader(talk: Talk, url: str, seed: int) -> list[int]:     # at the top of a module
        cache = Cache(url)
        talk.ready()                                              # all start at once
        return [...]

    def test_races(redis_url: str) -> None:
        with workers("tests.races.parts:reader", [{"url": redis_url, "seed": i} for i in range(4)],
                     gate=True) as group:
            results = group.results()
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.blocking import blocking_allowed

__all__ = ["Group", "Worker", "WorkerFailed", "workers"]

_ROOT = Path(__file__).resolve().parents[2]
_START_S = 30.0
_RESULT_S = 50.0


class WorkerFailed(AssertionError):
    """A worker raised, died or fell silent; the message has its trace or its last words."""


class Worker:
    """One process that runs one function. Methods are for one thread."""

    def __init__(self, target: str, arguments: Mapping[str, Any]) -> None:
        self._target = target
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by kill
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.worker", target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=_ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "src")))},
            start_new_session=True,
        )
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._kept: list[dict[str, Any]] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.say(arguments)

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, word: Any) -> None:
        """Say something that the worker gets from `Talk.hear`. A dead worker hears nothing."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(word).encode() + b"\n")
            self._process.stdin.flush()

    def hear(self, timeout_s: float = _RESULT_S) -> Any:
        """Wait for the next thing that the worker says. Raises `WorkerFailed`."""
        return self._wait("said", timeout_s)

    def wait_ready(self, timeout_s: float = _START_S) -> None:
        """Wait until the worker has called `Talk.ready`. Raises `WorkerFailed`."""
        self._wait("ready", timeout_s)

    def go(self) -> None:
        """Let a worker that is ready go on."""
        self.say("go")

    def result(self, timeout_s: float = _RESULT_S) -> Any:
        """Wait for what the function returns. Raises `WorkerFailed`."""
        return self._wait("result", timeout_s)

    def freeze(self) -> None:
        """Stop the process and what it started with SIGSTOP."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the process and what it started with SIGKILL, and wait for its end. Idempotent."""
        with blocking_allowed():
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._listener.join()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None and not pipe.closed:
                    _close(pipe)
            self._errors.close()

    def _wait(self, kind: str, timeout_s: float) -> Any:
        """Return the next message of a kind; messages of other kinds are kept for later."""
        for message in self._kept:
            if kind in message:
                self._kept.remove(message)
                return message[kind]
        deadline_s = time.monotonic() + timeout_s
        while True:
            message = self._next(kind, deadline_s)
            if kind in message:
                return message[kind]
            if "error" in message:
                raise WorkerFailed(f"{self._target} raised:\n{message['error']}")
            if "end" in message:
                raise WorkerFailed(f"{self._target} ended without a {kind}:\n{self._last_words()}")
            self._kept.append(message)

    def _next(self, kind: str, deadline_s: float) -> dict[str, Any]:
        with blocking_allowed():
            try:
                return self._messages.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                raise WorkerFailed(f"{self._target} gave no {kind} in time") from None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._messages.put(json.loads(line))
        self._messages.put({"end": True})

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")


class Group:
    """Workers that do the same thing."""

    def __init__(self, members: Sequence[Worker]) -> None:
        self.members = members

    def __iter__(self) -> Iterator[Worker]:
        return iter(self.members)

    def __getitem__(self, index: int) -> Worker:
        return self.members[index]

    def __len__(self) -> int:
        return len(self.members)

    def open_gate(self) -> None:
        """Wait until every worker is ready, then let all go."""
        for member in self.members:
            member.wait_ready()
        for member in self.members:
            member.go()

    def results(self, timeout_s: float = _RESULT_S) -> list[Any]:
        """Wait for every worker's result, in their order. Raises `WorkerFailed` for the first."""
        deadline_s = time.monotonic() + timeout_s
        return [member.result(max(0.0, deadline_s - time.monotonic())) for member in self.members]


@contextmanager
def workers(
    target: str, arguments: Sequence[Mapping[str, Any]], *, gate: bool = False
) -> Iterator[Group]:
    """Run ``module:function`` once for each of `arguments`, each in a process of its own.

    With `gate`, every worker calls ``talk.ready()`` when it is prepared, and none goes on before
    all are. Leaving kills the workers that are still there.
    """
    members: list[Worker] = []
    try:
        for each in arguments:
            members.append(Worker(target, each))
        group = Group(members)
        if gate:
            group.open_gate()
        yield group
    finally:
        for member in members:
            member.kill()


def _close(pipe: Any) -> None:
    with suppress(BrokenPipeError):
        pipe.close()
