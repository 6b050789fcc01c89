"""``freshwell flush-worker`` as a process: how it ends, and what is noted when it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from freshwell import Cache, WriteBehind
from tests.cli.running import run
from tests.support.plugin import MakeServer
from tests.support.servers import free_port
from tests.support.threads import until
from tests.tidy.places import REPOSITORY

pytestmark = pytest.mark.slow  # a process for each worker

_END_S = 40


class Place(NamedTuple):
    """A journal, and the folder where its source takes notes."""

    folder: Path
    environment: dict[str, str]
    journal: str
    url: str | None

    def notes(self, what: str) -> list[int]:
        """Return the sequences of calls of the source that have ``begun`` or ``ended``."""
        file = self.folder / what
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def open(self) -> None:
        """Let the source's calls come to their end."""
        (self.folder / "open").touch()


@pytest.fixture(params=["file", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give each kind of journal."""
    if request.param == "file":
        return placed(tmp_path, f"sqlite:///{tmp_path / 'pending.db'}")
    return placed(tmp_path, "redis", request.getfixturevalue("redis_url"), SHOP_TRUSTS="yes")


def placed(folder: Path, journal: str, url: str | None = None, **more: str) -> Place:
    environment = {"SHOP_FOLDER": str(folder), "SHOP_JOURNAL": journal, **more}
    return Place(folder, environment | ({"SHOP_URL": url} if url else {}), journal, url)


class Source:
    """Of the process that serves, which does not flush."""

    def load(self, id: Any, /) -> Any:
        return None

    def save(self, id: Any, value: Any, /) -> None:
        raise AssertionError("this process does not flush")


@pytest.fixture
def rows(place: Place) -> Iterator[WriteBehind[Any]]:
    """Give the strategy of a process that serves beside the workers."""
    with (
        Cache(place.url, l1=place.url is None) as cache,
        cache.write_behind(
            Source(),
            key="row:{}",
            journal=place.journal,
            flusher=False,
            shards=2,
            assume_durable=True,
        ) as rows,
    ):
        yield rows


class Worker:
    """A process of ``freshwell flush-worker``."""

    def __init__(self, place: Place, target: str, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "freshwell.cli", "flush-worker", target, *words],
            cwd=REPOSITORY,
            env=os.environ | place.environment | {"PYTHONPATH": "src"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begun(self) -> str:
        """Wait until it flushes, and return what it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ended(self, by: signal.Signals | None = None) -> tuple[int, str, str]:
        """End it by a signal, and return its exit code and what it said meanwhile."""
        if by is not None:
            self.process.send_signal(by)
        out, err = self.process.communicate(timeout=_END_S)
        return self.process.returncode, out, err


@contextmanager
def worker(place: Place, target: str = "tests.cli.shop:rows", *words: str) -> Iterator[Worker]:
    """Start a worker. It is gone on leaving."""
    started = Worker(place, target, *words)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.mark.parametrize("target", ["rows", "async_rows", "many"])
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_a_signal_lets_the_batch_under_way_be_stored_and_noted(
    place: Place, rows: WriteBehind[Any], target: str, by: signal.Signals
) -> None:
    accepted = [ack.sequence for ack in rows.put_many(dict.fromkeys("abcde", 1)).values()]
    with worker(place, f"tests.cli.shop:{target}") as flusher:
        said = flusher.begun()
        assert said.startswith("flushing <")
        assert " from journal '" in said
        until(lambda: bool(place.notes("begun")), "a batch is under way")
        assert place.notes("ended") == []
        flusher.process.send_signal(by)
        place.open()
        code, out, err = flusher.ended()
    assert code == 0
    assert "Traceback" not in err
    assert out.endswith(": 0 writes left\n")
    assert sorted(place.notes("ended")) == sorted(accepted), "each was delivered once"
    assert rows.backlog().records == 0


def test_what_a_killed_worker_had_not_noted_is_delivered_again_by_the_next(
    place: Place, rows: WriteBehind[Any]
) -> None:
    accepted = {ack.sequence for ack in rows.put_many(dict.fromkeys("abc", 1)).values()}
    with worker(place) as first:
        until(lambda: bool(place.notes("begun")), "a batch is under way")
        assert first.ended(signal.SIGKILL)[0] == -signal.SIGKILL
    begun_before = place.notes("begun")
    assert rows.backlog().records == len(accepted)
    place.open()
    with worker(place) as second:
        until(lambda: rows.backlog().records == 0, "the next has flushed all")
        assert second.ended(signal.SIGTERM)[0] == 0
    assert set(place.notes("ended")) == accepted
    twice = [s for s in begun_before if place.notes("begun").count(s) > 1]
    assert twice == begun_before, "the control: a killed one has noted nothing"


def test_a_second_signal_ends_it_at_once(place: Place, rows: WriteBehind[Any]) -> None:
    rows.put("a", 1)
    with worker(place, "tests.cli.shop:rows", "--drain", "1000") as flusher:
        until(lambda: bool(place.notes("begun")), "a batch is under way")

        def gone() -> bool:
            flusher.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
            return flusher.process.poll() is not None

        until(gone, "it has ended")
        assert flusher.ended()[0] == 128 + signal.SIGTERM
    assert rows.backlog().records == 1


def test_without_time_to_drain_what_is_left_is_said(place: Place, rows: WriteBehind[Any]) -> None:
    rows.put_many(dict.fromkeys("abcde", 1))
    with worker(place, "tests.cli.shop:rows", "--drain", "0") as flusher:
        until(lambda: bool(place.notes("begun")), "a batch is under way")
        code, out, _ = flusher.ended(signal.SIGTERM)
    assert code == 0
    assert out.endswith(": 5 writes left\n")


def test_a_worker_flushes_what_is_accepted_while_it_runs(
    place: Place, rows: WriteBehind[Any]
) -> None:
    place.open()
    with worker(place) as flusher:
        flusher.begun()
        accepted = {rows.put(f"key{i}", i).sequence for i in range(20)}
        rows.flush(timeout=20)
        assert flusher.ended(signal.SIGTERM)[0] == 0
    assert set(place.notes("ended")) == accepted


def test_a_second_worker_stands_by_and_takes_over(place: Place, rows: WriteBehind[Any]) -> None:
    place.open()
    with worker(place) as first, worker(place) as second:
        first.begun(), second.begun()
        rows.put("a", 1)
        rows.flush(timeout=20)
        assert first.ended(signal.SIGTERM)[0] == 0
        rows.put("b", 1)
        rows.flush(timeout=20)
        assert second.ended(signal.SIGTERM)[0] == 0
    assert len(place.notes("ended")) == 2


# -- what goes wrong at the start ------------------------------------------------------------


def test_a_server_that_would_lose_writes_is_refused(tmp_path: Path, redis_url: str) -> None:
    with worker(placed(tmp_path, "redis", redis_url)) as flusher:
        code, out, err = flusher.ended()
    assert (code, out) == (2, "")
    assert err.startswith("freshwell flush-worker: the server has no append-only file")
    assert "Traceback" not in err


def test_a_server_with_a_log_is_not(tmp_path: Path, make_redis: MakeServer) -> None:
    place = placed(tmp_path, "redis", make_redis(aof=True).url)
    with worker(place) as flusher:
        assert flusher.begun()
        assert flusher.ended(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("target", ["ended_elsewhere", "async_ended_elsewhere"])
def test_a_signal_that_does_not_wake_the_main_thread_ends_it(tmp_path: Path, target: str) -> None:
    place = placed(tmp_path, f"sqlite:///{tmp_path / 'pending.db'}")
    with worker(place, f"tests.cli.shop:{target}") as flusher:
        assert flusher.begun()
        time.sleep(0.3)  # it sleeps by now
        place.open()
        assert flusher.ended()[0] == 0


@pytest.mark.parametrize("target", ["rows", "async_rows"])
def test_a_server_that_does_not_answer_is_said(tmp_path: Path, target: str) -> None:
    place = placed(tmp_path, "redis", f"redis://127.0.0.1:{free_port()}/0", SHOP_TRUSTS="yes")
    with worker(place, f"tests.cli.shop:{target}") as flusher:
        code, out, err = flusher.ended()
    assert (code, out) == (1, "")
    assert err.startswith("freshwell flush-worker: the journal's server:")
    assert err.count("\n") == 1


def test_another_keys_journal_is_refused(tmp_path: Path) -> None:
    place = placed(tmp_path, f"sqlite:///{tmp_path / 'pending.db'}")
    with Cache() as cache, cache.write_behind(Source(), key="other:{}", journal=place.journal):
        pass
    with worker(place) as flusher:
        code, _, err = flusher.ended()
    assert code == 2
    assert "belongs to the key 'other:{}'" in err


def test_a_journal_in_memory_cannot_be_flushed_by_a_process_of_its_own(tmp_path: Path) -> None:
    with worker(placed(tmp_path, "memory")) as flusher:
        code, _, err = flusher.ended()
    assert code == 2
    assert "is in memory" in err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("tests.cli.shop", "names no object: write module:object"),
        ("nowhere.at_all:rows", "there is no module 'nowhere.at_all'"),
        ("tests.cli.shop:nothing", "module 'tests.cli.shop' has no 'nothing'"),
        ("tests.cli.shop:no_rows", "gives an object of type int"),
        ("tests.cli.shop:mixed", "run a worker for each"),
        ("asyncio:sleep", "is an async function"),
        ("tests.cli.shop:__all__", "gives an object of type str"),
    ],
)
def test_what_names_no_strategy_is_refused(target: str, said: str, restored: None) -> None:
    ran = run("flush-worker", target)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a worker does to its process from the other tests."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
