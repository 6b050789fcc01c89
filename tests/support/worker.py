"""The child's side of `tests.support.processes`: run one function and answer in JSON lines.

``python -m tests.support.worker module:function``, with the arguments as a JSON object in the
first line of the standard input. The function is called as ``function(talk, **arguments)``, is
plain or async, and returns what JSON can carry. What it prints goes to the standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import queue
import sys
import threading
import traceback
from typing import IO, Any

__all__ = ["Talk", "main"]

_ORPHANED = 70


class Talk:
    """How a worker talks with the test that started it. Each word is a JSON value."""

    def __init__(self, incoming: IO[str], outgoing: IO[str]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen(self) -> None:
        """Collect what the test says, from now on. When the test is gone, so is this process."""
        threading.Thread(target=self._listen, daemon=True, name="talk").start()

    def say(self, word: Any) -> None:
        """Say something that the test gets from `Worker.hear`. From any thread."""
        self.write({"said": word})

    def hear(self) -> Any:
        """Wait for the next thing that the test says. Blocks: async workers use `hear_async`."""
        return self._heard.get()

    async def hear_async(self) -> Any:
        """Wait for the next thing that the test says."""
        return await asyncio.to_thread(self.hear)

    def ready(self) -> None:
        """Tell that the preparations are done, and wait until the test lets all workers go."""
        self.write({"ready": True})
        self.hear()

    async def ready_async(self) -> None:
        """Do what `ready` does, in an async worker."""
        self.write({"ready": True})
        await self.hear_async()

    def write(self, message: dict[str, Any]) -> None:
        self._outgoing.write(json.dumps(message) + "\n")
        self._outgoing.flush()

    def _listen(self) -> None:
        for line in self._incoming:
            self._heard.put(json.loads(line))
        os._exit(_ORPHANED)


def main(target: str) -> None:
    """Run `target` (``module:function``) and answer with its result or its error."""
    outgoing = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    arguments = json.loads(sys.stdin.readline())
    talk = Talk(sys.stdin, outgoing)
    talk.listen()
    try:
        result = _run(target, talk, arguments)
        message = {"result": result}
        json.dumps(message)
    except BaseException:  # noqa: BLE001  # whatever it is, the test is told
        message = {"error": traceback.format_exc()}
    with contextlib.suppress(BrokenPipeError):
        talk.write(message)
    sys.stderr.flush()
    os._exit(0 if "result" in message else 1)


def _run(target: str, talk: Talk, arguments: dict[str, Any]) -> Any:
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(talk, **arguments))
    return function(talk, **arguments)


if __name__ == "__main__":
    main(sys.argv[1])
