"""Workers: functions in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.aio import until
from tests.support.processes import WorkerFailed, workers

PARTS = "tests.tools.parts"


@pytest.mark.parametrize("name", ["add", "add_async"])
def test_each_gets_its_arguments_and_gives_its_result(name: str) -> None:
    with workers(f"{PARTS}:{name}", [{"a": 1, "b": 2}, {"a": 3, "b": 4}]) as group:
        assert group.results() == [3, 7]


def test_they_talk() -> None:
    with workers(f"{PARTS}:echo", [{}]) as group:
        for word in ("one", {"two": [2, None]}):
            group[0].say(word)
            assert group[0].hear() == word
        group[0].say(None)
        assert group[0].result() == 2


def test_they_talk_in_async_too() -> None:
    with workers(f"{PARTS}:echo_once_async", [{}, {}], gate=True) as group:
        for word, worker in enumerate(group):
            worker.say(word)
        assert group.results() == [0, 1]


def test_none_goes_on_before_all_are_ready(tmp_path: Path) -> None:
    arguments = [{"folder": str(tmp_path), "index": index} for index in range(3)]
    with workers(f"{PARTS}:gated", arguments, gate=True) as group:
        assert group.results() == [["0", "1", "2"]] * 3


def test_an_error_comes_with_its_trace() -> None:
    with (
        pytest.raises(WorkerFailed, match=r"parts:fail raised:(.|\n)*LookupError: on purpose"),
        workers(f"{PARTS}:fail", [{}]) as group,
    ):
        group.results()


def test_a_death_comes_with_the_last_words() -> None:
    with (
        pytest.raises(WorkerFailed, match=r"parts:die ended without a result:(.|\n)*last words"),
        workers(f"{PARTS}:die", [{}]) as group,
    ):
        group.results()


def test_silence_is_a_failure() -> None:
    with (
        pytest.raises(WorkerFailed, match=r"parts:echo gave no result in time"),
        workers(f"{PARTS}:echo", [{}]) as group,
    ):
        group.results(timeout_s=0)


async def test_leftovers_are_killed() -> None:
    with workers(f"{PARTS}:hang", [{}, {}]) as group:
        pids = [worker.hear() for worker in group]
        assert pids == [worker.pid for worker in group]
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "they are gone")


def test_a_frozen_worker_goes_on_when_thawed() -> None:
    with workers(f"{PARTS}:echo", [{}]) as group:
        group[0].freeze()
        group[0].say("word")
        with pytest.raises(WorkerFailed, match="gave no said in time"):
            group[0].hear(timeout_s=0.05)
        group[0].thaw()
        assert group[0].hear() == "word"


def test_a_worker_ends_with_the_test_that_started_it() -> None:
    with workers(f"{PARTS}:hang", [{}]) as group:
        pid = group[0].hear()
        stdin = group[0]._process.stdin
        assert stdin is not None
        stdin.close()
        assert group[0]._process.wait(10) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
