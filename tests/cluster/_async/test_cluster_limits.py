"""Nodes that send in circles, ask for patience, or say nonsense: every call ends, in our words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from freshwell._kit.link_errors import ServerReplied
from freshwell.errors import StoreUnavailable
from tests.cluster._async.parts import opened
from tests.support.impostor import CUT, Impostor, impostor

Answer = Callable[[list[bytes]], bytes | None]

NAMELESS = b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:%d\r\n"
"""A map in which a node of no name owns all."""


def url_of(port: int) -> str:
    return f"redis+cluster://127.0.0.1:{port}"


def port_of(server: Impostor) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


def node(answer: Callable[[], bytes | None], ports: list[int]) -> Answer:
    """Return what a node answers to commands, that owns all slots by its own account."""

    def told(command: list[bytes]) -> bytes | None:
        if command[:2] == [b"CLUSTER", b"SLOTS"]:
            return NAMELESS % ports[0]
        return b"+OK\r\n" if command == [b"ASKING"] else answer()

    return told


@pytest.mark.parametrize("code", ["MOVED", "ASK"])
async def test_a_circle_is_followed_a_few_times_only(code: str) -> None:
    ports: list[int] = []
    with impostor(node(lambda: b"-%b 1 :%d\r\n" % (code.encode(), ports[0]), ports)) as server:
        ports.append(port_of(server))
        async with opened(url_of(ports[0])) as link:
            with pytest.raises(ServerReplied, match=code):
                await link.get(b"k")
            (reply,) = await link.batch([(b"SET", b"k", b"v")])
            assert reply.code == code
        tries = [command[0] for command in server.commands]
        assert (tries.count(b"GET"), tries.count(b"SET")) == (6, 6)


@pytest.mark.parametrize("code", ["TRYAGAIN", "CLUSTERDOWN", "LOADING"])
async def test_a_cluster_that_cannot_just_now_is_asked_again(code: str) -> None:
    ports: list[int] = []
    replies = [f"-{code} secret words\r\n".encode()] * 2 + [b"$1\r\nv\r\n"]
    with impostor(node(lambda: replies.pop(0), ports)) as server:
        ports.append(port_of(server))
        async with opened(url_of(ports[0])) as link:
            assert await link.get(b"k") == b"v"


async def test_one_that_cannot_for_long_is_given_up_on() -> None:
    ports: list[int] = []
    with impostor(node(lambda: b"-CLUSTERDOWN secret words\r\n", ports)) as server:
        ports.append(port_of(server))
        async with opened(url_of(ports[0])) as link:
            with pytest.raises(ServerReplied) as caught:
                await link.get_many([b"k", b"l"])
        assert "secret" not in str(caught.value)
        assert len(server.commands) < 30


@pytest.mark.parametrize(
    "where", [b"", b" 1", b" 1 :0", b" 1 a:b", b" x y z", b" 1 127.0.0.1:1"], ids=range(6)
)
async def test_a_way_that_leads_nowhere_is_an_error_of_ours(where: bytes) -> None:
    ports: list[int] = []
    with impostor(node(lambda: b"-MOVED%b\r\n" % where, ports)) as server:
        ports.append(port_of(server))
        async with opened(url_of(ports[0])) as link:
            with pytest.raises(StoreUnavailable):
                await link.get(b"k")


async def test_what_may_not_be_repeated_is_given_once() -> None:
    ports: list[int] = []
    with impostor(node(lambda: CUT, ports)) as server:
        ports.append(port_of(server))
        async with opened(url_of(ports[0])) as link:
            with pytest.raises(StoreUnavailable):
                await link.batch([(b"INCR", b"k")])
            with pytest.raises(StoreUnavailable):
                await link.batch([(b"SET", b"k", b"v")], repeat=True)
        tries = [command[0] for command in server.commands]
        assert (tries.count(b"INCR"), tries.count(b"SET")) == (1, 2)


@pytest.mark.parametrize(
    "told", [b"*0\r\n", b":1\r\n", b"-ERR secret\r\n", b"*1\r\n*1\r\n:1\r\n"], ids=range(4)
)
async def test_a_map_that_is_none_is_unavailable(told: bytes) -> None:
    with impostor(lambda command: told) as server:
        port = port_of(server)
        async with opened(url_of(port)) as link:
            with pytest.raises(StoreUnavailable) as caught:
                await link.get(b"k")
            assert "secret" not in str(caught.value)
