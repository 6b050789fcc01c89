"""The benchmarks' own arithmetic, and what they say to a wrong name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import scale, scale_rates
from benchmarks.measure import Group, Row, interleave, show

ROOT = Path(__file__).parents[2]


def test_every_round_runs_every_contender_and_the_first_round_does_not_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls: list[str] = []

    def timed(name: str, ns: float) -> Row:
        def run() -> float:
            calls.append(name)
            return ns if calls.count(name) > 1 else 1e9

        return Row(name, run, 4)

    group = Group("Two", [timed("reference", 100), timed("other", 250)])
    interleave([group], rounds=3)
    show([group])
    assert (calls.count("reference"), calls.count("other")) == (4, 4)
    assert [row.median for row in group.rows] == [100, 250]
    assert "2.50" in capsys.readouterr().out


def test_an_unknown_name_is_one_sentence_and_exit_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "there is no benchmark 'nonsense': use hits, l2, misses, stampede, invalidation, behind"
    ]


def test_an_unknown_part_of_scale_is_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert scale.main(["nonsense", "--full"]) == 2
    assert capsys.readouterr().err == (
        "there is no part 'nonsense': use entries, tags, processes, rates, --full\n"
    )


def test_of_reads_as_many_can_be_hits_as_find_their_key_unchanged() -> None:
    assert scale_rates.possible(0, 2_000, 10) == pytest.approx(1)
    # Read and changed equally often in the long run: every other read.
    assert scale_rates.possible(1e6, 1e6, 1e9, shares=[1e-4] * 10_000) == pytest.approx(0.5)
    assert scale_rates.possible(1e9, 2_000, 10) == pytest.approx(0, abs=1e-3)
