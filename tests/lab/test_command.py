"""``freshwell lab`` as a process: real runs, and one sentence for everything that goes wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Server, free_port

pytestmark = pytest.mark.slow  # processes that start processes: many seconds together

SMALL = ("--requests", "3000", "--distinct", "300", "--plain-requests", "500", "--workers", "8")
ENDLESS = ("--requests", "400000", "--distinct", "2000", "--plain-requests", "400000")
CONTENDERS = ["no cache", "get-or-set", "cache-aside", "read-through"]
SHARED_MEMORY = Path("/dev/shm")  # where Linux shows it


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with started(folder, *arguments) as process:
        out, err = process.communicate(timeout=50)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command in a session of its own, with a folder of its own for temporary files."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "freshwell.cli", "lab", *arguments],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(temporary), "COLUMNS": "120", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def workers_of(pid: int) -> list[int]:
    """The worker processes of a run: not the one that watches over shared memory."""
    children = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    return [int(line.split()[0]) for line in children if "spawn_main" in line]


def under_way(process: subprocess.Popen[str], folder: Path, *, workers: int) -> list[int]:
    """Wait until the first contender's processes serve, and return their ids."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        found = workers_of(process.pid)
        # The log beside the database is there as soon as a worker has opened it.
        if len(found) == workers and list((folder / "tmp").glob("*/no cache.db-*")):
            return found
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("the run did not start")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def running(pid: int) -> bool:
    """Tell whether it is alive and no zombie, which is whoever's to bury that adopted it."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state) and not state.startswith("Z")


def test_a_small_run_in_process_shows_all_contenders(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, "--row", "cluster40", "--json", "facts.json")
    assert (done.returncode, done.stderr) == (0, "")
    for name in CONTENDERS:
        assert name in done.stdout
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["workload"]["name"] == "like cluster40"
    assert facts["workload"]["write_share"] == pytest.approx(0.5, abs=0.05)
    assert facts["settings"]["redis"] is False
    check_facts(facts["outcomes"], requests=3_000, plain=500)
    assert not list((tmp_path / "tmp").iterdir())


def test_a_run_with_redis_and_two_processes_writes_facts_and_a_plot(
    tmp_path: Path, redis_server: Server, redis_url: str
) -> None:
    done = run(
        tmp_path, *SMALL, "--redis", redis_url, "--processes", "2", "--read", "fresh",
        "--row", "cluster40", "--json", "facts.json", "--plot", "plot.png",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["settings"]["redis"] is True
    assert facts["settings"]["processes"] == 2
    check_facts(facts["outcomes"], requests=3_000, plain=500)
    for outcome in facts["outcomes"][2:]:
        assert outcome["stale_reads"] == 0, "fresh reads of freshwell are never stale"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert redis_url not in (tmp_path / "facts.json").read_text(), "it may hold a password"
    assert redis_server.ask("DBSIZE") == 0


def check_facts(outcomes: list[dict[str, Any]], *, requests: int, plain: int) -> None:
    assert [outcome["contender"] for outcome in outcomes] == CONTENDERS
    for outcome in outcomes:
        expected = plain if outcome["contender"] == "no cache" else requests
        assert outcome["requests"] == expected
        assert outcome["reads"] + outcome["writes"] == expected
        assert outcome["errors"] == 0
        assert 0 < outcome["p50_us"] <= outcome["p99_us"]
        assert outcome["stale_reads"] >= outcome["overdue_reads"] >= 0
    no_cache, *cached = outcomes
    assert (no_cache["loads"], no_cache["stale_reads"]) == (no_cache["reads"], 0)
    for outcome in cached:
        assert 0 < outcome["loads"] < outcome["reads"]
        assert outcome["hit_ratio"] == pytest.approx(1 - outcome["loads"] / outcome["reads"])


@pytest.mark.parametrize("more", [(), ("--writing",)], ids=["after", "announced"])
def test_strategies_that_are_named_run_alone_and_writes_invalidate_by_tag(
    tmp_path: Path, redis_server: Server, redis_url: str, more: tuple[str, ...]
) -> None:
    done = run(
        tmp_path, *SMALL, "--requests", "1500", "--redis", redis_url, "--processes", "2",
        "--read", "fresh", "--row", "cluster40", "--tags", "20", *more, "--json", "facts.json",
        "--strategy", "get-or-set,read-through", "--strategy", "cache-aside",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "writes invalidate by one of 20 tags" in done.stdout
    assert ("are announced" in done.stdout) is bool(more)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["settings"]["tags"], facts["settings"]["writing"]) == (20, bool(more))
    outcomes = facts["outcomes"]
    assert [outcome["contender"] for outcome in outcomes] == CONTENDERS[1:]
    for outcome in outcomes:
        assert (outcome["requests"], outcome["errors"]) == (1_500, 0)
        assert 0 < outcome["loads"] < outcome["reads"]
    for outcome in outcomes[1:]:
        assert outcome["stale_reads"] == 0, "fresh reads of freshwell are never stale"
    assert redis_server.ask("DBSIZE") == 0


def test_a_trace_is_served_whole(tmp_path: Path) -> None:
    (tmp_path / "small.csv").write_text("key,op\n" + "a,get\nb,set\nb,get\n" * 100)
    done = run(tmp_path, "--trace", "small.csv", "--json", "facts.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "small.csv: 300 requests on 2 keys, 33 % writes" in done.stdout
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert [outcome["writes"] for outcome in facts["outcomes"]] == [100] * 4


def test_a_row_of_a_statistics_file_is_served(tmp_path: Path) -> None:
    statistics = str(Path(__file__).with_name("clusters.csv"))
    done = run(tmp_path, *SMALL, "--stats", statistics, "--row", "readers")
    assert (done.returncode, done.stderr) == (0, "")
    assert "like readers: 3,000 requests on 300 keys" in done.stdout
    assert "TTL 300 s" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--trace", "gone.trace"], "there is no file gone.trace", id="no file"),
        pytest.param(["--trace", "bad.txt"], "is in no known format", id="format"),
        pytest.param(["--trace", "bad.trace"], "is cut short", id="cut trace"),
        pytest.param(["--row", "cluster1000"], "there is no row 'cluster1000'", id="row"),
        pytest.param(["--stats", "bad.txt"], "is no statistics file", id="statistics"),
        pytest.param(["--redis", "http://localhost"], "--redis: the URL", id="scheme"),
        pytest.param(["--redis", "redis://localhost:x/0"], "--redis: the URL", id="port"),
        pytest.param(["--ttl", "soon"], "--ttl is 'soon'", id="ttl"),
        pytest.param(["--ttl", "0"], "--ttl is '0'", id="no ttl"),
        pytest.param(["--ttl", "90d"], "--ttl", id="endless ttl"),
        pytest.param(["--max-staleness", "x"], "--max-staleness is 'x'", id="staleness"),
        pytest.param(["--read", "dirty"], "read is 'dirty'", id="read level"),
        pytest.param(["--strategy", "none,all"], "there is no 'all': use none", id="strategy"),
        pytest.param(["--database", "mysql://a:b@c"], "neither sqlite nor", id="database"),
        pytest.param(["--compare", "--tags", "9"], "--tags does not go with", id="tags"),
        pytest.param(["--json", "gone/a.json"], "--json: gone/a.json cannot be", id="json"),
        pytest.param(["--plot", "gone/a.png"], "--plot: gone/a.png cannot be", id="plot"),
        pytest.param(["--json", "."], "--json: . cannot be written", id="folder"),
    ],
)
def test_a_wrong_input_gets_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "bad.txt").write_text("hello\n")
    (tmp_path / "bad.trace").write_bytes(b"12345")
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("freshwell lab: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_server_that_is_not_there_gets_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path, "--redis", f"redis://127.0.0.1:{free_port()}/0")
    assert done.returncode == 2
    assert "--redis: no server answers there" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_that_accepts_and_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        done = run(tmp_path, "--redis", f"redis://:secret@127.0.0.1:{port}/0")
    assert done.returncode == 2
    assert "--redis: no server answers there" in done.stderr
    assert "secret" not in done.stderr


def test_a_wrong_option_is_a_usage_error(tmp_path: Path) -> None:
    for arguments in (
        ["--writes", "2"],
        ["--processes", "0"],
        ["--requests", "many"],
        ["--what"],
        ["--tags", "-1"],
    ):
        done = run(tmp_path, *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_checking_an_output_leaves_no_file_and_keeps_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("precious")
    run(tmp_path, "--json", "old.json", "--row", "x")
    assert (tmp_path / "old.json").read_text() == "precious"
    run(tmp_path, "--json", "new.json", "--row", "x")
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "one process"])
def test_ctrl_c_ends_a_run_and_leaves_nothing_behind(tmp_path: Path, whole_group: bool) -> None:
    with started(tmp_path, *ENDLESS, "--processes", "2") as process:
        workers = under_way(process, tmp_path, workers=2)
        memory = open_memory(workers[0])
        assert memory or not SHARED_MEMORY.exists()
        if whole_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "freshwell lab: stopped\n")
    assert "Traceback" not in out
    assert not [pid for pid in workers if alive(pid)]
    assert not [name for name in memory if (SHARED_MEMORY / name).exists()]
    assert not list((tmp_path / "tmp").iterdir())


def open_memory(pid: int) -> list[str]:
    """Names of the shared memory that a process has open; none where there is no /proc."""
    maps = Path(f"/proc/{pid}/maps")
    if not maps.exists():
        return []
    lines = maps.read_text().splitlines()
    return sorted({Path(line.split()[-1]).name for line in lines if "/dev/shm/psm_" in line})


def test_sigterm_ends_a_run_as_cleanly(tmp_path: Path) -> None:
    with started(tmp_path, *ENDLESS) as process:
        workers = under_way(process, tmp_path, workers=1)
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "freshwell lab: stopped\n")
    assert not [pid for pid in workers if alive(pid)]
    assert not list((tmp_path / "tmp").iterdir())


def test_a_worker_that_dies_ends_the_run_with_one_sentence(tmp_path: Path) -> None:
    with started(tmp_path, *ENDLESS, "--processes", "2") as process:
        workers = under_way(process, tmp_path, workers=2)
        os.kill(workers[0], signal.SIGKILL)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err == "freshwell lab: a process of 'no cache' died (exit code -9)\n"
    assert not [pid for pid in workers if alive(pid)]
    assert not list((tmp_path / "tmp").iterdir())


def test_workers_do_not_outlive_a_run_that_was_killed(tmp_path: Path) -> None:
    with started(tmp_path, *ENDLESS, "--processes", "2") as process:
        workers = under_way(process, tmp_path, workers=2)
        process.kill()
        deadline_s = time.monotonic() + 10
        while [pid for pid in workers if running(pid)] and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not [pid for pid in workers if running(pid)]


def test_a_server_that_goes_away_ends_the_run_with_one_sentence(
    tmp_path: Path, own_redis: Server
) -> None:
    with started(
        tmp_path, *ENDLESS, "--plain-requests", "100", "--redis", own_redis.url
    ) as process:
        deadline_s = time.monotonic() + 20
        while own_redis.ask("DBSIZE") == 0 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        own_redis.kill()
        _, err = process.communicate(timeout=40)
    assert process.returncode == 1
    assert err.startswith("freshwell lab: a process of 'get-or-set' could not go on: Connection")
    assert err.count("\n") == 1, err


def test_the_command_describes_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "freshwell.cli", "lab", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "160", "NO_COLOR": "1"},
    )
    words = ("--trace", "--row", "--redis", "--processes", "--max-staleness", "stale")
    for word in (
        *words,
        "--strategy",
        "--compare",
        "--database",
        "--tags",
        "--writing",
        "coherence",
    ):
        assert word in done.stdout
