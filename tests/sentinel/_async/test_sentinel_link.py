"""A link to whoever is the primary: failovers, crashes, and Sentinels that are silent or lie."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from freshwell._async.stores.base import Fill, Grant
from freshwell._async.stores.redis import RedisStore
from freshwell._async.stores.sentinel import SentinelLink
from freshwell._async.stores.topology import Topology
from freshwell._kit.aio import sleep
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, ServerReplied
from freshwell._kit.places import SentinelPlace, place_of
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import State, encode
from freshwell.ground.keys import digest8
from tests.support.aio import all_of, start, until
from tests.support.impostor import SILENCE, Impostor, impostor
from tests.support.resp import ServerError
from tests.support.sentinels import Sentinels
from tests.support.servers import Server

KEY = b"fw:e:default:a"


def place(url: str) -> SentinelPlace:
    found = place_of(url)
    assert isinstance(found, SentinelPlace)
    return found


def link(url: str, timeout_s: float = 5.0) -> SentinelLink:
    return SentinelLink(place(url), connect_timeout_s=timeout_s, command_timeout_s=timeout_s)


def opened(own: SentinelLink) -> RedisStore:
    numbers = itertools.count(1)
    return RedisStore(own, lease_ms=5_000, new_token=lambda: b"token%03d" % next(numbers))


def value(token: bytes, text: bytes = b"1") -> Fill:
    frame = encode(state=State.VALUE, codec=1, digest=digest8(KEY), payload=text, token=token)
    return Fill(KEY, token, frame, 60_000, 60_000)


async def put(own: SentinelLink | Link, text: str) -> None:
    """Write, once only. Raises the error that the reply is."""
    reply = (await own.batch([("SET", "k", text)]))[0]
    if isinstance(reply, ServerReplied):
        raise reply


def has(server: Server, text: bytes) -> bool:
    try:
        return bool(server.ask("GET", "k") == text)
    except (OSError, ServerError):
        return False


# -- in peace --------------------------------------------------------------------------------


async def test_a_store_works_over_it(sentinel_url: str) -> None:
    own = link(sentinel_url)
    store = opened(own)
    lease = (await store.acquire([KEY]))[0]
    assert lease.grant is Grant.GRANTED
    assert await store.fill([value(lease.token)]) == [True]
    assert (await store.fetch_many([KEY, b"none"]))[1] is None
    assert await store.fetch(KEY) is not None
    await store.expire([KEY])
    await store.invalidate([KEY])
    assert (await store.acquire([KEY]))[0].grant is Grant.GRANTED
    await store.aclose()


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


# -- Sentinels that do not help --------------------------------------------------------------


async def test_one_frozen_sentinel_does_not_stop_it(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 0.3)
    before = await own.survey()
    sentinels.sentinels[0].freeze()
    assert await own.survey() == before
    await put(own, "v")
    fresh = link(sentinels.url, 0.3)
    assert await fresh.get(b"k") == b"v"
    await own.aclose()
    await fresh.aclose()


async def test_two_frozen_sentinels_leave_no_majority_and_the_primary_stays_in_use(
    sentinels: Sentinels,
) -> None:
    own, fresh = link(sentinels.url, 0.2), link(sentinels.url, 0.2)
    await put(own, "v")
    sentinels.sentinels[0].freeze()
    sentinels.sentinels[2].freeze()
    with pytest.raises(StoreUnavailable, match="too few sentinels"):
        await own.survey()
    assert await own.get(b"k") == b"v"
    with pytest.raises(StoreUnavailable):
        await fresh.get(b"k")
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        await fresh.get(b"k")
    await own.aclose()
    await fresh.aclose()


async def test_sentinels_that_do_not_know_the_service_are_as_good_as_silent(
    sentinels: Sentinels,
) -> None:
    own = link(sentinels.url.replace("/mymaster/", "/unknown/"))
    with pytest.raises(StoreUnavailable, match="know the service"):
        await own.get(b"k")
    await own.aclose()


def sentinel_saying(stack: ExitStack, epoch: int, port: int) -> Impostor:
    """Start a Sentinel that names a server of this machine as primary, since an epoch."""
    facts = [b"name", b"mymaster", b"config-epoch", b"%d" % epoch]

    def answer(command: list[bytes]) -> bytes | None:
        if command[0] != b"SENTINEL":
            return SILENCE
        words = [b"127.0.0.1", b"%d" % port] if command[1].startswith(b"GET") else facts
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)

    return stack.enter_context(impostor(answer))


def service_of(*sentinels: Impostor, secrets: str = "") -> str:
    hosts = [one.url.removeprefix("redis://").removesuffix("/0") for one in sentinels]
    return f"redis+sentinel://{secrets}{','.join(hosts)}/mymaster/0"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_many_callers_at_once_ask_the_sentinels_once(
    redis_server: Server, stack: ExitStack
) -> None:
    one, other = (sentinel_saying(stack, 1, redis_server.port) for _ in range(2))
    own = link(service_of(one, other))
    await all_of(*[partial(own.get, b"k")] * 30)
    assert (len(one.commands), len(other.commands)) == (2, 2)
    await own.survey()
    assert (len(one.commands), len(other.commands)) == (4, 4)
    await own.aclose()


async def test_one_lying_sentinel_does_not_stop_it(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    primary, replica = make_redis(), make_redis()
    replica.ask("REPLICAOF", "127.0.0.1", primary.port)
    for lie in (replica.port, 1):
        url = service_of(
            sentinel_saying(stack, 999, lie),
            sentinel_saying(stack, 1, primary.port),
            sentinel_saying(stack, 1, primary.port),
        )
        own = link(url)
        await put(own, "v")
        assert (await own.survey()).primaries == (("127.0.0.1", primary.port),)
        await own.aclose()


async def test_the_latest_word_counts_even_where_one_sentinel_alone_has_heard_it(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    old, new = make_redis(), make_redis()
    url = service_of(
        sentinel_saying(stack, 1, old.port),
        sentinel_saying(stack, 1, old.port),
        sentinel_saying(stack, 2, new.port),
    )
    own = link(url)
    survey = await own.survey()
    assert (survey.primaries, survey.owners) == ((("127.0.0.1", new.port),), 2)
    await own.aclose()


async def test_a_primary_that_was_found_is_not_left_for_one_before_it(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    old, new = make_redis(), make_redis()
    last = sentinel_saying(stack, 2, new.port)
    url = service_of(last, sentinel_saying(stack, 1, old.port), sentinel_saying(stack, 1, old.port))
    own = link(url)
    survey = await own.survey()
    last.close()
    assert await own.survey() == survey
    new.ask("REPLICAOF", "127.0.0.1", old.port)
    assert (await own.survey()).primaries == (("127.0.0.1", old.port),)
    await own.aclose()


async def test_a_primary_that_was_deposed_is_left_even_where_its_successor_is_away(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    old, new = make_redis(), make_redis()
    epoch_and_port = [1, old.port]

    def answer(command: list[bytes]) -> bytes | None:
        epoch, port = epoch_and_port
        if command[1].startswith(b"GET"):
            return b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port)
        return b"*2\r\n$12\r\nconfig-epoch\r\n$1\r\n%d\r\n" % epoch

    own = link(service_of(stack.enter_context(impostor(answer))))
    await put(own, "v")
    epoch_and_port[:] = [2, new.port]
    new.kill()
    with pytest.raises(LinkLost, match="nobody whom the sentinels"):
        await own.survey()
    await sleep(0.15)
    with pytest.raises(StoreUnavailable):
        await own.get(b"k")
    new.start()
    await own.survey()
    await put(own, "w")
    assert has(new, b"w")
    await own.aclose()


async def test_errors_tell_no_secrets(stack: ExitStack) -> None:
    one = sentinel_saying(stack, 1, 1)
    own = link(service_of(one, secrets="me:hunter2@"))
    with pytest.raises(LinkLost) as caught:
        await own.get(b"k")
    assert "hunter2" not in str(caught.value)
    one.close()
    with pytest.raises(LinkLost) as caught:
        await own.survey()
    assert "hunter2" not in str(caught.value)
    await own.aclose()


async def test_a_user_who_may_not_ask_for_the_role_is_served(
    own_redis: Server, stack: ExitStack
) -> None:
    own_redis.ask("ACL", "SETUSER", "me", "on", ">pw", "~*", "+@all", "-role")
    own = link(service_of(sentinel_saying(stack, 1, own_redis.port), secrets="me:pw@"))
    await put(own, "v")
    assert has(own_redis, b"v")
    await own.aclose()
