"""Time limits, strange servers, and the end of a link."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from contextlib import suppress
from functools import partial

import pytest

from freshwell import StoreUnavailable
from freshwell._kit.threads import sleep
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied
from freshwell.testing import DOWN, UP, FaultProxy
from tests.support.threads import start, until
from tests.support.impostor import SILENCE, impostor
from tests.support.servers import Server

SLACK_S = 1.5
"""What a busy machine may take on top. Without a limit each of these would take far longer."""


def test_a_call_to_a_silent_place_ends_in_time(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        between.freeze()
        own = Link(Endpoint.of(between.url), connect_timeout_s=0.2, command_timeout_s=0.1)
        began_s = time.monotonic()
        with pytest.raises(StoreUnavailable):
            own.get(b"k")
        assert time.monotonic() - began_s < 0.2 + 0.1 + SLACK_S
        own.close()


def test_a_reply_that_drips_is_not_waited_for_beyond_the_limit() -> None:
    with impostor(lambda command: SILENCE) as server:
        own = Link(Endpoint.of(server.url), command_timeout_s=0.3)
        began_s = time.monotonic()
        reading = start(partial(own.get, b"k"))
        until(lambda: len(server.commands) == 1, "the read has come")
        server.say(b"$9000\r\n")
        for _ in range(500):
            server.say(b"x")
            sleep(0.01)
            if reading.done:
                break
        with pytest.raises(LinkTimeout):
            reading.result()
        assert time.monotonic() - began_s < 0.3 + SLACK_S
        own.close()


def test_a_command_that_is_taken_slowly_is_given_up_in_time(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        own = Link(Endpoint.of(between.url), command_timeout_s=0.4)
        own.batch([("PING",)])
        between.throttle(200_000, UP)
        began_s = time.monotonic()
        with pytest.raises(LinkTimeout):
            own.batch([(b"SET", b"k", bytes(20_000_000))])
        assert time.monotonic() - began_s < 0.4 + SLACK_S
        own.close()


def test_a_slow_answer_within_the_limit_does_not_shorten_the_next(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        own = Link(Endpoint.of(between.url), command_timeout_s=1.2)
        own.get(b"k")
        between.delay(0.7, DOWN)
        for _ in range(2):
            assert own.batch([("PING",), ("ECHO", "a")]) == [b"PONG", b"a"]
        own.close()


def test_closing_while_connecting_is_told_as_a_loss(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        between.freeze()
        own = Link(Endpoint.of(between.url), connect_timeout_s=0.4)
        reading = start(partial(own.get, b"k"))
        until(lambda: between.accepted == 1, "it connects")
        own.close()
        with pytest.raises(LinkLost):
            reading.result()


def test_a_lonely_callers_link_keeps_the_servers_clock(own_redis: Server) -> None:
    passed_ns = 0
    own = Link(Endpoint.of(own_redis.url), now_ns=lambda: time.monotonic_ns() + passed_ns)
    own.get(b"k")
    asked = calls_of_time(own_redis)
    for _ in range(3):
        own.get(b"k")
    assert calls_of_time(own_redis) == asked
    passed_ns = 6_000_000_000
    own.get(b"k")
    own.get(b"k")
    assert calls_of_time(own_redis) == asked + 1
    assert own.get_many([b"k", b"l"]) == [None, None]
    own.close()


def calls_of_time(server: Server) -> int:
    told = server.info("commandstats").get("cmdstat_time", "calls=0,")
    return int(told.partition("=")[2].partition(",")[0])


NONSENSE = [
    b":1\r\n",
    b"*1\r\n:1\r\n",
    b"*0\r\n",
    b"%1\r\n*0\r\n+b\r\n",
    b"-\r\n",
    b"-\xff\xfe \xff\r\n",
    b"*2\r\n-ERR x\r\n*0\r\n",
    b"$-7\r\n",
    b"+a\r\n+b\r\n",
]


@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
def test_an_answer_that_is_none_is_an_error_of_ours_or_empty(answer: bytes) -> None:
    with impostor(lambda command: answer) as server:
        own = Link(Endpoint.of(server.url))
        with suppress(StoreUnavailable):
            assert own.get_many([b"k", b"l"]) == []
        with suppress(StoreUnavailable):
            assert own.get(b"k") in (b"", b"a")
        own.close()


def test_a_clock_that_tells_nonsense_is_not_believed() -> None:
    with impostor(lambda command: b"$-1\r\n", clock=b"*1\r\n+x\r\n") as server:
        own = Link(Endpoint.of(server.url))
        assert own.get(b"k") is None
        assert own.server_ms() == 0
        own.close()


@pytest.mark.parametrize("code", ["LOADING", "OOM", "READONLY", "MASTERDOWN", "BUSY", "NOPERM"])
def test_what_the_server_refuses_is_told_by_its_code(code: str) -> None:
    with impostor(lambda command: f"-{code} secret words\r\n".encode()) as server:
        own = Link(Endpoint.of(server.url))
        with pytest.raises(ServerReplied) as caught:
            own.get(b"k")
        assert caught.value.code == code
        assert "secret" not in str(caught.value)
        own.close()
