"""Invalidations that wait until replicas have them: WAIT, over a link of its own."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell._sync.stores.base import Grant
from freshwell._sync.stores.redis import RedisStore
from freshwell._sync.stores.sentinel import SentinelLink
from freshwell._sync.stores.waited import WaitedLink
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, ReplicasMissing, ServerReplied
from freshwell._kit.places import SentinelPlace, place_of
from freshwell.engines.tokens import Tokens
from freshwell.errors import StoreUnavailable
from tests.support.threads import all_of, start, until
from tests.support.impostor import CUT, SILENCE, impostor
from tests.support.sentinels import Replicated, Sentinels
from tests.support.servers import Server

KEY = b"fw:e:default:a"


def waited(url: str, wait_ms: int = 100) -> WaitedLink:
    limit_s = 5 + wait_ms / 1_000
    return WaitedLink(Link(Endpoint.of(url), command_timeout_s=limit_s), patience_s=3 * limit_s)


def opened(url: str, wait_ms: int = 100, replicas: int = 1) -> RedisStore:
    return RedisStore(
        Link(Endpoint.of(url), command_timeout_s=5),
        lease_ms=60_000,
        new_token=Tokens(8),
        min_replicas=replicas,
        replica_wait_ms=wait_ms,
        sure_link=waited(url, wait_ms),
    )


def waits(server: Server) -> bool:
    """Tell whether a client of the server is held up by its WAIT."""
    return server.info("clients")["blocked_clients"] != "0"


def leased(store: RedisStore, server: Server, key: bytes = KEY) -> bytes:
    """Take the lease on a key, and return what stands there then: invalidations end it."""
    assert store.acquire([key])[0].grant is Grant.GRANTED
    frame: bytes = server.ask("GET", key)
    return frame


def test_an_invalidation_that_returns_has_reached_the_replica(
    replicated: Replicated,
) -> None:
    store = opened(replicated.primary.url, 10_000)
    for number in range(50):
        key = b"%b:%d" % (KEY, number)
        before = leased(store, replicated.primary, key)
        store.invalidate([key])
        assert replicated.replica.ask("GET", key) != before
    store.close()


def test_an_expiry_that_returns_has_reached_the_replica(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, 10_000)
    before = leased(store, replicated.primary)
    store.expire([KEY])
    assert replicated.replica.ask("GET", KEY) != before
    store.close()


def test_where_no_replica_confirms_the_primary_has_applied_it_and_it_raises(
    replicated: Replicated,
) -> None:
    store = opened(replicated.primary.url)
    lease = store.acquire([KEY])[0]
    replicated.replica.freeze()
    with pytest.raises(ReplicasMissing, match="0 of 1 replicas confirmed within 100 ms") as caught:
        store.invalidate([KEY])
    assert (caught.value.confirmed, caught.value.wanted) == (0, 1)
    assert store.beat([(KEY, lease.token)]) == [False]
    with pytest.raises(ReplicasMissing):
        store.expire([KEY])
    store.close()


def test_more_replicas_than_there_are_cannot_confirm(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, replicas=2)
    with pytest.raises(ReplicasMissing, match="1 of 2 replicas"):
        store.invalidate([KEY])
    store.close()


def test_who_reads_and_fills_is_not_held_up_by_who_waits(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, 60_000)
    store.fetch(KEY)
    replicated.replica.freeze()
    waiting = start(partial(store.invalidate, [KEY]))
    until(lambda: waits(replicated.primary), "it waits")
    store.fetch(KEY)
    assert len(store.acquire([b"fw:e:default:b"])) == 1
    assert not waiting.done
    replicated.replica.thaw()
    waiting.result()
    store.close()


def test_many_that_wait_at_once_wait_together(replicated: Replicated) -> None:
    store = opened(replicated.primary.url)
    keys = [b"%b:%d" % (KEY, number) for number in range(60)]
    leases = [
        (key, lease.token) for key, lease in zip(keys, store.acquire(keys), strict=True)
    ]
    replicated.replica.freeze()

    def invalidate(key: bytes) -> str:
        try:
            store.invalidate([key])
        except ReplicasMissing:
            return "missing"
        return "confirmed"

    assert set(all_of(*[partial(invalidate, key) for key in keys])) == {"missing"}
    assert not any(store.beat(leases))
    store.close()


def test_a_script_that_the_primary_lacks_is_waited_for_once(replicated: Replicated) -> None:
    store = opened(replicated.primary.url, 60_000)
    lease = store.acquire([KEY])[0]
    replicated.primary.ask("SCRIPT", "FLUSH", "SYNC")
    replicated.replica.freeze()
    waiting = start(partial(store.invalidate, [KEY]))
    until(lambda: waits(replicated.primary), "it waits")
    assert store.beat([(KEY, lease.token)]) == [False]
    assert not waiting.done
    replicated.replica.thaw()
    waiting.result()
    store.close()


def test_each_gets_the_replies_to_its_own_writes(replicated: Replicated) -> None:
    own = waited(replicated.primary.url, 10_000)

    def write(number: int) -> object:
        commands = [("SET", f"k:{number}", "v"), ("APPEND", f"k:{number}", "x" * number)]
        return own.batch_waited(commands, 1, 10_000)

    answers = all_of(*[partial(write, number) for number in range(40)])
    assert answers == [([b"OK", 1 + number], 1) for number in range(40)]
    own.close()


def test_errors_stand_in_their_place(replicated: Replicated) -> None:
    own = waited(replicated.primary.url)
    replies, confirmed = own.batch_waited([("SET", "k", "v"), ("LPUSH", "k", "x")], 0, 1)
    assert replies[0] == b"OK"
    assert isinstance(replies[1], ServerReplied)
    assert confirmed >= 0
    own.close()


def test_a_replica_that_is_asked_to_write_says_so(replicated: Replicated) -> None:
    own = waited(replicated.replica.url)
    with pytest.raises(ServerReplied, match="READONLY"):
        own.batch_waited([("SET", "k", "v")], 1, 10)
    own.close()


def test_a_server_that_is_lost_is_told_to_all_who_wait() -> None:
    with impostor(lambda command: CUT if command[0] == b"WAIT" else b"+OK\r\n") as server:
        own = waited(server.url)
        with pytest.raises(LinkLost):
            own.batch_waited([("SET", "k", "v")], 1, 10)
        own.close()
        with pytest.raises(LinkLost, match="closed"):
            own.batch_waited([("SET", "k", "v")], 1, 10)


def test_a_server_that_is_silent_is_given_up_on_and_those_behind_too() -> None:
    with impostor(lambda command: SILENCE) as server:
        silent = Link(Endpoint.of(server.url), command_timeout_s=0.2)
        own = WaitedLink(silent, patience_s=2)
        errors = all_of(*[partial(failure, own)] * 20)
        assert None not in errors
        own.close()


def failure(own: WaitedLink) -> StoreUnavailable | None:
    try:
        own.batch_waited([("SET", "k", "v")], 1, 10)
    except StoreUnavailable as error:
        return error
    return None


@pytest.mark.slow
def test_under_sentinels_it_waits_for_the_replicas_of_whoever_is_primary(
    sentinels: Sentinels,
) -> None:
    place = place_of(sentinels.url)
    assert isinstance(place, SentinelPlace)
    own = SentinelLink(place, command_timeout_s=5, replica_wait_ms=10_000)
    store = RedisStore(
        own,
        lease_ms=5_000,
        new_token=lambda: b"token001",
        min_replicas=2,
        replica_wait_ms=10_000,
        sure_link=own,
    )
    for _ in range(2):
        before = leased(store, sentinels.primary)
        store.invalidate([KEY])
        assert before not in [server.ask("GET", KEY) for server in sentinels.servers]
        old, _ = sentinels.failover()
        sentinels.settle()
        assert old.ask("ROLE")[0] == b"slave"
        own.survey()
    store.close()
