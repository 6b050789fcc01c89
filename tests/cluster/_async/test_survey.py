"""A survey is what all primaries confirm: one that sees it otherwise, or is silent, spoils it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from freshwell._async.stores.cluster import ClusterLink
from freshwell._async.stores.topology import Survey
from freshwell._kit.aio import sleep
from freshwell._kit.slots import slot_map_of
from freshwell.errors import StoreUnavailable
from tests.cluster._async.parts import KEYS, another, opened
from tests.support.aio import until
from tests.support.cluster import SLOTS, Cluster
from tests.support.servers import Server


def addresses(nodes: list[Server]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(("127.0.0.1", node.port) for node in nodes))


async def test_a_survey_names_every_primary_and_replica_and_who_owns_what(
    cluster_url: str, redis_cluster: Cluster
) -> None:
    async with opened(cluster_url) as link:
        survey = await link.survey()
        assert survey.primaries == addresses(redis_cluster.primaries)
        assert survey.replicas == addresses(redis_cluster.replicas)
        assert sum(last + 1 - first for first, last, _ in survey.owners) == SLOTS
        for first, _, (_, port) in survey.owners:
            assert redis_cluster.owner(first).port == port
        assert await link.survey() == survey
        assert hash(await link.survey()) == hash(survey)
        for address in (*survey.primaries, *survey.replicas):
            assert repr(link.endpoint(address)) == f"redis://127.0.0.1:{address[1]}/0"


@pytest.mark.slow
async def test_a_survey_sees_a_failover_although_nothing_was_asked_since(
    own_cluster: Cluster,
) -> None:
    async with opened(own_cluster.url) as link:
        before = await link.survey()
        own_cluster.failover(own_cluster.primary_of(KEYS[0]))
        after = await until_surveyed(link)
        assert after.primaries == addresses(own_cluster.primaries) != before.primaries
        assert after.owners != before.owners


@pytest.mark.slow
async def test_primaries_that_do_not_agree_spoil_it_until_they_do(own_cluster: Cluster) -> None:
    claimer, owner = own_cluster.nodes[0], own_cluster.nodes[2]
    slot = next(slot for slot in range(SLOTS) if own_cluster.owner(slot) is owner)
    async with opened(own_cluster.url) as link:
        before = await link.survey()
        errors = 0
        for _ in range(50):
            # The others have it right and will set it right: this lasts for a moment.
            claimer.ask("CLUSTER", "SETSLOT", slot, "NODE", claimer.ask("CLUSTER", "MYID"))
            try:
                await link.survey()
            except StoreUnavailable:
                errors += 1
            # Control: one node's own view, to which many clients trust, shows nothing of it.
            assert picture(owner) == before.owners
        assert errors > 0
        assert await until_surveyed(link) == before


@pytest.mark.slow
async def test_a_silent_primary_spoils_it_until_it_is_none_and_a_dead_replica_does_not(
    own_cluster: Cluster,
) -> None:
    first = own_cluster.primary_of(KEYS[0])
    second = another(own_cluster, first)
    async with opened(own_cluster.url, timeout_s=0.3) as link:
        before = await until_surveyed(link)
        own_cluster.replica_of(second).kill()
        assert (await until_surveyed(link)).owners == before.owners
        heir = own_cluster.replica_of(first)
        first.freeze()
        with pytest.raises(StoreUnavailable):
            await link.survey()
        after = await until_surveyed(link)
        assert ("127.0.0.1", heir.port) in after.primaries
        assert ("127.0.0.1", first.port) not in after.primaries
        first.thaw()
        await until(lambda: first in own_cluster.replicas, "it has learnt that it is none")
        assert (await until_surveyed(link)).owners == after.owners


@pytest.mark.slow
async def test_a_slot_that_moves_makes_another_survey(own_cluster: Cluster) -> None:
    async with opened(own_cluster.url) as link:
        before = await link.survey()
        slot, source = own_cluster.slot_of(b"k"), own_cluster.primary_of(b"k")
        own_cluster.migrate_slot(slot, another(own_cluster, source))
        after = await until_surveyed(link)
        assert after.primaries == before.primaries
        assert after.owners != before.owners


async def until_surveyed(link: ClusterLink) -> Survey:
    """Return the first survey that succeeds."""
    for _ in range(400):
        with suppress(StoreUnavailable):
            return await link.survey()
        await sleep(0.05)
    raise AssertionError("there is no survey")


def picture(node: Server) -> object:
    """Return who owns which slots, in the eyes of one node."""
    return slot_map_of(node.ask("CLUSTER", "SLOTS"), "127.0.0.1").owners
