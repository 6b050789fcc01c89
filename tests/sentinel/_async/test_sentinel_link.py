"""A link to whoever is the primary: failovers by hand, and crashes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from freshwell._async.stores.base import Fill
from freshwell._async.stores.redis import RedisStore
from freshwell._async.stores.sentinel import SentinelLink
from freshwell._async.stores.topology import Topology
from freshwell._kit.aio import sleep
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, ServerReplied
from freshwell.engines.tokens import Tokens
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import State, encode
from freshwell.ground.keys import digest8
from freshwell.testing.conformance import AsyncStoreConformance
from tests.sentinel._async.links import has, link, put
from tests.support.aio import start, until
from tests.support.sentinels import Sentinels

KEY = b"fw:e:default:a"


def opened(own: SentinelLink, lease_ms: int = 5_000) -> RedisStore:
    return RedisStore(own, lease_ms=lease_ms, new_token=Tokens(8))


def value(token: bytes, text: bytes = b"1") -> Fill:
    frame = encode(state=State.VALUE, codec=1, digest=digest8(KEY), payload=text, token=token)
    return Fill(KEY, token, frame, 60_000, 60_000)


# -- in peace --------------------------------------------------------------------------------


class TestUnderSentinels(AsyncStoreConformance):
    @pytest.fixture
    def make(self, sentinel_url: str) -> Callable[..., RedisStore]:
        return lambda lease_ms=5_000: opened(link(sentinel_url), lease_ms)


async def test_it_speaks_to_the_primary_and_knows_its_clock(sentinels: Sentinels) -> None:
    own = link(sentinels.url)
    assert own.server_ms() == 0
    await put(own, "v")
    assert sentinels.primary.ask("GET", "k") == b"v"
    seconds, us = sentinels.primary.ask("TIME")
    assert abs(own.server_ms(b"k") - int(seconds) * 1_000 - int(us) // 1_000) < 2_000
    await own.aclose()


async def test_a_survey_tells_the_address_and_how_to_reach_it(sentinels: Sentinels) -> None:
    own = link(sentinels.url)
    topology: Topology = own
    survey = await topology.survey()
    assert survey.primaries == (("127.0.0.1", sentinels.primary.port),)
    assert await topology.survey() == survey
    direct = Link(topology.endpoint(survey.primaries[0]))
    assert await direct.get(b"k") is None
    await direct.aclose()
    await own.aclose()


async def test_errors_of_the_server_stand_in_their_place(sentinel_url: str) -> None:
    own = link(sentinel_url)
    replies = await own.batch([("SET", "k", "v"), ("LPUSH", "k", "x"), ("GET", "k")])
    assert isinstance(replies[1], ServerReplied)
    assert replies[2] == b"v"
    await own.aclose()


async def test_a_closed_link_refuses(sentinel_url: str) -> None:
    own = link(sentinel_url)
    await put(own, "v")
    await own.aclose()
    await own.aclose()
    with pytest.raises(LinkLost, match="closed"):
        await own.get(b"k")
    with pytest.raises(LinkLost, match="closed"):
        await own.survey()


async def test_closing_a_link_that_was_never_used_is_no_fault() -> None:
    await link("redis+sentinel://127.0.0.1:1/mymaster").aclose()


# -- another primary -------------------------------------------------------------------------


async def test_after_a_failover_by_hand_a_survey_leaves_the_old_primary(
    sentinels: Sentinels,
) -> None:
    own = link(sentinels.url)
    await put(own, "before")
    before = await own.survey()
    old, new = sentinels.failover()
    survey = await own.survey()
    assert survey != before
    assert survey.primaries == (("127.0.0.1", new.port),)
    await put(own, "after")
    assert (old.ask("GET", "k"), new.ask("GET", "k")) == (b"before", b"after")
    assert await own.get(b"k") == b"after"
    await own.aclose()


@pytest.mark.slow
async def test_control_a_plain_link_keeps_writing_to_the_old_primary_and_its_writes_vanish(
    sentinels: Sentinels,
) -> None:
    plain = Link(Endpoint.of(sentinels.primary.url))
    await put(plain, "before")
    old, new = sentinels.failover()
    await put(plain, "lost")
    assert await plain.get(b"k") == b"lost"
    await plain.aclose()
    sentinels.settle()
    assert new.ask("GET", "k") == b"before"
    assert old.ask("GET", "k") == b"before"


@pytest.mark.slow
async def test_what_is_under_way_to_a_primary_that_is_replaced_fails(
    sentinels: Sentinels,
) -> None:
    own = link(sentinels.url, 10)
    await put(own, "before")
    old, _ = sentinels.failover()
    old.ask("CLIENT", "PAUSE", 2_000, "WRITE")
    writing = await start(partial(put, own, "late"))
    await until(lambda: b"blocked_clients:1\r" in old.ask("INFO", "clients"), "it is on its way")
    await own.survey()
    with pytest.raises(LinkLost):
        await writing.result()
    await own.aclose()


@pytest.mark.slow
async def test_what_may_be_repeated_goes_to_the_new_primary_then(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 10)
    await put(own, "before")
    old, new = sentinels.failover()
    old.ask("CLIENT", "PAUSE", 2_000, "WRITE")
    writing = await start(partial(own.batch, [("SET", "k", "late")], repeat=True))
    await until(lambda: b"blocked_clients:1\r" in old.ask("INFO", "clients"), "it is on its way")
    await own.survey()
    assert await writing.result() == [b"OK"]
    assert new.ask("GET", "k") == b"late"
    await own.aclose()


async def test_a_primary_that_was_made_a_replica_is_left_by_itself(sentinels: Sentinels) -> None:
    own = link(sentinels.url)
    await put(own, "before")
    old, new = sentinels.failover()
    old.ask("REPLICAOF", "127.0.0.1", new.port)
    with pytest.raises(ServerReplied, match="READONLY"):
        await put(own, "not repeated")
    await put(own, "after")
    assert new.ask("GET", "k") == b"after"
    await own.aclose()


@pytest.mark.slow
async def test_after_a_crash_of_the_primary_it_works_again_by_itself(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 0.5)
    await put(own, "before")
    killed = sentinels.kill_primary()
    failed = 0
    for _ in range(1_000):
        try:
            await put(own, "after")
            break
        except StoreUnavailable:  # and nothing else
            failed += 1
            await sleep(0.02)
    assert failed
    assert sentinels.primary is not killed
    assert has(sentinels.primary, b"after")
    await own.aclose()


@pytest.mark.slow
async def test_after_the_primary_froze_it_works_again_by_itself(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 0.2)
    await put(own, "before")
    frozen = sentinels.primary
    frozen.freeze()
    for _ in range(1_000):
        try:
            assert await own.get(b"k") in (b"before", None)
            break
        except StoreUnavailable:
            await sleep(0.02)
    assert sentinels.primary is not frozen
    await put(own, "after")
    assert has(sentinels.primary, b"after")
    await own.aclose()
