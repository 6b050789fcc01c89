"""The commands as processes: exit codes, and questions on a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshwell import Cache
from tests.cli.running import service

SOURCES = Path(__file__).resolve().parents[2] / "src"

_RUN_S = 50


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    """Give the cache of a service that runs."""
    with service(redis_url) as cache:
        yield cache


def run(url: str, *words: str, terminal: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``freshwell WORDS`` with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "freshwell.cli", *words],
        env=os.environ | {"FRESHWELL_URL": url, "COLUMNS": "80", "PYTHONPATH": str(SOURCES)},
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
    )


@pytest.mark.slow  # a process for each command
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("inspect", "a", "--json"), 0),
        (("inspect", "b"), 1),
        (("inspect", "a", "--url", "redis://127.0.0.1:1/0"), 2),
        (("invalidate", "a"), 0),
        (("invalidate", "a", "--url", "redis://127.0.0.1:1/0"), 1),
        (("invalidate", "--pattern", "*"), 2),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else " ".join(value[:2]),
)
def test_a_process_ends_with_the_exit_code_that_the_help_promises(
    cache: Cache, redis_url: str, words: tuple[str, ...], code: int
) -> None:
    cache.set("a", 1)
    done = run(redis_url, *words)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr


@pytest.mark.slow  # a process for each answer
@pytest.mark.parametrize(
    ("answer", "code", "left"),
    [("y\n", 0, None), ("n\n", 2, 1), ("\4", 2, 1)],
    ids=["yes", "no", "end of file"],
)
def test_on_a_terminal_what_takes_much_is_asked_about(
    cache: Cache, redis_url: str, answer: str, code: int, left: int | None
) -> None:
    cache.set("a", 1)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = run(redis_url, "invalidate", "--pattern", "*", terminal=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Invalidate all entries like '*', cache 'default'" in done.stderr
    assert done.returncode == code, done
    assert cache.get("a") == left
