"""A flusher that was thought dead, and two processes that write one row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.behind._sync.parts import behind, opened
from tests.faults.behind._sync.source import Table
from tests.faults.behind.director import make_tables
from tests.faults.behind.judge import disordered, kept_in, logged_in
from tests.faults.behind.orders import Orders
from tests.support.plugin import MakeServer
from tests.support.postgres import Postgres
from tests.support.processes import workers
from tests.support.threads import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

_PARTS = "tests.faults.behind.{}.parts:{}"
_ROUNDS = 150


@pytest.fixture
def orders(
    make_redis: MakeServer, postgres_url: str, postgres_server: Postgres, tmp_path: Path
) -> Orders:
    """Give an empty source, and a journal in a Redis with a file."""
    make_tables(postgres_server)
    server = make_redis(aof=True)
    return Orders(url=server.url, source=postgres_url, folder=str(tmp_path), lease_s=1.0, shards=1)


def revived(orders: Orders, source: Postgres, colour: str) -> tuple[str, bool]:
    """Freeze a flusher that has a batch in hand until another has stored a later write.

    Return what the source has when the frozen one has gone on, and whether it went back.
    """
    told = [{"orders": orders.told()}]
    with opened(orders) as cache, behind(cache, Table(orders.source), orders) as rows:
        rows.put(1, "old")
        with workers(_PARTS.format(colour, "holder"), told) as (frozen,):
            assert frozen.hear() == "holding"
            frozen.freeze()
            rows.put(1, "new")
            with workers(_PARTS.format(colour, "holder"), told) as (heir,):
                assert heir.hear() == "holding"
                heir.go()
                assert heir.hear() == "committed"
                rows.flush()
                assert kept_in(source)[1].value == "new"
                frozen.thaw()
                frozen.go()
                assert frozen.hear() == "committed"
                until(lambda: rows.backlog().records == 0)
    logged = logged_in(source)
    assert [logged[0].value, logged[-1].value] == ["new", "old"]
    return kept_in(source)[1].value, disordered(logged) > 0


@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_a_flusher_that_was_thought_dead_does_not_overwrite_what_is_newer(
    orders: Orders, postgres_server: Postgres, colour: str
) -> None:
    assert revived(orders, postgres_server, colour) == ("new", False)


def test_without_a_fence_in_the_source_it_does(orders: Orders, postgres_server: Postgres) -> None:
    """The control. What the source does has no colour: one is enough."""
    unfenced = replace(orders, fenced=False)
    assert revived(unfenced, postgres_server, "_sync") == ("old", True)


@pytest.mark.race
def test_of_two_processes_that_write_one_row_the_last_accepted_is_seen_and_stored(
    orders: Orders, postgres_server: Postgres
) -> None:
    told = {"orders": orders.told(), "rounds": _ROUNDS}
    with (
        workers(_PARTS.format("_async", "rival"), [told | {"name": "a"}]) as (one,),
        workers(_PARTS.format("_sync", "rival"), [told | {"name": "b"}]) as (other,),
    ):
        for rival in (one, other):
            rival.wait_ready()
        for rival in (one, other):
            rival.go()
        acks = sorted([*one.hear(), *other.hear()])
        assert len({sequence for sequence, _ in acks}) == 2 * _ROUNDS
        names = [value[0] for _, value in acks]
        assert names not in (sorted(names), sorted(names, reverse=True)), "no race"
        sequence, value = acks[-1]
        for rival in (one, other):
            rival.say(value)
        for rival in (one, other):
            assert rival.result() == {"at once": value, "soon": value}
    assert kept_in(postgres_server)[0] == (value, sequence)
    assert disordered(logged_in(postgres_server)) == 0
