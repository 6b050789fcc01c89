"""What a link promises: replies to whom they belong, limits on every wait, and honest failure."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell._kit.threads import sleep
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied
from freshwell._kit.resp import unerring
from tests.support.threads import all_of
from tests.support.impostor import CUT, SILENCE, impostor
from tests.support.servers import Server


def link(url: str, timeout_s: float = 0.25) -> Link:
    return Link(Endpoint.of(url), command_timeout_s=timeout_s)


def ask(own: Link, *command: bytes | str) -> Any:
    """Send one command, which is never repeated."""
    return unerring(own.batch([command])[0])


def test_every_caller_gets_the_reply_to_its_own_command(redis_url: str) -> None:
    own = link(redis_url, 10)
    own.batch([(b"SET", b"k:%d" % i, b"v:%d" % i) for i in range(200)])
    replies = all_of(*[partial(own.get, b"k:%d" % i) for i in range(200)])
    assert replies == [b"v:%d" % i for i in range(200)]
    own.close()


def test_callers_of_one_key_all_get_its_value(redis_url: str) -> None:
    own = link(redis_url, 10)
    ask(own, "SET", "k", "v")
    assert all_of(*[partial(own.get, b"k")] * 50) == [b"v"] * 50
    own.close()


def test_large_values_go_through_in_both_directions(redis_url: str) -> None:
    own = link(redis_url, 10)
    large = bytes(range(256)) * 20_000
    ask(own, b"SET", b"large", large)
    assert own.get(b"large") == large
    own.close()


def test_many_keys_are_answered_in_order(redis_url: str) -> None:
    own = link(redis_url, 10)
    own.batch([(b"SET", b"k:%d" % i, b"%d" % i) for i in range(0, 1_200, 2)])
    found = own.get_many([b"k:%d" % i for i in range(1_200)])
    assert found == [None if i % 2 else b"%d" % i for i in range(1_200)]
    assert own.get_many([]) == []
    own.close()


def test_errors_stand_in_their_place_in_a_batch(redis_url: str) -> None:
    own = link(redis_url)
    replies = own.batch([("SET", "k", "v"), ("LPUSH", "k", "x"), ("GET", "k")])
    assert replies[0] == b"OK"
    assert isinstance(replies[1], ServerReplied)
    assert replies[1].code == "WRONGTYPE"
    assert replies[2] == b"v"
    with pytest.raises(ServerReplied, match="WRONGTYPE"):
        ask(own, "LPUSH", "k", "x")
    own.close()


def test_a_key_of_another_type_reads_as_empty(redis_url: str) -> None:
    own = link(redis_url)
    ask(own, "LPUSH", "k", "x")
    assert own.get(b"k") == b""
    own.close()


def test_the_servers_clock_is_known(redis_url: str) -> None:
    own = link(redis_url)
    ask(own, "PING")
    before_ms = own.server_ms()
    seconds, us = ask(own, "TIME")
    true_ms = int(seconds) * 1_000 + int(us) // 1_000
    assert before_ms - 50 <= true_ms <= own.server_ms() + 50
    own.close()


def test_a_silent_server_is_given_up_on_and_left() -> None:
    with impostor(lambda command: SILENCE if command[0] == b"GET" else b"+OK\r\n") as server:
        own = link(server.url, 0.1)
        with pytest.raises(LinkTimeout):
            own.get(b"k")
        assert ask(own, "SET", "k", "v") == b"OK"
        assert server.connections == 2
        assert [command[0] for command in server.commands] == [b"GET", b"SET"]
        own.close()


def test_a_read_whose_connection_was_cut_is_given_once_more() -> None:
    replies = iter([CUT, b"$1\r\nv\r\n"])
    with impostor(lambda command: next(replies)) as server:
        own = link(server.url)
        assert own.get(b"k") == b"v"
        assert len(server.commands) == 2
        own.close()


def test_a_read_is_not_given_a_third_time() -> None:
    with impostor(lambda command: CUT) as server:
        own = link(server.url)
        with pytest.raises(LinkLost):
            own.get(b"k")
        assert len(server.commands) == 2
        own.close()


def test_what_may_not_be_repeated_is_sent_once() -> None:
    with impostor(lambda command: CUT) as server:
        own = link(server.url)
        with pytest.raises(LinkLost):
            own.batch([("INCR", "k")])
        assert server.commands == [[b"INCR", b"k"]]
        own.close()


def test_an_answer_out_of_protocol_loses_the_connection() -> None:
    with impostor(lambda command: b"?nonsense\r\n") as server:
        own = link(server.url)
        with pytest.raises(LinkLost):
            ask(own, "PING")
        own.close()


def test_a_server_that_is_not_there_is_not_asked_again_at_once() -> None:
    with impostor(lambda command: SILENCE) as server:
        url = server.url.replace("redis://", "redis://user:hunter2@")
    own = link(url)
    with pytest.raises(LinkLost) as caught:
        own.get(b"k")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(LinkLost, match="a moment ago"):
        own.get(b"k")
    own.close()


def test_a_restarted_server_is_found_again(own_redis: Server) -> None:
    own = link(own_redis.url)
    ask(own, "SET", "k", "v")
    own_redis.restart()
    sleep(0.15)
    assert own.get(b"k") is None
    own.close()


def test_a_closed_link_refuses_and_closing_it_again_is_no_fault(redis_url: str) -> None:
    own = link(redis_url)
    ask(own, "PING")
    own.close()
    own.close()
    with pytest.raises(LinkLost, match="closed"):
        own.get(b"k")


def test_closing_a_link_that_was_never_used_is_no_fault() -> None:
    link("redis://127.0.0.1:1/0").close()
