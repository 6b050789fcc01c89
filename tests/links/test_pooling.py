"""The threads' link is a pool: how many connections, and what of those that broke while idle."""

from __future__ import annotations

import os
import resource
import threading
import time
from typing import Any

import pytest

from freshwell._kit import threads_link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkTimeout
from freshwell._kit.resp import unerring
from freshwell._kit.threads_link import Link
from tests.support.servers import Server
from tests.support.threads import all_of

LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)


def ask(own: Link, *command: str) -> Any:
    return unerring(own.batch([command])[0])


def test_one_thread_uses_one_connection(redis_url: str) -> None:
    own = Link(Endpoint.of(redis_url))
    for _ in range(20):
        ask(own, "PING")
    assert own.connects == 1
    own.close()


def test_threads_share_a_bounded_number_of_connections(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_link, "_MAX_CONNECTIONS", 4)
    own = Link(Endpoint.of(redis_url), command_timeout_s=10)

    def work() -> bool:
        return all(ask(own, "PING") == b"PONG" for _ in range(50))

    assert all(all_of(*[work] * 16))
    assert own.connects <= 4
    own.close()


def test_a_thread_that_finds_no_connection_free_gives_up_in_time(
    own_redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_link, "_MAX_CONNECTIONS", 1)
    own = Link(Endpoint.of(own_redis.url), command_timeout_s=0.3)
    ask(own, "PING")
    blocker = threading.Thread(target=lambda: ask(own, "DEBUG", "SLEEP", "0.25"))
    blocker.start()
    time.sleep(0.05)
    quick = Link(Endpoint.of(own_redis.url), command_timeout_s=0.05)
    quick._idle, quick._open = [], 1
    with pytest.raises(LinkTimeout, match="connections were in use"):
        ask(quick, "PING")
    blocker.join()
    own.close()


def test_connections_that_broke_while_idle_are_not_used(
    own_redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_link, "_TRUSTED_IDLE_S", 0.0)
    own = Link(Endpoint.of(own_redis.url))
    ask(own, "PING")
    own_redis.restart()
    assert ask(own, "INCR", "k") == 1, "what may not be repeated went to a new connection"
    own.close()


def test_an_idle_line_is_looked_at_whatever_the_number_of_its_descriptor(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_link, "_TRUSTED_IDLE_S", 0.0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(LIMITS[0], min(LIMITS[1], 4_096)), LIMITS[1]))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        own = Link(Endpoint.of(redis_url))
        ask(own, "PING")
        assert own._idle[0]._socket.fileno() > 1_024, "beyond what select can look at"
        ask(own, "PING")
        assert own.connects == 1
        own.close()
    finally:
        for number in taken:
            os.close(number)


def test_a_line_given_back_while_the_link_closes_is_closed(redis_url: str) -> None:
    own = Link(Endpoint.of(redis_url))
    ask(own, "PING")
    line = own._take()

    class Late(list[Any]):
        def append(self, item: Any) -> None:
            own.close()
            super().append(item)

    own._idle = Late()
    own._give_back(line, True)
    assert line._socket.fileno() == -1


def test_a_child_whose_parent_forked_in_mid_air_connects_anew(redis_url: str) -> None:
    own = Link(Endpoint.of(redis_url))
    ask(own, "PING")
    own._freed.acquire()  # as a thread that is not in the child
    own._pid -= 1
    own._idle[0].used_s = 0.0
    assert ask(own, "PING") == b"PONG"
    assert own.connects == 2
    own.close()


def test_a_clock_whose_answer_was_lost_is_asked_for_again(own_redis: Server) -> None:
    own = Link(Endpoint.of(own_redis.url), command_timeout_s=0.2, connect_timeout_s=5)
    own._give_back(own._take(), whole=True)
    own_redis.freeze()
    with pytest.raises(LinkTimeout):
        ask(own, "PING")
    own_redis.thaw()
    assert own.server_ms() == 0
    assert ask(own, "PING") == b"PONG"
    assert own.server_ms() > 0
    own.close()
