"""``freshwell lab --compare`` and ``--database`` as processes, on real servers."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from freshwell.cli.lab.contenders import STRATEGIES
from tests.lab.test_command import ENDLESS, SMALL, run, started, workers_of
from tests.support.plugin import MakeServer
from tests.support.servers import free_port

pytestmark = pytest.mark.slow  # processes that start processes: many seconds together


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_strategies_are_compared_and_nothing_is_stale_or_lost(
    tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    url = "sqlite" if database == "sqlite" else request.getfixturevalue("postgres_url")
    done = run(tmp_path, *SMALL, "--compare", "--database", url, "--json", "facts.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "like cluster40" in done.stdout
    assert ("PostgreSQL behind it" in done.stdout) is (database == "postgres")
    facts = json.loads((tmp_path / "facts.json").read_text())
    check_compared(facts["outcomes"])
    assert not list((tmp_path / "tmp").iterdir())
    assert facts["settings"]["database"] == ("sqlite" if url == "sqlite" else "postgresql")
    assert url == "sqlite" or not schemas_of_the_lab(url)
    assert url == "sqlite" or password_of(url) not in done.stdout + json.dumps(facts)


@pytest.mark.parametrize("aof", [True, False], ids=["append-only file", "memory"])
def test_strategies_are_compared_over_redis_by_two_processes(
    tmp_path: Path, make_redis: MakeServer, aof: bool
) -> None:
    server = make_redis(aof=aof)
    done = run(
        tmp_path, *SMALL, "--compare", "--redis", server.url, "--processes", "2",
        "--read", "fresh", "--json", "facts.json",
    )  # fmt: skip
    assert done.returncode == 0
    assert ("no append-only file" in done.stdout) is not aof
    # The library says for itself what the lab has taken upon it.
    assert ("has no append-only file" in done.stderr) is not aof
    assert not aof or done.stderr == ""
    assert "Of each key, one process makes all the writes" in done.stdout
    check_compared(json.loads((tmp_path / "facts.json").read_text())["outcomes"])
    assert server.ask("DBSIZE") == 0


def check_compared(outcomes: list[dict[str, Any]]) -> None:
    assert tuple(outcome["contender"] for outcome in outcomes) == STRATEGIES
    assert len({outcome["writes"] for outcome in outcomes}) == 1
    for outcome in outcomes:
        assert (outcome["requests"], outcome["errors"]) == (3_000, 0)
        assert (outcome["stale_reads"], outcome["lost"]) == (0, 0)
        assert 0 < outcome["write_p50_us"] <= outcome["write_p99_us"]
        assert 0 < outcome["rows"] <= outcome["writes"]
        assert 0 < outcome["statements"] <= outcome["writes"]


def schemas_of_the_lab(url: str) -> list[tuple[str]]:
    statement = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'freshwell_lab_%'"
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def password_of(url: str) -> str:
    password = urlsplit(url).password
    assert password
    return password


def test_ctrl_c_leaves_no_table_on_a_server(tmp_path: Path, postgres_url: str) -> None:
    with started(tmp_path, *ENDLESS, "--compare", "--database", postgres_url) as process:
        deadline_s = time.monotonic() + 20
        while not workers_of(process.pid) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert schemas_of_the_lab(postgres_url)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "freshwell lab: stopped\n")
    assert not schemas_of_the_lab(postgres_url)


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        pytest.param("@127.0.0.1:{port}/x", "--database: no server lets the lab in", id="port"),
        pytest.param("@127.0.0.1:x/x", "--database: the URL cannot be used", id="text for port"),
        pytest.param("%zz@127.0.0.1/x", "--database: the URL cannot be used", id="escape"),
        pytest.param("@secret@127.0.0.1/x", "--database: the URL cannot be used", id="two hosts"),
        pytest.param("/1@127.0.0.1/x", "--database: the URL cannot be used", id="slash"),
        pytest.param("?1@127.0.0.1/x", "--database: the URL cannot be used", id="question"),
    ],
)
def test_a_database_that_cannot_be_used_gets_one_sentence_without_the_password(
    tmp_path: Path, rest: str, sentence: str
) -> None:
    url = f"postgresql://nobody:secret{rest.format(port=free_port())}"
    done = run(tmp_path, "--database", url)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_a_user_who_may_not_create_a_schema_is_told_so(tmp_path: Path, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS lab_guest")
        connection.execute("CREATE ROLE lab_guest LOGIN PASSWORD 'guest'")
        guest = urlsplit(postgres_url)
        address = f"lab_guest:guest@{guest.hostname}:{guest.port}"
        done = run(tmp_path, "--database", guest._replace(netloc=address).geturl())
        connection.execute("DROP ROLE lab_guest")
    assert done.returncode == 2
    assert "the user may not create a schema there" in done.stderr
