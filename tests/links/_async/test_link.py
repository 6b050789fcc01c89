"""What a link promises: replies to whom they belong, limits on every wait, and honest failure."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell._kit.aio import sleep
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied
from freshwell._kit.resp import unerring
from tests.support.aio import all_of
from tests.support.impostor import CUT, SILENCE, impostor
from tests.support.servers import Server


def link(url: str, timeout_s: float = 0.25) -> Link:
    return Link(Endpoint.of(url), command_timeout_s=timeout_s)


async def ask(own: Link, *command: bytes | str) -> Any:
    """Send one command, which is never repeated."""
    return unerring((await own.batch([command]))[0])


async def test_every_caller_gets_the_reply_to_its_own_command(redis_url: str) -> None:
    own = link(redis_url, 10)
    await own.batch([(b"SET", b"k:%d" % i, b"v:%d" % i) for i in range(200)])
    replies = await all_of(*[partial(own.get, b"k:%d" % i) for i in range(200)])
    assert replies == [b"v:%d" % i for i in range(200)]
    await own.aclose()


async def test_callers_of_one_key_all_get_its_value(redis_url: str) -> None:
    own = link(redis_url, 10)
    await ask(own, "SET", "k", "v")
    assert await all_of(*[partial(own.get, b"k")] * 50) == [b"v"] * 50
    await own.aclose()


async def test_large_values_go_through_in_both_directions(redis_url: str) -> None:
    own = link(redis_url, 10)
    large = bytes(range(256)) * 20_000
    await ask(own, b"SET", b"large", large)
    assert await own.get(b"large") == large
    await own.aclose()


async def test_many_keys_are_answered_in_order(redis_url: str) -> None:
    own = link(redis_url, 10)
    await own.batch([(b"SET", b"k:%d" % i, b"%d" % i) for i in range(0, 1_200, 2)])
    found = await own.get_many([b"k:%d" % i for i in range(1_200)])
    assert found == [None if i % 2 else b"%d" % i for i in range(1_200)]
    assert await own.get_many([]) == []
    await own.aclose()


async def test_errors_stand_in_their_place_in_a_batch(redis_url: str) -> None:
    own = link(redis_url)
    replies = await own.batch([("SET", "k", "v"), ("LPUSH", "k", "x"), ("GET", "k")])
    assert replies[0] == b"OK"
    assert isinstance(replies[1], ServerReplied)
    assert replies[1].code == "WRONGTYPE"
    assert replies[2] == b"v"
    with pytest.raises(ServerReplied, match="WRONGTYPE"):
        await ask(own, "LPUSH", "k", "x")
    await own.aclose()


async def test_a_key_of_another_type_reads_as_empty(redis_url: str) -> None:
    own = link(redis_url)
    await ask(own, "LPUSH", "k", "x")
    assert await own.get(b"k") == b""
    await own.aclose()


async def test_the_servers_clock_is_known(redis_url: str) -> None:
    own = link(redis_url)
    await ask(own, "PING")
    before_ms = own.server_ms()
    seconds, us = await ask(own, "TIME")
    true_ms = int(seconds) * 1_000 + int(us) // 1_000
    assert before_ms - 50 <= true_ms <= own.server_ms() + 50
    await own.aclose()


async def test_a_silent_server_is_given_up_on_and_left() -> None:
    with impostor(lambda command: SILENCE if command[0] == b"GET" else b"+OK\r\n") as server:
        own = link(server.url, 0.1)
        with pytest.raises(LinkTimeout):
            await own.get(b"k")
        assert await ask(own, "SET", "k", "v") == b"OK"
        assert server.connections == 2
        assert [command[0] for command in server.commands] == [b"GET", b"SET"]
        await own.aclose()


async def test_a_read_whose_connection_was_cut_is_given_once_more() -> None:
    replies = iter([CUT, b"$1\r\nv\r\n"])
    with impostor(lambda command: next(replies)) as server:
        own = link(server.url)
        assert await own.get(b"k") == b"v"
        assert len(server.commands) == 2
        await own.aclose()


async def test_a_read_is_not_given_a_third_time() -> None:
    with impostor(lambda command: CUT) as server:
        own = link(server.url)
        with pytest.raises(LinkLost):
            await own.get(b"k")
        assert len(server.commands) == 2
        await own.aclose()


async def test_what_may_not_be_repeated_is_sent_once() -> None:
    with impostor(lambda command: CUT) as server:
        own = link(server.url)
        with pytest.raises(LinkLost):
            await own.batch([("INCR", "k")])
        assert server.commands == [[b"INCR", b"k"]]
        await own.aclose()


async def test_an_answer_out_of_protocol_loses_the_connection() -> None:
    with impostor(lambda command: b"?nonsense\r\n") as server:
        own = link(server.url)
        with pytest.raises(LinkLost):
            await ask(own, "PING")
        await own.aclose()


async def test_a_server_that_is_not_there_is_not_asked_again_at_once() -> None:
    with impostor(lambda command: SILENCE) as server:
        url = server.url.replace("redis://", "redis://user:hunter2@")
    own = link(url)
    with pytest.raises(LinkLost) as caught:
        await own.get(b"k")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(LinkLost, match="a moment ago"):
        await own.get(b"k")
    await own.aclose()


async def test_a_restarted_server_is_found_again(own_redis: Server) -> None:
    own = link(own_redis.url)
    await ask(own, "SET", "k", "v")
    own_redis.restart()
    await sleep(0.15)
    assert await own.get(b"k") is None
    await own.aclose()


async def test_a_closed_link_refuses_and_closing_it_again_is_no_fault(redis_url: str) -> None:
    own = link(redis_url)
    await ask(own, "PING")
    await own.aclose()
    await own.aclose()
    with pytest.raises(LinkLost, match="closed"):
        await own.get(b"k")


async def test_closing_a_link_that_was_never_used_is_no_fault() -> None:
    await link("redis://127.0.0.1:1/0").aclose()
