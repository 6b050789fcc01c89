"""Every control still finds what it takes out: told here in a second, not after an hour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_every_control_finds_the_mechanism_that_it_takes_out(colour: str) -> None:
    # A process for each: controls change what others would look for.
    code = (
        "import os, sys\n"
        f"from tests.faults.checker.{colour} import controls\n"
        "assert controls.CONTROLS\n"
        "for name in controls.CONTROLS:\n"
        "    if not (child := os.fork()):\n"
        "        controls.sabotage(name)\n"
        "        sys.exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0, name\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
