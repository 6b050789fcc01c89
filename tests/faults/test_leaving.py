"""A program that does not close its cache ends all the same: at once, and without a word."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.leavers import LEAVE_IN_A_LOOP, LEAVE_IN_A_THREAD, LEAVE_IN_LOOPS

PROGRAMS = {
    "loop": (LEAVE_IN_A_LOOP, "1"),
    "loops": (LEAVE_IN_LOOPS, "0 1 2"),
    "thread": (LEAVE_IN_A_THREAD, "1"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_leaves_its_cache_open_ends_without_a_word(
    redis_url: str, name: str
) -> None:
    text, said = PROGRAMS[name]
    done = subprocess.run(
        [sys.executable, "-c", text, redis_url], capture_output=True, text=True, timeout=20
    )
    assert done.stdout.strip() == said
    assert done.stderr == ""
    assert done.returncode == 0
