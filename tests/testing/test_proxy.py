"""What the proxy does to a connection, byte by byte, in front of a server that answers in kind."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from freshwell import ConfigurationError
from freshwell.testing import DOWN, UP, FaultProxy


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes, and remembers it."""

    heard: list[bytes]

    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.heard.append(data)
            self.request.sendall(data)


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def proxy(heard: list[bytes]) -> Iterator[FaultProxy]:
    handler = type("EchoHere", (Echo,), {"heard": heard})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with FaultProxy(server.server_address[1]) as between:
            yield between
        server.shutdown()


def line(proxy: FaultProxy, timeout_s: float = 10.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout_s)


def test_what_is_sent_arrives_and_so_does_the_answer(proxy: FaultProxy, heard: list[bytes]) -> None:
    with line(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"
    assert heard == [b"hello"]
    assert proxy.accepted == 1


def test_a_reply_that_is_dropped_was_a_request_that_arrived(
    proxy: FaultProxy, heard: list[bytes]
) -> None:
    proxy.drop_replies(times=1)
    with line(proxy) as client:
        client.sendall(b"once")
        assert client.recv(10) == b""
    with line(proxy) as client:
        client.sendall(b"again")
        assert client.recv(10) == b"again"
    assert heard == [b"once", b"again"]


def test_until_it_is_healed_every_reply_is_dropped(proxy: FaultProxy) -> None:
    proxy.drop_replies()
    for _ in range(3):
        with line(proxy) as client:
            client.sendall(b"lost")
            assert client.recv(10) == b""
    proxy.heal()
    with line(proxy) as client:
        client.sendall(b"found")
        assert client.recv(10) == b"found"


def test_a_half_open_connection_hears_nothing_until_it_is_healed(
    proxy: FaultProxy, heard: list[bytes]
) -> None:
    with line(proxy) as client:
        proxy.freeze()
        client.sendall(b"hello")
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(10)
        assert heard == []
        proxy.heal()
        client.settimeout(10)
        assert client.recv(10) == b"hello"


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_what_is_delayed_comes_later_and_in_order(proxy: FaultProxy, direction: str) -> None:
    with line(proxy) as client:
        proxy.delay(0.05, direction)
        began_s = time.monotonic()
        client.sendall(b"one")
        assert client.recv(10) == b"one"
        assert time.monotonic() - began_s >= 0.05


def test_no_more_bytes_pass_in_a_second_than_it_is_told(proxy: FaultProxy) -> None:
    with line(proxy) as client:
        proxy.throttle(100_000, UP)
        began_s = time.monotonic()
        for _ in range(3):
            client.sendall(bytes(2_000))
            left = 2_000
            while left:
                left -= len(client.recv(left))
        assert time.monotonic() - began_s >= 0.04


def test_connections_are_cut_and_refused(proxy: FaultProxy) -> None:
    with line(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"
        proxy.cut()
        assert client.recv(10) == b""
    proxy.refuse()
    with line(proxy) as client:
        assert client.recv(10) == b""
    assert proxy.accepted == 2


def test_after_the_block_nobody_listens(proxy: FaultProxy) -> None:
    proxy.close()
    with pytest.raises(OSError, match=r"."):
        line(proxy)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda proxy: proxy.freeze("sideways"),
        lambda proxy: proxy.delay(-1),
        lambda proxy: proxy.throttle(-1, UP),
        lambda proxy: proxy.drop_replies(0),
    ],
    ids=["direction", "delay", "rate", "times"],
)
def test_what_no_network_does_is_refused(
    proxy: FaultProxy, wrong: Callable[[FaultProxy], None]
) -> None:
    with pytest.raises(ConfigurationError):
        wrong(proxy)
