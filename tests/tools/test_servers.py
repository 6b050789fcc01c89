"""The servers that tests run against."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from tests.support.plugin import MakeServer
from tests.support.processes import workers
from tests.support.resp import Line, ServerError
from tests.support.servers import Server, ServerMissing, server_program
from tests.support.threads import until
from tests.tools.parts import is_gone


def test_the_shared_database_is_empty_for_every_test(redis_url: str, redis_server: Server) -> None:
    assert redis_url == redis_server.url
    assert redis_server.ask("DBSIZE") == 0
    redis_server.ask("SET", "key", b"\x00\r\n")
    assert redis_server.ask("GET", "key") == b"\x00\r\n"
    redis_server.wipe()
    assert redis_server.ask("GET", "key") is None


def test_a_server_of_ones_own_can_be_killed_and_comes_back_empty(own_redis: Server) -> None:
    port, pid = own_redis.port, own_redis.pid
    own_redis.ask("SET", "key", 1)
    own_redis.kill()
    assert not own_redis.running
    with pytest.raises(ConnectionRefusedError):
        own_redis.ask("PING")
    own_redis.start()
    assert (own_redis.port, own_redis.pid == pid) == (port, False)
    assert own_redis.ask("GET", "key") is None


def test_with_a_journal_it_comes_back_with_its_data(make_redis: MakeServer) -> None:
    server = make_redis(aof=True)
    server.ask("SET", "key", "value")
    server.restart()
    assert server.ask("GET", "key") == b"value"


def test_a_frozen_server_is_silent_and_goes_on_after(own_redis: Server) -> None:
    with Line(own_redis.port, timeout_s=0.05) as line:
        assert line.ask("PING") == b"PONG"
        own_redis.freeze()
        with pytest.raises(TimeoutError):
            line.ask("PING")
        own_redis.thaw()
    assert own_redis.ask("PING") == b"PONG"


def test_a_frozen_server_can_be_stopped(own_redis: Server) -> None:
    own_redis.freeze()
    own_redis.stop()
    own_redis.stop()
    assert not own_redis.running


def test_arguments_reach_the_server(make_redis: MakeServer) -> None:
    server = make_redis(arguments=("--maxmemory", "3mb"))
    assert server.ask("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"3145728"]


def test_errors_of_the_server_are_raised(redis_server: Server) -> None:
    with pytest.raises(ServerError, match="unknown command"):
        redis_server.ask("NONSENSE")


@pytest.mark.server
def test_a_server_that_cannot_start_shows_its_log() -> None:
    server = Server(arguments=["--no-such-option", "1"])
    with pytest.raises(AssertionError, match=r"did not start:(.|\n)*no-such-option"):
        server.start()
    server.dispose()


def test_a_foreign_server_on_the_port_is_not_taken_for_ones_own(own_redis: Server) -> None:
    other = Server()
    other.port = own_redis.port
    with pytest.raises(AssertionError, match="did not start"):
        other.start()
    other.dispose()
    assert own_redis.ask("PING") == b"PONG"


async def test_servers_may_be_handled_within_async_tests(own_redis: Server) -> None:
    own_redis.restart()
    assert own_redis.version() >= (7,)


def test_a_missing_server_fails_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHWELL_TEST_SERVER", "no-such-server")
    with pytest.raises(
        ServerMissing, match=r"'no-such-server' is not installed: .* `tools/setup.sh servers`"
    ):
        server_program()


def test_valkey_is_taken_where_redis_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "valkey-server"
    program.touch(mode=0o755)
    monkeypatch.delenv("FRESHWELL_TEST_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_program() == str(program)


def test_tests_that_ask_for_none_are_not_marked(request: pytest.FixtureRequest) -> None:
    assert "server" not in request.keywords


def test_tests_that_ask_for_a_server_are_marked_by_themselves(
    request: pytest.FixtureRequest, redis_url: str
) -> None:
    assert "server" in request.keywords


@pytest.mark.server
def test_a_disposed_server_leaves_nothing() -> None:
    with Server() as server:
        port = server.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_entering_a_running_server_starts_no_second_process(make_redis: MakeServer) -> None:
    server = make_redis()
    pid = server.pid
    with server, server:
        assert server.pid == pid
    assert is_gone(pid)
    assert not server.running


def test_starting_a_running_server_is_refused_and_leaves_it_running(own_redis: Server) -> None:
    pid = own_redis.pid
    with pytest.raises(AssertionError, match="running already"):
        own_redis.start()
    assert own_redis.pid == pid
    assert own_redis.ask("PING") == b"PONG"


@pytest.mark.server
def test_a_disposed_server_cannot_be_started_again() -> None:
    with Server() as server:
        pass
    server.dispose()
    with pytest.raises(AssertionError, match="disposed of"):
        server.start()


@pytest.mark.server
def test_a_start_that_is_interrupted_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def interrupted(self: Server, port: int) -> bool:
        started.append(self.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "_answers", interrupted)
    with pytest.raises(KeyboardInterrupt), Server():
        pass
    assert [is_gone(pid) for pid in started] == [True]


@pytest.mark.server
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_a_server_ends_with_a_killed_test_run() -> None:
    with workers("tests.tools.parts:start_server", [{}]) as group:
        pid = group[0].hear()
        os.kill(group[0].pid, signal.SIGKILL)
    until(lambda: is_gone(pid), "the server is gone")
