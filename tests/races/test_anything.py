"""Callers who do anything at once are given nothing outdated, and load nothing twice at a time.

Where a rule is missing, they are, or do.

``make anything`` runs for as long as it is told, with other seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from freshwell._async.coordination.tags import Tags
from freshwell._async.stores import redis as _async
from freshwell._async.strategies.sharing import SharedLoads
from freshwell._kit.flight import Roster
from freshwell._kit.turns import Turn
from freshwell._sync.stores import redis as _sync
from freshwell.engines.drops import Drops
from tests.races.__main__ import COLOURS, episode
from tests.races.loads import LoadedTwice, ShedWithin
from tests.races.past import Outdated
from tests.races.worlds import WORLDS
from tests.support.servers import Server

_SECONDS = 0.3
_TRIES = 40


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("seed", [7, 8])
def test_whatever_callers_do_they_are_given_nothing_outdated_and_load_nothing_twice(
    redis_server: Server, seed: int, world: str, colour: str
) -> None:
    past = episode(world, colour, redis_server, seed, _SECONDS)
    assert past.acks > 0
    assert past.loads.loads > 0


Sabotage = Callable[[pytest.MonkeyPatch], None]


def no_flight_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Roster, "forget", lambda roster, keys: None)


def no_fill_is_overtaken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Drops, "overtook", lambda drops, since, key: False)


def any_flight_serves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedLoads, "_serves", lambda loads, *_: True)


def tags_stand(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tags, "stands", lambda tags, *_: True)


def no_flight_is_shared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Roster, "_under_way", lambda roster, key: None)


def every_lease_is_granted(patch: pytest.MonkeyPatch) -> None:
    for store in (_async.RedisStore, _sync.RedisStore):
        patch.setattr(store, "acquire", _taking(store.acquire))


def no_slot_is_lent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Turn, "lend", lambda turn: True)


def _taking(acquire: Callable[..., Any]) -> Callable[..., Any]:
    """Return what takes leases over from whoever holds them."""

    def taken(store: object, keys: Sequence[bytes], **terms: Any) -> Any:
        return acquire(store, keys, **(terms | {"forced": True}))

    return taken


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("sabotage", "world"),
    [
        (no_flight_is_shared, "in process"),
        (every_lease_is_granted, "shared, no L1"),
        (no_slot_is_lent, "in process, few loads"),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_where_loads_or_slots_are_not_shared_it_is_found(
    redis_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    sabotage: Sabotage,
    world: str,
    colour: str,
) -> None:
    sabotage(monkeypatch)
    for seed in range(_TRIES):
        try:
            episode(world, colour, redis_server, seed, _SECONDS)
        except (LoadedTwice, ShedWithin):
            return
    pytest.fail("nothing was loaded twice, or shed: the runs do not detect that")


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(
    ("sabotage", "world"),
    [
        (no_flight_is_forgotten, "in process"),
        (no_fill_is_overtaken, "in process"),
        (any_flight_serves, "in process"),
        (tags_stand, "shared, no L1"),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_where_a_rule_is_missing_it_is_found(
    redis_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    sabotage: Sabotage,
    world: str,
) -> None:
    sabotage(monkeypatch)
    for seed in range(_TRIES):
        try:
            episode(world, "tasks", redis_server, seed, _SECONDS)
        except Outdated:
            return
    pytest.fail("nobody was given anything outdated: the runs do not detect that")
