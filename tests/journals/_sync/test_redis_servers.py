"""A journal on several servers: replicas that confirm, Clusters, and what Sentinels watch over."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell._sync.stores.redis_journal import RedisJournal
from freshwell._sync.stores.waited import WaitedLink
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, ReplicasMissing
from freshwell.errors import JournalUnavailable, JournalUnfit
from freshwell.ground.records import Durability, Settled
from freshwell.testing import DOWN, FaultProxy
from tests.journals._sync.redis_parts import at_desk, draft, opened, stem
from tests.support.threads import all_of, start, until
from tests.support.cluster import Cluster
from tests.support.impostor import CUT, impostor
from tests.support.sentinels import Replicated, Sentinels
from tests.support.servers import Server

SHARDS = 6


def held(server: Server) -> int:
    count: int = server.ask("XLEN", f"{stem()}:records")
    return count


def flushed(journal: RedisJournal) -> list[str]:
    """Own all shards, settle all that is in them as stored, and return the names."""
    names: list[str] = []
    for shard in range(journal.shards):
        assert journal.own(shard)
        records = journal.take(shard, 0, 1_000)
        assert journal.settle(shard, Settled(stored=tuple(records))) == 0
        names += [record.name for record in records]
    return names


# -- replicas -------------------------------------------------------------------------------


def test_a_write_that_is_accepted_is_on_the_replica(replicated: Replicated) -> None:
    url = replicated.primary.url
    with opened(url, min_replicas=1, replica_wait_ms=10_000) as journal:
        assert journal.durability is Durability.REDIS_WAIT
        for n in range(1, 30):
            journal.accept([draft(str(n))])
            assert held(replicated.replica) == n
        assert journal.backlog().durability == "redis+wait"


def test_where_no_replica_confirms_it_says_that_the_primary_has_it(
    replicated: Replicated,
) -> None:
    with opened(replicated.primary.url, min_replicas=1, replica_wait_ms=50) as journal:
        journal.check()
        replicated.replica.freeze()
        with pytest.raises(JournalUnavailable, match="accepted by the primary, not") as caught:
            journal.accept([draft("a")])
        assert isinstance(caught.value.__cause__, ReplicasMissing)
        assert held(replicated.primary) == 1
        replicated.replica.thaw()


def test_where_there_are_no_replicas_nothing_is_confirmed(redis_url: str) -> None:
    with opened(redis_url, min_replicas=1, replica_wait_ms=10) as journal:
        with pytest.raises(JournalUnavailable, match="not confirmed by 1 replicas"):
            journal.accept([draft("a")])


def test_a_write_that_found_no_room_has_not_to_be_confirmed(redis_url: str) -> None:
    bounds = {"max_records": 0}
    with opened(redis_url, min_replicas=1, replica_wait_ms=10, bounds=bounds) as journal:
        assert journal.accept([draft("a")]) == [0]


def test_many_that_wait_for_replicas_are_each_accepted_once(replicated: Replicated) -> None:
    url = replicated.primary.url
    with opened(url, min_replicas=1, replica_wait_ms=10_000) as journal:
        all_of(*[partial(journal.accept, [draft(str(n))]) for n in range(40)])
        assert held(replicated.primary) == held(replicated.replica) == 40


def test_a_waited_write_whose_reply_is_lost_is_not_given_again(
    replicated: Replicated,
) -> None:
    with FaultProxy(replicated.primary.port) as between:
        with opened(between.url, min_replicas=1, replica_wait_ms=10_000) as journal:
            journal.accept([draft("a")])

            def accept() -> bool:
                try:
                    journal.accept([draft("b")])
                except JournalUnavailable:
                    return False
                return True

            between.freeze(DOWN)
            accepting = start(accept)
            until(lambda: held(replicated.primary) == 2, "it has arrived")
            between.cut()
            between.heal()
            assert not accepting.result()
            assert held(replicated.primary) == 2


@pytest.mark.parametrize("repeat", [True, False])
def test_what_waits_is_given_again_only_where_it_may_be(repeat: bool) -> None:
    with impostor(lambda command: CUT if command[0] == b"WAIT" else b"+OK\r\n") as server:
        own = WaitedLink(Link(Endpoint.of(server.url), command_timeout_s=5), patience_s=5)
        with pytest.raises(LinkLost):
            own.batch_waited([("SET", "k", "v")], 1, 10, repeat=repeat)
        assert sum(command[0] == b"SET" for command in server.commands) == (2 if repeat else 1)
        own.close()


# -- clusters -------------------------------------------------------------------------------


def test_in_a_cluster_shards_lie_on_several_nodes(
    cluster_url: str, redis_cluster: Cluster
) -> None:
    with opened(cluster_url, shards=SHARDS, together=True) as journal:
        assert not journal.together
        drafts = [draft(str(n)) for n in range(300)]
        sequences = journal.accept(drafts)
        assert len(set(sequences)) == 300
        holders = [node for node in redis_cluster.primaries if node.ask("KEYS", "*:records")]
        assert len(holders) > 1
        found = journal.latest([d.name for d in drafts])
        assert [record and record.sequence for record in found] == sequences
        with at_desk(cluster_url) as desk:
            assert [r.sequence for r in desk.pending(limit=999)] == sorted(sequences)
            assert desk.backlog().records == 300
        assert sorted(flushed(journal)) == sorted(d.name for d in drafts)
        assert journal.backlog().records == 0


def test_letters_of_a_cluster_are_shown_tried_again_and_dropped(cluster_url: str) -> None:
    with (
        opened(cluster_url, shards=SHARDS) as journal,
        at_desk(cluster_url) as desk,
    ):
        sequences = sorted(journal.accept([draft(str(n)) for n in range(20)]))
        for shard in range(SHARDS):
            assert journal.own(shard)
            records = journal.take(shard, 0, 99)
            journal.settle(shard, Settled(dead=tuple((r, "no") for r in records)))
        assert [letter.record.sequence for letter in desk.dead()] == sequences
        assert desk.retry(sequences[0])
        assert desk.drop(sequences[1])
        assert [letter.record.sequence for letter in desk.dead()] == sequences[2:]
        assert journal.backlog().records == 1


@pytest.mark.slow
def test_every_primary_of_a_cluster_is_asked_what_it_is_fit_for(
    own_cluster: Cluster,
) -> None:
    for node in own_cluster.up:
        node.ask("CONFIG", "SET", "appendonly", "yes")
    with opened(own_cluster.url, shards=SHARDS, assume_durable=False) as journal:
        journal.accept([draft("a")])
    own_cluster.primaries[-1].ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with opened(own_cluster.url, shards=SHARDS) as journal:
        with pytest.raises(JournalUnfit, match="allkeys-lru"):
            journal.accept([draft("a")])


def test_in_a_cluster_replicas_confirm_too(cluster_url: str) -> None:
    settings: dict[str, Any] = {"min_replicas": 1, "replica_wait_ms": 10_000}
    with opened(cluster_url, shards=SHARDS, **settings) as journal:
        journal.accept([draft(str(n)) for n in range(50)])
        assert journal.backlog().records == 50


# -- sentinels ------------------------------------------------------------------------------


@pytest.mark.slow
def test_under_sentinels_the_journal_follows_the_primary(sentinels: Sentinels) -> None:
    settings: dict[str, Any] = {"min_replicas": 2, "replica_wait_ms": 10_000}
    with opened(sentinels.url, shards=2, **settings) as journal:
        first = journal.accept([draft(str(n)) for n in range(20)])
        for shard in range(2):
            assert journal.own(shard)
        sentinels.failover()
        sentinels.settle()
        accepted: list[int] = []
        while not accepted:
            journal._owners._due_ns = 0  # a second later
            try:
                journal.own(0)
                accepted = journal.accept([draft("new")])
            except JournalUnavailable:
                continue
        assert sentinels.primary.ask("XLEN", f"{stem(0)}:records") > 0
        assert len(first) == 20
        assert journal.backlog().records == 21
