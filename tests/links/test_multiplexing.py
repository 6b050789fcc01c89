"""The async link is one connection for all tasks: what leaves together, and who may leave."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied
from tests.support.impostor import SILENCE, impostor


async def test_the_first_command_leaves_at_once_and_those_of_the_same_tick_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with impostor(lambda command: b"$1\r\nv\r\n") as server:
        own = Link(Endpoint.of(server.url))
        await own.get(b"warm")
        # What the server reads at once is no measure: it may come late, and find both writes.
        writes: list[int] = []
        transport = own._line._transport  # type: ignore[union-attr]
        write = transport.write

        def counted(data: bytes) -> None:
            writes.append(data.count(b"GET"))
            write(data)

        monkeypatch.setattr(transport, "write", counted)
        await asyncio.gather(*(own.get(b"k:%d" % i) for i in range(100)))
        assert writes == [1, 99]
        assert server.connections == 1
        await own.aclose()


async def test_equal_reads_that_wait_to_leave_are_one_command() -> None:
    with impostor(lambda command: b"$1\r\nv\r\n") as server:
        own = Link(Endpoint.of(server.url))
        await own.get(b"warm")
        await asyncio.gather(*(own.get(b"k") for _ in range(100)))
        assert server.commands == [[b"GET", b"warm"], [b"GET", b"k"], [b"GET", b"k"]]
        await own.get(b"k")
        assert len(server.commands) == 4
        await own.aclose()


async def test_a_cancelled_caller_disturbs_no_other(redis_url: str) -> None:
    own = Link(Endpoint.of(redis_url), command_timeout_s=10)
    await own.batch([(b"SET", b"k:%d" % i, b"%d" % i) for i in range(20)])
    tasks = [asyncio.create_task(own.get(b"k:%d" % (i // 2))) for i in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert results[1::2] == [b"%d" % i for i in range(20)]
    await own.aclose()


async def test_all_who_wait_are_told_when_the_connection_times_out() -> None:
    with impostor(lambda command: SILENCE) as server:
        own = Link(Endpoint.of(server.url), command_timeout_s=0.1)
        calls = (own.get(b"k:%d" % (i % 5)) for i in range(20))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, LinkTimeout) for result in results)
        assert server.connections == 1
        await own.aclose()


async def test_closing_tells_those_who_wait() -> None:
    with impostor(lambda command: SILENCE) as server:
        own = Link(Endpoint.of(server.url), command_timeout_s=10)
        waiting = asyncio.create_task(own.batch([("PING",)]))
        while not server.commands:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
        await own.aclose()
        with pytest.raises(LinkLost, match="closed"):
            await waiting


def asked_for(command: list[bytes]) -> bytes:
    """Answer a GET or an MGET by the names of its keys."""
    if command[0] == b"GET":
        return b"$%d\r\n%b\r\n" % (len(command[1]), command[1])
    values = [b"$%d\r\n%b\r\n" % (len(key), key) for key in command[1:]]
    return b"*%d\r\n%b" % (len(values), b"".join(values))


async def test_callers_of_one_tick_share_one_question_about_a_key_beside_theirs() -> None:
    with impostor(asked_for) as server:
        own = Link(Endpoint.of(server.url))
        await own.get_many([b"warm"])

        async def read(i: int) -> object:
            return await own.get_beside(b"k:%d" % i, [b"both", b"own:%d" % i])

        found = await asyncio.gather(*(read(i) for i in range(20)))
        assert found == [(b"k:%d" % i, [b"both", b"own:%d" % i]) for i in range(20)]
        commands = server.commands[1:]
        assert commands[0] == [b"MGET", b"both", b"own:0", b"k:0"], "the first left at once"
        others = [b"own:%d" % i for i in range(1, 20)]
        assert commands[1] == [b"MGET", b"both", *others], "and those of all others together"
        assert commands[2:] == [[b"GET", b"k:%d" % i] for i in range(1, 20)]
        await own.aclose()


async def test_equal_questions_with_keys_beside_are_one_command() -> None:
    with impostor(asked_for) as server:
        own = Link(Endpoint.of(server.url))
        await own.get_many([b"warm"])
        tasks = [asyncio.create_task(own.get_beside(b"k", [b"a", b"b"])) for _ in range(20)]
        await asyncio.sleep(0)
        tasks[1].cancel()  # the one that asks for all; the first left at once
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in found].count(asyncio.CancelledError) == 1
        assert [one for one in found if isinstance(one, tuple)] == [(b"k", [b"a", b"b"])] * 19
        at_once, *later = server.commands[1:]
        assert at_once == [b"MGET", b"a", b"b", b"k"]
        assert later == [[b"MGET", b"a", b"b"], [b"GET", b"k"]]
        assert await own.get_beside(b"k", [b"a"]) == (b"k", [b"a"])
        assert server.commands[4:] == [[b"MGET", b"a", b"k"]]
        await own.aclose()


async def test_a_key_that_is_asked_for_in_a_later_tick_is_asked_for_anew(redis_url: str) -> None:
    own = Link(Endpoint.of(redis_url), command_timeout_s=10)
    await own.batch([(b"SET", b"k", b"v"), (b"SET", b"tag", b"1")])
    first = [asyncio.create_task(own.get_beside(b"k", [b"tag"])) for _ in range(3)]
    await asyncio.sleep(0)
    changed = asyncio.create_task(own.batch([(b"SET", b"tag", b"2")]))
    await asyncio.sleep(0)
    later = [asyncio.create_task(own.get_beside(b"k", [b"tag"])) for _ in range(3)]
    assert await asyncio.gather(*first) == [(b"v", [b"1"])] * 3
    await changed
    assert await asyncio.gather(*later) == [(b"v", [b"2"])] * 3
    await own.aclose()


async def test_who_shares_a_question_has_its_answer_though_the_asker_was_cancelled(
    redis_url: str,
) -> None:
    own = Link(Endpoint.of(redis_url), command_timeout_s=10)
    await own.batch([(b"SET", b"k", b"v"), (b"SET", b"tag", b"1")])
    under_way = asyncio.create_task(own.get(b"other"))
    asker, sharer = (asyncio.create_task(own.get_beside(b"k", [b"tag"])) for _ in range(2))
    await asyncio.sleep(0)
    asker.cancel()
    assert await sharer == (b"v", [b"1"])
    assert asker.cancelled()
    await under_way
    await own.aclose()


async def test_who_shares_a_question_has_its_error() -> None:
    def refuse(command: list[bytes]) -> bytes:
        return b"-BUSY a script runs\r\n" if b"tag" in command else asked_for(command)

    with impostor(refuse) as server:
        own = Link(Endpoint.of(server.url))
        await own.get_many([b"warm"])
        calls = (own.get_beside(b"k:%d" % i, [b"tag"]) for i in range(4))
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(one) for one in found] == [ServerReplied] * 4
        asked = [b"tag" in command for command in server.commands[1:]]
        assert asked == [True, True, False, False, False]
        await own.aclose()


async def test_questions_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freshwell._kit.aio_line._MAX_ASKED", 3)
    with impostor(asked_for) as server:
        own = Link(Endpoint.of(server.url))
        await own.get_many([b"warm"])
        calls = (own.get_beside(b"k:%d" % i, [b"own:%d" % i]) for i in range(8))
        assert await asyncio.gather(*calls) == [(b"k:%d" % i, [b"own:%d" % i]) for i in range(8)]
        assert [len(c) - 1 for c in server.commands[1:] if c[0] == b"MGET"] == [2, 3, 3, 1]
        await own.aclose()


async def test_a_question_that_is_refused_for_lack_of_room_is_not_shared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("freshwell._kit.aio_line._MAX_PENDING", 2)
    with impostor(asked_for) as server:
        own = Link(Endpoint.of(server.url), command_timeout_s=10)
        await own.get_many([b"warm"])
        reads: list[Coroutine[Any, Any, object]] = [own.get_many([b"one"]), own.get_many([b"two"])]
        reads += [own.get_beside(b"k", [b"tag"]), own.get_beside(b"k", [b"tag"])]
        refused = [own.get(b"k"), own.get(b"k")]
        found = await asyncio.gather(*reads, *refused, return_exceptions=True)
        assert found[:2] == [[b"one"], [b"two"]]
        assert [type(one) for one in found[2:]] == [LinkTimeout] * 4
        await own.aclose()
