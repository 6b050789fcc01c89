"""The long form: ``python -m tests.races --seconds 600 --seed 7 --world shared --colour threads``.

Random runs of the worlds in turn, in tasks and in threads, each with a seed of its own, until the
time is over, and a line for each. Ends with status 1 where one of them went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Sequence
from unittest.mock import patch

from freshwell._async.coordination import beyond
from tests.races._async import anything as tasks
from tests.races._sync import anything as threads
from tests.races.loads import LoadedTwice, ShedWithin
from tests.races.past import Outdated, Past
from tests.races.worlds import WORLDS
from tests.support.servers import Server

__all__ = ["COLOURS", "episode", "main"]

COLOURS = ("tasks", "threads")
_SEEDS = 1_000_000


def episode(world: str, colour: str, server: Server, seed: int, seconds: float) -> Past:
    """Let callers do anything for a while. Raises what went wrong.

    Tasks look into L2 together with every odd seed, however few they are.
    """
    server.wipe()
    if colour == "tasks":
        with patch.object(beyond, "_COMPANY", 1 if seed % 2 else beyond._COMPANY):
            return asyncio.run(tasks.run(WORLDS[world], server.port, seed, seconds))
    return threads.run(WORLDS[world], server.port, seed, seconds)


def main(words: Sequence[str] | None = None) -> int:
    """Run as told on the command line. Returns the exit status."""
    told = _told(words)
    turns = [
        (world, colour)
        for world in WORLDS
        for colour in COLOURS
        if told.world in world and told.colour in colour
    ]
    if not turns:
        print(f"no world has {told.world!r} in its name")
        return 2
    logging.disable()  # sources fail all the time
    if told.switch:
        sys.setswitchinterval(told.switch)
    until_s, seed, wrong = time.monotonic() + told.seconds, told.seed, 0
    with Server() as server:
        while time.monotonic() < until_s:
            world, colour = turns[seed % len(turns)]
            name = f"{world}, {colour}"
            try:
                past = episode(world, colour, server, seed, told.each)
                print(
                    f"{name} (seed {seed}): {past.reads} reads, {past.acks} acks",
                    flush=True,
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                wrong += 1
                print(f"{name} (seed {seed}): {type(error).__name__}: {error}", flush=True)
                if not isinstance(error, Outdated | LoadedTwice | ShedWithin):
                    traceback.print_exc()
            seed += 1
    return 1 if wrong else 0


def _told(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.races", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--each", type=float, default=2.0, help="how long one run takes")
    parser.add_argument("--seed", type=int, default=time.monotonic_ns() % _SEEDS)
    parser.add_argument("--world", default="", help="only worlds with this in their name")
    parser.add_argument("--colour", choices=["", *COLOURS], default="")
    parser.add_argument("--switch", type=float, help="how often threads switch, in seconds")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
