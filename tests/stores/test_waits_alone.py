"""What only tasks can do to writes that wait for replicas; why they have a link of their own."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from freshwell._async.stores.waited import WaitedLink
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost
from tests.support.aio import until
from tests.support.sentinels import Replicated


def waits(pair: Replicated) -> bool:
    return pair.primary.info("clients")["blocked_clients"] != "0"


async def test_control_a_wait_on_the_shared_connection_holds_up_who_reads(
    replicated: Replicated,
) -> None:
    shared = Link(Endpoint.of(replicated.primary.url), command_timeout_s=30)
    replicated.replica.freeze()
    waiting = asyncio.create_task(shared.batch([("SET", "k", "v"), ("WAIT", 1, 20_000)]))
    await until(partial(waits, replicated), "it waits")
    reading = asyncio.create_task(shared.get(b"k"))
    await asyncio.sleep(0.1)
    assert not reading.done()
    replicated.replica.thaw()
    assert await reading == b"v"
    assert await waiting == [b"OK", 1]
    await shared.aclose()


async def test_who_is_cancelled_takes_no_other_writes_along(replicated: Replicated) -> None:
    link = Link(Endpoint.of(replicated.primary.url), command_timeout_s=30)
    own = WaitedLink(link, patience_s=30)
    replicated.replica.freeze()
    first, second, third = (
        asyncio.create_task(own.batch_waited([("SET", f"k:{n}", "v")], 1, 20_000)) for n in range(3)
    )
    await until(partial(waits, replicated), "the first waits")
    first.cancel()
    second.cancel()
    replicated.replica.thaw()
    assert await third == ([b"OK"], 1)
    assert replicated.replica.ask("EXISTS", "k:2") == 1
    assert await asyncio.gather(first, second, return_exceptions=True)
    await own.aclose()


async def test_what_must_not_be_repeated_is_not_where_its_sender_is_cancelled(
    replicated: Replicated,
) -> None:
    link = Link(Endpoint.of(replicated.primary.url), command_timeout_s=30)
    own = WaitedLink(link, patience_s=30)
    replicated.replica.freeze()
    ahead = asyncio.create_task(own.batch_waited([("SET", "k", "v")], 1, 2_000))
    await until(partial(waits, replicated), "the first waits")
    sender, other = (
        asyncio.create_task(own.batch_waited([("RPUSH", "l", n)], 1, 20_000, repeat=False))
        for n in range(2)
    )
    assert await ahead == ([b"OK"], 0)
    await until(lambda: replicated.primary.ask("LLEN", "l") == 2, "both have been sent")
    sender.cancel()
    with pytest.raises(LinkLost, match="cancelled"):
        await other
    assert replicated.primary.ask("LLEN", "l") == 2
    await own.aclose()
