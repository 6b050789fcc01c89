"""What the workers of test_processes do."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from tests.support.postgres import Postgres
from tests.support.servers import Server
from tests.support.worker import Talk


def add(talk: Talk, a: int, b: int) -> int:
    print("this does not disturb the talk")
    return a + b


async def add_async(talk: Talk, a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


def echo(talk: Talk) -> int:
    count = 0
    while (word := talk.hear()) is not None:
        talk.say(word)
        count += 1
    return count


async def echo_once_async(talk: Talk) -> Any:
    await talk.ready_async()
    return await talk.hear_async()


def gated(talk: Talk, folder: str, index: int) -> list[str]:
    Path(folder, str(index)).touch()
    talk.ready()
    return sorted(path.name for path in Path(folder).iterdir())


def fail(talk: Talk) -> None:
    raise LookupError("on purpose")


def die(talk: Talk) -> None:
    os.write(2, b"last words\n")
    os._exit(3)


def hang(talk: Talk) -> None:
    talk.say(os.getpid())
    while True:
        time.sleep(60)


def start_server(talk: Talk) -> None:
    with Server() as server:
        talk.say(server.pid)
        talk.hear()


def start_postgres(talk: Talk) -> None:
    with Postgres() as server:
        talk.say([server.pid, str(server.folder)])
        talk.hear()


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, whether or not anybody has asked it how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
