"""Callers who do anything at once are given nothing outdated; where a rule is missing, they are.

``make anything`` runs for as long as it is told, with other seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from freshwell._async.coordination.tags import Tags
from freshwell._async.strategies.sharing import SharedLoads
from freshwell._kit.flight import Roster
from freshwell.engines.drops import Drops
from tests.races.__main__ import COLOURS, episode
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
def test_whatever_callers_do_they_are_given_nothing_outdated(
    redis_server: Server, seed: int, world: str, colour: str
) -> None:
    past = episode(world, colour, redis_server, seed, _SECONDS)
    assert past.acks > 0


Sabotage = Callable[[pytest.MonkeyPatch], None]


def no_flight_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Roster, "forget", lambda roster, keys: None)


def no_fill_is_overtaken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Drops, "overtook", lambda drops, since, key: False)


def any_flight_serves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedLoads, "_serves", lambda loads, *_: True)


def tags_stand(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tags, "stands", lambda tags, *_: True)


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
