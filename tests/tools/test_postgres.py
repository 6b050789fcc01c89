"""The PostgreSQL servers that tests run against."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Postgres, postgres_programs
from tests.support.processes import workers
from tests.support.servers import ServerMissing
from tests.support.threads import start, until
from tests.tools.parts import is_gone

TLS_PLEASE = bytes([0, 0, 0, 8, 4, 210, 22, 47])


def test_the_shared_database_is_empty_for_every_test(
    postgres_url: str, postgres_server: Postgres
) -> None:
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert postgres_url == postgres_server.url
    assert postgres_server.ask(tables) == []
    with psycopg.connect(postgres_url) as held:
        held.execute("CREATE TABLE t (a integer)")
        postgres_server.wipe()
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")
    assert postgres_server.ask(tables) == []


def test_it_writes_through_and_asks_for_a_password(postgres_server: Postgres) -> None:
    assert postgres_server.ask("SHOW fsync") == [("on",)]
    assert postgres_server.ask("SHOW synchronous_commit") == [("on",)]
    with pytest.raises(psycopg.OperationalError, match="no password"):
        psycopg.connect(host="127.0.0.1", port=postgres_server.port, user="freshwell")


def test_a_killed_one_comes_back_with_what_was_committed(own_postgres: Postgres) -> None:
    port, pid = own_postgres.port, own_postgres.pid
    own_postgres.ask("CREATE TABLE t (a integer)")
    own_postgres.kill()
    own_postgres.kill()
    assert not own_postgres.running
    with pytest.raises(psycopg.OperationalError, match="refused"):
        own_postgres.ask("SELECT 1")
    own_postgres.start()
    assert (own_postgres.port, own_postgres.pid == pid) == (port, False)
    assert own_postgres.ask("SELECT * FROM t") == []


def test_a_frozen_one_answers_nobody_and_goes_on_after(own_postgres: Postgres) -> None:
    is_there = ("127.0.0.1", own_postgres.port)
    with psycopg.connect(own_postgres.url) as held:
        own_postgres.freeze()
        asking = start(partial(held.execute, "SELECT 1"))
        with socket.create_connection(is_there, timeout=0.05) as line:
            line.sendall(TLS_PLEASE)
            with pytest.raises(TimeoutError):
                line.recv(1)
            assert not asking.done
            own_postgres.thaw()
            line.settimeout(10)
            assert line.recv(1) == b"N"
        assert asking.result().fetchall() == [(1,)]


def test_a_frozen_one_can_be_stopped(own_postgres: Postgres) -> None:
    own_postgres.freeze()
    own_postgres.stop()
    own_postgres.stop()
    assert not own_postgres.running


async def test_it_may_be_handled_within_async_tests(own_postgres: Postgres) -> None:
    own_postgres.restart()
    assert own_postgres.ask("SELECT 1") == [(1,)]


@pytest.mark.server
def test_a_disposed_one_leaves_nothing() -> None:
    with Postgres() as server:
        pid, folder = server.pid, server.folder
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(AssertionError, match="disposed of"):
        server.start()


@pytest.mark.server
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_it_ends_with_a_killed_test_run() -> None:
    with workers("tests.tools.parts:start_postgres", [{}]) as group:
        pid, folder = group[0].hear()
        os.kill(group[0].pid, signal.SIGKILL)
    until(lambda: is_gone(pid), "the server is gone")
    shutil.rmtree(folder)


def test_a_missing_one_fails_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FRESHWELL_TEST_POSTGRES", str(tmp_path))
    with pytest.raises(ServerMissing, match=r"PostgreSQL is not installed in .*: run"):
        postgres_programs()
    for name in ("initdb", "postgres"):
        (tmp_path / name).touch(mode=0o755)
    assert postgres_programs() == tmp_path


def test_tests_that_ask_for_one_are_marked_by_themselves(
    request: pytest.FixtureRequest, postgres_url: str
) -> None:
    assert "server" in request.keywords
