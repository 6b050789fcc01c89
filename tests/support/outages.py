"""Ways in which a server fails its clients, each to be begun and ended: for tests and benchmarks.

Those of the server are real: it is killed, stopped, made a replica, filled up, kept busy by a
script, or loads its data. Those of the network are a proxy's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.support.blocking import blocking_allowed
from tests.support.proxy import Proxy
from tests.support.resp import Line, ServerError
from tests.support.servers import Server

__all__ = ["OUTAGES", "Outage", "outage_of"]

_GIVE_UP_S = 10.0
_SLOW_S = 2.0
_PADDING = 20_000
"""Keys that make the server's loading last, and their pace: at most 20 seconds."""
_LOAD_US = 1_000


@dataclass(frozen=True)
class Outage:
    """One way to fail.

    - `begin`, `end`: return when it has begun, and when nothing of it is left.
    - `is_of_network`: it is the way through the proxy that fails.
    - `serves_reads`: only writes are refused.
    - `is_silent`: nothing is answered, so that finding it out takes a time limit.
    """

    name: str
    begin: Callable[[Server, Proxy], None]
    end: Callable[[Server, Proxy], None]
    is_of_network: bool = False
    serves_reads: bool = False
    is_silent: bool = False

    def url(self, server: Server, between: Proxy) -> str:
        """Return where clients connect to."""
        return between.url if self.is_of_network else server.url

    @contextmanager
    def during(self, server: Server, between: Proxy) -> Iterator[None]:
        """Let it last as long as the block, and end it whatever happens."""
        with blocking_allowed():
            self.begin(server, between)
        try:
            yield
        finally:
            with blocking_allowed():
                self.end(server, between)


def outage_of(name: str) -> Outage:
    """Return the outage of this name."""
    return next(outage for outage in OUTAGES if outage.name == name)


def _wait_for(code: str, server: Server) -> None:
    """Wait until a read is answered by this error; empty: by no error."""
    deadline_s = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < deadline_s:
        try:
            server.ask("GET", "nothing")
            found = ""
        except ServerError as error:
            found = str(error).partition(" ")[0]
        if found == code:
            return
        time.sleep(0.005)
    raise AssertionError(f"the server never came to answer {code or 'without an error'}")


def _in_background(server: Server, *words: str | int) -> None:
    """Send a command whose answer takes long, or never comes."""

    def ask() -> None:
        with suppress(ServerError, OSError), Line(server.port, timeout_s=60) as line:
            line.ask(*words)

    threading.Thread(target=ask, daemon=True).start()


def _load(server: Server, between: Proxy) -> None:
    server.ask("DEBUG", "POPULATE", _PADDING, "padding", 16)
    server.ask("CONFIG", "SET", "loading-process-events-interval-bytes", 1_024)
    server.ask("CONFIG", "SET", "key-load-delay", _LOAD_US)
    _in_background(server, "DEBUG", "RELOAD")
    _wait_for("LOADING", server)


def _loaded(server: Server, between: Proxy) -> None:
    server.ask("CONFIG", "SET", "key-load-delay", 0)
    _wait_for("", server)


def _keep_busy(server: Server, between: Proxy) -> None:
    server.ask("CONFIG", "SET", "busy-reply-threshold", 20)
    _in_background(server, "EVAL", "while true do end", 0)
    _wait_for("BUSY", server)


def _let_go(server: Server, between: Proxy) -> None:
    server.ask("SCRIPT", "KILL")
    _wait_for("", server)


def _orphan(server: Server, between: Proxy) -> None:
    server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.ask("REPLICAOF", "127.0.0.1", 1)
    _wait_for("MASTERDOWN", server)


def _promote(server: Server, between: Proxy) -> None:
    server.ask("REPLICAOF", "NO", "ONE")
    _wait_for("", server)


OUTAGES = (
    Outage("killed", lambda s, p: s.kill(), lambda s, p: s.start()),
    Outage("stopped", lambda s, p: s.freeze(), lambda s, p: s.thaw(), is_silent=True),
    Outage(
        "half-open",
        lambda s, p: p.freeze(),
        lambda s, p: p.heal(),
        is_of_network=True,
        is_silent=True,
    ),
    Outage(
        "slow",
        lambda s, p: p.delay(_SLOW_S),
        lambda s, p: p.heal(),
        is_of_network=True,
        is_silent=True,
    ),
    Outage("refusing", lambda s, p: p.refuse(), lambda s, p: p.heal(), is_of_network=True),
    Outage("loading", _load, _loaded),
    Outage("busy", _keep_busy, _let_go),
    Outage("orphaned", _orphan, _promote),
    Outage(
        "read-only",
        lambda s, p: s.ask("REPLICAOF", "127.0.0.1", 1),
        _promote,
        serves_reads=True,
    ),
    Outage(
        "full",
        lambda s, p: s.ask("CONFIG", "SET", "maxmemory", 1),
        lambda s, p: s.ask("CONFIG", "SET", "maxmemory", 0),
        serves_reads=True,
    ),
)
"""The ways there are, the plain ones first."""
