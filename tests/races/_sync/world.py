"""What a random run reads from and goes through: its sources, and ways to L2 that take a while."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from random import Random
from typing import Any

from freshwell import Cache, Saved
from freshwell._sync.stores.base import Acquired
from freshwell._kit.threads import sleep
from freshwell._kit.link_errors import TrackingRefused
from freshwell.testing import FaultProxy
from tests.races.loads import LoadJudge
from tests.races.past import Past
from tests.races.worlds import BOUND_S, World

__all__ = ["Batches", "Boom", "Rows", "breaks", "opened", "rest"]

_LATE = frozenset(
    (
        *("fetch", "fetch_beside", "fetch_many", "fill", "void"),
        *("capture", "announce", "settle", "release", "forget", "expire", "scan", "receive"),
    )
)
"""What may take a while on its way to L2, or back."""


Loading = Callable[[int], AbstractContextManager[None]]
"""Says that a cell is being loaded."""


def not_judged(cell: int) -> AbstractContextManager[None]:
    """Say nothing: somebody else has."""
    return nullcontext()


class Boom(Exception):
    """What the source raises now and then."""


def rest(random: Random) -> None:
    """Wait as long as a source may take: mostly not long."""
    if random.random() < 0.7:
        sleep(random.random() ** 4 * 0.03)


class Rows:
    """A source of single rows, which are the cells. `loading`: says that one is loaded."""

    def __init__(self, past: Past, random: Random, loading: Loading = not_judged) -> None:
        self._past = past
        self._random = random
        self._loading = loading

    def load(self, id: int, /) -> str:
        with self._loading(id):
            rest(self._random)
            version = self._past.now(id)
            if self._random.random() < 0.05:
                raise Boom
            rest(self._random)
            return f"{id}:{version}"

    def save(self, id: int, value: str, /) -> Any:
        rest(self._random)
        version, chance = self._past.commit(id), self._random.random()
        rest(self._random)
        if chance < 0.05:
            raise Boom
        if chance < 0.06:
            raise OSError("nobody knows what became of it")
        return Saved(f"{id}:{version}", version if chance < 0.7 else None)

    def delete(self, id: int, /) -> None:
        rest(self._random)
        self._past.commit(id)
        rest(self._random)


class Batches:
    """A source that is written in batches, which it refuses now and then."""

    def __init__(self, past: Past, random: Random, loading: Loading) -> None:
        self._past = past
        self._random = random
        self._loading = loading

    def load(self, id: int, /) -> str:
        with self._loading(id):
            value = self._past.stored.get(id, f"{id}:1")
            sleep(self._random.random() * 0.01)
            return value

    def save_many(self, batch: Mapping[int, str], /) -> None:
        sleep(self._random.random() * 0.01)
        if self._random.random() < 0.1:
            raise Boom
        self._past.stored.update(batch)


class _Late:
    """Lets what goes to L2 and comes from there take a while, by chance."""

    def __init__(self, random: Random, late_s: float, loads: LoadJudge, *, refused: bool) -> None:
        self._random = random
        self.loads = loads
        self._late_s = late_s
        self._refused = refused

    def around(self, where: str, part: Any) -> Any:
        return part if where == "journal" else _Way(self, part)

    def rest(self) -> None:
        if self._random.random() < 0.3:
            sleep(self._random.random() ** 3 * self._late_s)

    def connects(self) -> None:
        if self._refused:
            raise TrackingRefused("not here")


class _Way:
    """A store or a feed that takes a while. What it has, it has."""

    def __init__(self, late: _Late, part: Any) -> None:
        self._late = late
        self._part = part

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if name == "connect":
            return partial(self._connect, value)
        if name == "acquire":
            return partial(self._acquire, value)
        if name == "invalidate":
            return partial(self._invalidate, value)
        return partial(self._call, value) if name in _LATE else value

    def _connect(self, connect: Callable[[], None]) -> None:
        self._late.connects()
        connect()

    def _acquire(
        self, acquire: Callable[..., list[Acquired]], keys: Sequence[bytes], **terms: Any
    ) -> list[Acquired]:
        with self._late.loads.acquiring(keys, forced=terms["forced"]) as grants:
            answers: list[Acquired] = self._call(acquire, keys, **terms)
            grants.extend(answer.grant.value for answer in answers)
        return answers

    def _invalidate(
        self, call: Callable[..., None], keys: Sequence[bytes], *also: Any
    ) -> None:
        with self._late.loads.ending(keys):
            self._call(call, keys, *also)

    def _call(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._late.rest()
        answer = call(*args, **kwargs)
        self._late.rest()
        return answer


def breaks(ways: Sequence[FaultProxy], random: Random, until_s: float) -> None:
    """Break ways to L2 one after the other, and mend them."""
    while time.monotonic() < until_s:
        way = random.choice(ways)
        late, unheard = partial(way.delay, 0.03), partial(way.drop_replies, 1)
        faults: list[Callable[[], None]] = [way.cut, way.refuse, way.freeze, late, unheard]
        random.choice(faults)()
        sleep(random.uniform(0, 0.3))
        way.heal()
        sleep(random.uniform(0, 0.2))


def opened(
    world: World, past: Past, ways: Sequence[FaultProxy], number: int, seed: int
) -> Cache:
    """Return the cache of that number, which goes to L2 by its way."""
    options: dict[str, Any] = {
        "namespace": "anything",
        "max_staleness": BOUND_S,
        "ttl": 0.5,
        "version": world.versions[number],
        "command_timeout": 2,
    } | dict(world.options)
    cache = Cache(ways[number].url if ways else None, **options)
    random = Random(f"{seed}:late:{number}")
    late_s = random.choice([0, 0.004, 0.03])
    late = _Late(random, late_s, past.loads, refused=not world.tracked)
    cache._core.seams.wrapper = late.around
    return cache
