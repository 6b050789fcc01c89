"""A link to whoever is the primary: failovers by hand, and crashes."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial

import pytest

from freshwell._sync.stores.base import Fill
from freshwell._sync.stores.redis import RedisStore
from freshwell._sync.stores.sentinel import SentinelLink
from freshwell._sync.stores.topology import Topology
from freshwell._kit.threads import sleep
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, ServerReplied
from freshwell.engines.tokens import Tokens
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import State, encode
from freshwell.ground.keys import digest8
from freshwell.testing.conformance import StoreConformance
from tests.sentinel._sync.links import has, link, put
from tests.support.threads import start, until
from tests.support.sentinels import Sentinels

KEY = b"fw:e:default:a"


def opened(own: SentinelLink, lease_ms: int = 5_000) -> RedisStore:
    return RedisStore(own, lease_ms=lease_ms, new_token=Tokens(8))


def value(token: bytes, text: bytes = b"1") -> Fill:
    frame = encode(state=State.VALUE, codec=1, digest=digest8(KEY), payload=text, token=token)
    return Fill(KEY, token, frame, 60_000, 60_000)


# -- in peace --------------------------------------------------------------------------------


class TestUnderSentinels(StoreConformance):
    @pytest.fixture
    def make(self, sentinel_url: str) -> Callable[..., RedisStore]:
        return lambda lease_ms=5_000: opened(link(sentinel_url), lease_ms)


def test_it_speaks_to_the_primary_and_knows_its_clock(sentinels: Sentinels) -> None:
    own = link(sentinels.url)
    assert own.server_ms() == 0
    put(own, "v")
    assert sentinels.primary.ask("GET", "k") == b"v"
    seconds, us = sentinels.primary.ask("TIME")
    assert abs(own.server_ms(b"k") - int(seconds) * 1_000 - int(us) // 1_000) < 2_000
    own.close()


def test_a_survey_tells_the_address_and_how_to_reach_it(sentinels: Sentinels) -> None:
    own = link(sentinels.url)
    topology: Topology = own
    survey = topology.survey()
    assert survey.primaries == (("127.0.0.1", sentinels.primary.port),)
    assert topology.survey() == survey
    direct = Link(topology.endpoint(survey.primaries[0]))
    assert direct.get(b"k") is None
    direct.close()
    own.close()


def test_errors_of_the_server_stand_in_their_place(sentinel_url: str) -> None:
    own = link(sentinel_url)
    replies = own.batch([("SET", "k", "v"), ("LPUSH", "k", "x"), ("GET", "k")])
    assert isinstance(replies[1], ServerReplied)
    assert replies[2] == b"v"
    own.close()


def test_a_closed_link_refuses(sentinel_url: str) -> None:
    own = link(sentinel_url)
    put(own, "v")
    own.close()
    own.close()
    with pytest.raises(LinkLost, match="closed"):
        own.get(b"k")
    with pytest.raises(LinkLost, match="closed"):
        own.survey()


def test_closing_a_link_that_was_never_used_is_no_fault() -> None:
    link("redis+sentinel://127.0.0.1:1/mymaster").close()


# -- another primary -------------------------------------------------------------------------


def test_after_a_failover_by_hand_a_survey_leaves_the_old_primary(
    sentinels: Sentinels,
) -> None:
    own = link(sentinels.url)
    put(own, "before")
    before = own.survey()
    old, new = sentinels.failover()
    survey = own.survey()
    assert survey != before
    assert survey.primaries == (("127.0.0.1", new.port),)
    put(own, "after")
    assert (old.ask("GET", "k"), new.ask("GET", "k")) == (b"before", b"after")
    assert own.get(b"k") == b"after"
    own.close()


@pytest.mark.slow
def test_control_a_plain_link_keeps_writing_to_the_old_primary_and_its_writes_vanish(
    sentinels: Sentinels,
) -> None:
    plain = Link(Endpoint.of(sentinels.primary.url))
    put(plain, "before")
    old, new = sentinels.failover()
    put(plain, "lost")
    assert plain.get(b"k") == b"lost"
    plain.close()
    sentinels.settle()
    assert new.ask("GET", "k") == b"before"
    assert old.ask("GET", "k") == b"before"


@pytest.mark.slow
def test_what_is_under_way_to_a_primary_that_is_replaced_fails(
    sentinels: Sentinels,
) -> None:
    own = link(sentinels.url, 10)
    put(own, "before")
    old, _ = sentinels.failover()
    old.ask("CLIENT", "PAUSE", 2_000, "WRITE")
    writing = start(partial(put, own, "late"))
    until(lambda: b"blocked_clients:1\r" in old.ask("INFO", "clients"), "it is on its way")
    own.survey()
    with pytest.raises(LinkLost):
        writing.result()
    own.close()


@pytest.mark.slow
def test_what_may_be_repeated_goes_to_the_new_primary_then(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 10)
    put(own, "before")
    old, new = sentinels.failover()
    old.ask("CLIENT", "PAUSE", 2_000, "WRITE")
    writing = start(partial(own.batch, [("SET", "k", "late")], repeat=True))
    until(lambda: b"blocked_clients:1\r" in old.ask("INFO", "clients"), "it is on its way")
    own.survey()
    assert writing.result() == [b"OK"]
    assert new.ask("GET", "k") == b"late"
    own.close()


def test_a_primary_that_was_made_a_replica_is_left_by_itself(sentinels: Sentinels) -> None:
    own = link(sentinels.url)
    put(own, "before")
    old, new = sentinels.failover()
    old.ask("REPLICAOF", "127.0.0.1", new.port)
    with pytest.raises(ServerReplied, match="READONLY"):
        put(own, "not repeated")
    put(own, "after")
    assert new.ask("GET", "k") == b"after"
    own.close()


@pytest.mark.slow
def test_after_a_crash_of_the_primary_it_works_again_by_itself(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 0.5)
    put(own, "before")
    killed = sentinels.kill_primary()
    failed = 0
    for _ in range(1_000):
        try:
            put(own, "after")
            break
        except StoreUnavailable:  # and nothing else
            failed += 1
            sleep(0.02)
    assert failed
    assert sentinels.primary is not killed
    assert has(sentinels.primary, b"after")
    own.close()


@pytest.mark.slow
def test_after_the_primary_froze_it_works_again_by_itself(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 0.2)
    put(own, "before")
    frozen = sentinels.primary
    frozen.freeze()
    for _ in range(1_000):
        try:
            assert own.get(b"k") in (b"before", None)
            break
        except StoreUnavailable:
            sleep(0.02)
    assert sentinels.primary is not frozen
    put(own, "after")
    assert has(sentinels.primary, b"after")
    own.close()
