"""What the processes of a race do."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from typing import Any

from freshwell import Cache
from freshwell._kit.threads import sleep
from tests.support.threads import all_of
from tests.support.worker import Talk

__all__ = ["crowd", "holder", "successor"]

_PATIENT: dict[str, Any] = {"command_timeout": 10, "connect_timeout": 10}
"""Limits for a busy machine. A process that L2 does not answer in time loads without a lease."""

_LONG_S = 30
"""A lease that stands though its holder is not let run for a while: who waits would take over."""


def crowd(talk: Talk, *, url: str, callers: int, load_s: float) -> int:
    """Ask for one cold key, many callers at once. Returns how often this process loaded it."""
    loads = 0

    def load() -> dict[str, int]:
        nonlocal loads
        loads += 1
        sleep(load_s)
        return {"value": 42}

    with Cache(url, namespace="crowd", lease=_LONG_S, **_PATIENT) as cache:
        cache.get("warm")
        talk.ready()

        def ask() -> Any:
            return cache.get_or_load("cold", load)

        answers = all_of(*[ask] * callers)
        assert answers == [{"value": 42}] * callers
        return loads


def holder(talk: Talk, *, url: str, lease_s: float) -> None:
    """Take the lease, tell the test so, and never finish loading."""

    def load() -> str:
        talk.say("loading")
        sleep(3600)
        return "never"

    with Cache(url, namespace="heirs", lease=lease_s, **_PATIENT) as cache:
        cache.get_or_load("key", load)


def successor(talk: Talk, *, url: str, lease_s: float, callers: int) -> dict[str, float]:
    """Wait for the holder's value. Tells how often this process loaded, and when it was done."""
    loads = 0

    def load() -> str:
        nonlocal loads
        loads += 1
        return "taken over"

    with Cache(url, namespace="heirs", lease=lease_s, **_PATIENT) as cache:
        cache.get("warm")
        talk.ready()

        def ask() -> str:
            return cache.get_or_load("key", load)

        answers = all_of(*[ask] * callers)
        assert answers == ["taken over"] * callers
        return {"loads": loads, "done_ns": time.monotonic_ns()}
