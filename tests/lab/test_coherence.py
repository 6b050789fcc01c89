"""The coherence view: what is late is measured, and what is not late is not accused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from freshwell.cli.lab.coherence.board import Board, Plan, Word
from freshwell.cli.lab.coherence.lateness import Lateness
from freshwell.cli.lab.coherence.run import result
from freshwell.cli.lab.coherence.sides import Reader
from tests.lab.test_command import alive, run, started, workers_of
from tests.support.blocking import blocking_allowed
from tests.support.servers import Server, free_port

PLAN = Plan("run", "", rounds=8, keys=4, tags=0, seconds=30, max_staleness_s=0.05)
MS = 1_000_000


@contextmanager
def board_of(plan: Plan) -> Iterator[Board]:
    with blocking_allowed():
        memory, board = Board.create(plan)
    try:
        yield board
    finally:
        with blocking_allowed():
            board.close()
            memory.unlink()


class Lagging:
    """A cache that goes on serving the old value for so long after it was invalidated."""

    def __init__(self, board: Board, lag_s: float) -> None:
        self._board = board
        self._lag_s = lag_s
        self._kept: dict[int, int] = {}
        self._changed_s: dict[int, float] = {}

    async def read(self, key: int) -> int:
        current = self._board.values[key]
        kept = self._kept.setdefault(key, current)
        if kept != current:
            changed_s = self._changed_s.setdefault(key, time.monotonic())
            if time.monotonic() - changed_s >= self._lag_s:
                del self._changed_s[key]
                self._kept[key] = kept = current
        return kept

    def hits(self) -> int:
        return time.monotonic_ns()


async def write_all(plan: Plan, board: Board) -> None:
    """Be the writing process, without a cache: what it acknowledges has reached nobody."""
    words = board.words

    async def reached(word: int, least: int) -> None:
        async with asyncio.timeout(20):
            while words[word] < least:  # noqa: ASYNC110  # it is another's memory
                await asyncio.sleep(0)

    for number in range(1, plan.rounds + 1):
        words[Word.ROUND] = number
        await reached(Word.WARM, number)
        board.values[plan.key(number)] = number
        board.acks_ns[number - 1] = time.monotonic_ns()
        await reached(Word.SEEN, number)
        words[Word.DONE] = number
    words[Word.ROUND] = Board.ENDED


@pytest.mark.parametrize("lag_ms", [0, 20, 80])
async def test_a_cache_that_lags_is_measured_and_one_that_does_not_is_not_accused(
    lag_ms: int,
) -> None:
    with board_of(PLAN) as board:
        reader = Reader(PLAN, board, Lagging(board, lag_ms / 1_000))
        await asyncio.gather(reader.run(), write_all(PLAN, board))
        measured = result(PLAN, board)
    (lateness,) = measured.kinds
    assert len(lateness.late_ns) == measured.invalidations == PLAN.rounds
    if lag_ms == 0:
        assert set(lateness.late_ns) == {0}
        assert (measured.stale_reads, measured.beyond) == (0, 0)
    else:
        # The last stale read began a little before the lag was over.
        assert lateness.max_ms > lag_ms / 2
        assert measured.stale_reads >= PLAN.rounds
    if lag_ms == 80:
        assert measured.beyond > 0


async def test_an_old_value_that_comes_back_is_late_for_the_round_that_had_ended_it() -> None:
    class Relapsing(Lagging):
        async def read(self, key: int) -> int:
            value = await super().read(key)
            # Key 1 is changed by rounds 1 and 5; before the fifth its first value comes back.
            return 0 if key == 1 and value == 1 and board.words[Word.ROUND] == 5 else value

    with board_of(PLAN) as board:
        reader = Reader(PLAN, board, Relapsing(board, 0))
        await asyncio.gather(reader.run(), write_all(PLAN, board))
        late = [board.late_ns(number) for number in range(1, PLAN.rounds + 1)]
    assert late[0] > 0
    assert not any(late[1:])


def test_lateness_counts_from_the_ack_and_never_before() -> None:
    with board_of(PLAN) as board:
        for number, (ack, old) in enumerate([(100, 90), (100, 0), (100, 350)], start=1):
            board.acks_ns[number - 1], board.olds_ns[number - 1] = ack, old
        assert [board.late_ns(number) for number in (1, 2, 3)] == [0, 0, 250]


def test_with_tags_every_second_round_is_by_tag_and_all_keys_have_their_turn() -> None:
    plan = replace(PLAN, tags=2)
    rounds = [(plan.kind(number), plan.key(number)) for number in range(1, 17)]
    for kind in ("key", "tag"):
        assert {key for found, key in rounds if found == kind} == {0, 1, 2, 3}
    assert {PLAN.kind(number) for number in range(1, 9)} == {"key"}


def test_the_histogram_has_every_invalidation_once() -> None:
    late_ms = [0, 0, 0.05, 0.1, 0.2, 2, 5, 250, 1_500, 2_000, 2_001]
    lateness = Lateness("key", [round(ms * MS) for ms in late_ms], 2_000 * MS)
    counts = {bucket.label: bucket.count for bucket in lateness.histogram()}
    assert counts == {
        "none": 2, "up to 0.1 ms": 2, "0.1 ms - 0.3 ms": 1, "0.3 ms - 1 ms": 0, "1 ms - 3 ms": 1,
        "3 ms - 10 ms": 1, "10 ms - 30 ms": 0, "30 ms - 100 ms": 0, "100 ms - 300 ms": 1,
        "300 ms - 1 s": 0, "1 s - 2 s": 2, "over 2 s": 1,
    }  # fmt: skip
    assert sum(counts.values()) == len(late_ms)
    assert (lateness.p50_ms, lateness.max_ms, lateness.beyond) == (2, 2_001, 1)


def test_the_histogram_ends_at_the_longest_staleness_that_is_allowed() -> None:
    labels = [bucket.label for bucket in Lateness("key", [], 5 * MS).histogram()]
    assert labels[-3:] == ["1 ms - 3 ms", "3 ms - 5 ms", "over 5 ms"]
    labels = [bucket.label for bucket in Lateness("key", [], 1_000 * MS).histogram()]
    assert labels[-2:] == ["300 ms - 1 s", "over 1 s"]
    assert Lateness("key", [], 5 * MS).max_ms == 0


# -- as a process ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("tags", [0, 10], ids=["by key", "by key and tag"])
def test_nothing_is_served_later_than_max_staleness(
    tmp_path: Path, redis_server: Server, redis_url: str, tags: int
) -> None:
    done = run(
        tmp_path, "coherence", "--redis", redis_url, "--invalidations", "60", "--keys", "20",
        "--tags", str(tags), "--json", "facts.json", "--plot", "plot.png",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "over 2 s" in done.stdout
    facts = json.loads((tmp_path / "facts.json").read_text())
    kinds = facts["kinds"]
    assert [kind["kind"] for kind in kinds] == (["key", "tag"] if tags else ["key"])
    assert facts["invalidations"] == 60
    assert facts["reads"] > 60
    for kind in kinds:
        assert kind["invalidations"] == len(kind["late_us"]) == 60 / len(kinds)
        assert kind["beyond_max_staleness"] == 0
        assert 0 <= kind["p50_ms"] <= kind["p99_ms"] <= kind["max_ms"] <= 2_000
        assert sum(bucket["count"] for bucket in kind["histogram"]) == kind["invalidations"]
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert redis_url not in (tmp_path / "facts.json").read_text(), "it may hold a password"
    assert redis_server.ask("DBSIZE") == 0


@pytest.mark.slow
def test_the_view_ends_when_its_time_is_up(tmp_path: Path, redis_url: str) -> None:
    done = run(
        tmp_path, "coherence", "--redis", redis_url, "--invalidations", "1000000",
        "--seconds", "0.5",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "The time was up before all 1,000,000 invalidations" in done.stdout


@pytest.mark.slow
def test_ctrl_c_ends_the_view_and_leaves_nothing_behind(
    tmp_path: Path, redis_server: Server, redis_url: str
) -> None:
    endless = ("--invalidations", "1000000", "--seconds", "600")
    with started(tmp_path, "coherence", "--redis", redis_url, *endless) as process:
        deadline_s = time.monotonic() + 20
        while redis_server.ask("DBSIZE") == 0 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        workers = workers_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "freshwell lab: stopped\n")
    assert len(workers) == 2
    assert not [pid for pid in workers if alive(pid)]
    assert redis_server.ask("DBSIZE") == 0


@pytest.mark.slow
def test_a_server_that_goes_away_ends_the_view_with_one_sentence(
    tmp_path: Path, own_redis: Server
) -> None:
    endless = ("--invalidations", "1000000", "--seconds", "600")
    with started(tmp_path, "coherence", "--redis", own_redis.url, *endless) as process:
        deadline_s = time.monotonic() + 20
        while own_redis.ask("DBSIZE") == 0 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        own_redis.kill()
        _, err = process.communicate(timeout=40)
    assert process.returncode == 1
    # What the library logs in the processes may stand before it.
    assert err.splitlines()[-1].startswith("freshwell lab: a process of 'coherence' could not go")
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["coherence"], "Missing option '--redis'", id="no server"),
        pytest.param(["coherence", "--redis", "http://x"], "--redis: the URL", id="scheme"),
        pytest.param(
            ["--requests", "5", "coherence", "--redis", "redis://x"],
            "--requests stands before 'coherence'",
            id="options of the other command",
        ),
        pytest.param(
            ["coherence", "--redis", "redis://x", "--max-staleness", "x"],
            "--max-staleness is 'x'",
            id="staleness",
        ),
        pytest.param(
            ["coherence", "--redis", "redis://x", "--json", "gone/a.json"],
            "--json: gone/a.json cannot be",
            id="json",
        ),
    ],
)
def test_a_wrong_input_is_said_with_exit_code_2(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_server_that_is_not_there_is_said_with_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path, "coherence", "--redis", f"redis://127.0.0.1:{free_port()}/0")
    assert done.returncode == 2
    assert "--redis: no server answers there" in done.stderr
