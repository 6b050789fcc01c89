"""Anything that a cache can do, done by chance, and judged: see `races.past`."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from random import Random
from typing import Any, TypeVar

from freshwell import (
    Cache,
    InvalidationError,
    JournalUnavailable,
    LoadShed,
    LoadTimeout,
    StoreUnavailable,
    added_tags,
    loading,
)
from freshwell.typing import ReadLevelName
from tests.races._sync.world import Batches, Boom, Loading, Rows, rest
from tests.races.loads import ShedWithin, call_begins
from tests.races.past import EVENTUAL, FRESH, SOURCE, Ask, Past
from tests.races.worlds import World
from tests.support.threads import unless_late

__all__ = ["Site"]

S = TypeVar("S")

_PLAIN_KINDS = "ptfamdewxq"


class Site:
    """One cache, and how its callers use it. `number`: which one, of those of a run."""

    def __init__(self, world: World, past: Past, number: int, cache: Cache) -> None:
        self.past = past
        self._world = world
        self._number = number
        self._cache = cache
        self._chance = Random(number)
        self._spaces = [cache.namespace(f"n{cell}") for cell in past.cells]
        self._rows = cache.write_through(self._source(Rows, "w"), key="w:{}", tags=["g:{}"])
        self._read_rows = cache.read_through(self._source(Rows, "r").load, key="r:{}")
        self._decorated = cache.cached("d:{cell}", tags=["g:{cell}"])(self._load)
        self._teamed = cache.cached("e:{cell}", tags=["h:{team}:{cell}"], ignore="team")(
            self._load_for
        )
        self._behind = cache.write_behind(
            self._source(Batches, "b"),
            key="b:{}",
            tags=["g:{}"],
            journal="redis" if world.shared else "memory",
            retry_after=0.01,
            flush_every=0.02,
            assume_durable=True,
            shards=2,
        )
        self._ways: list[tuple[int, Callable[[int, Random], None]]] = [
            (12, self._read_one),
            (3, self._read_many),
            (3, self._get),
            (2, self._get_many),
            (4, self._call_decorated),
            (4, self._call_teamed),
            (3, self._read_row),
            (2, self._load_anew),
            (2, self._void_keys),
            (2, self._void_tag),
            (1, self._clear),
            (1, self._void_pattern),
            (1, self._expire),
            (2, self._write_announced),
            (2, self._put_row),
            (2, self._read_behind),
            *([] if world.breaks else [(1, self._put_behind)]),
        ]

    def close(self) -> None:
        self._cache.close()

    def do_anything(self, random: Random) -> None:
        """Do one thing, by chance."""
        (_, way), *_ = random.choices(self._ways, [weight for weight, _ in self._ways])
        cell = random.choice(self.past.cells)
        call_begins()
        try:
            if random.random() < 0.15 and way != self._put_behind:
                unless_late(partial(way, cell, random), random.uniform(0, 0.02))
            else:
                way(cell, random)
        except (Boom, LoadTimeout, LoadShed, JournalUnavailable):
            pass
        except OSError as error:
            if "nobody knows" not in str(error):
                raise

    def settle(self) -> None:
        """See what is left when nobody does anything any more."""
        if not self._world.breaks:
            self._behind.flush()
            for cell, version in self.past.accepted.items():
                assert self.past.stored[cell] == f"{cell}:{version}", "an accepted write is lost"
        for cell in self.past.cells:
            for kind in _PLAIN_KINDS:
                ask = self._ask(cell, [f"{kind}:{cell}"], FRESH, "at the end")
                self._judge(ask, self._cache.get(f"{kind}:{cell}", read=FRESH))

    # -- the source --------------------------------------------------------------------------

    def _source(self, source: Callable[[Past, Random, Loading], S], kind: str) -> S:
        """Return a source of entries of a kind."""

        def loading(cell: int) -> AbstractContextManager[None]:
            return self.past.loads.loading(self._number, f"{kind}:{cell}")

        return source(self.past, Random(self._number), loading)

    def load(self, cell: int, random: Random, *keys: str) -> str:
        """Ask the source, for entries of these keys."""
        with self.past.loads.loading(self._number, *keys):
            return Rows(self.past, random).load(cell)

    def _load(self, cell: int) -> str:
        return self.load(cell, self._chance, f"d:{cell}")

    def _load_for(self, cell: int, team: str) -> str:
        return self.load(cell, self._chance, f"e:{cell}")

    def _load_and_tell(self, cell: int, random: Random, key: str, *, tags: bool) -> str:
        """Ask the source, and say something of the entry."""
        value = self.load(cell, random, key)
        said = loading()
        if tags:
            said.add_tags(f"g:{cell}")
        if random.random() < 0.1:
            said.do_not_store()
        if random.random() < 0.2:
            said.set(ttl=random.choice([0.02, 5]))
        return value

    def _load_by_another(self, cell: int, random: Random) -> str:
        """Ask the source when another entry has been asked for: loads that wait for loads."""
        key = f"p:{cell}"
        try:
            self._cache.get_or_load(key, partial(self.load, cell, random, key))
        except LoadShed as shed:
            raise ShedWithin(key) from shed
        return self.load(cell, random, f"q:{cell}")

    # -- reading -----------------------------------------------------------------------------

    def _ask(self, cell: int, names: Sequence[str], level: ReadLevelName, how: str) -> Ask:
        return self.past.ask(cell, self._number, names, level, how)

    def _judge(self, ask: Ask, value: str | None) -> None:
        if value is not None:
            self.past.judge(ask, value)

    def _terms(self, random: Random) -> tuple[ReadLevelName, dict[str, Any]]:
        """Return a read level, and how long things may take and live."""
        (level,) = random.choices([EVENTUAL, FRESH, SOURCE], [6, 2, 1])
        terms: dict[str, Any] = {"read": level, "ttl": random.choice([0.02, 0.1, 0.5])}
        if random.random() < 0.3:
            terms["stale_ttl"] = 5
            terms["stale_serve"] = random.choice(["refresh", "error"])
            terms["stale_throttle"] = random.choice([0.01, 0.1])
            if random.random() < 0.4:
                terms["load_soft_timeout"] = 0.005
        if random.random() < 0.2:
            terms["load_timeout"] = random.choice([0.01, 0.03])
        if random.random() < 0.2:
            terms["beta"] = 20.0
        return level, terms

    def _names(self, terms: Mapping[str, Any], key: str, *more: str) -> list[str]:
        """Return by which names an entry ends for a caller.

        Where it takes none that is stale, it ends by being expired, too.
        """
        return [key, *more] if "stale_ttl" in terms else [key, f"expired {key}", *more]

    def _read_one(self, cell: int, random: Random) -> None:
        level, terms = self._terms(random)
        kind = random.choice("ptfamsxq")
        key, tags, names = f"{kind}:{cell}", list[Any](), list[str]()
        load: Callable[[], str] = partial(self.load, cell, random, key)
        tell = partial(self._load_and_tell, cell, random, key)
        if kind == "p":
            load = partial(tell, tags=False)
        elif kind == "t":
            tags = names = [f"g:{cell}"]
        elif kind == "f":
            tags, names = [_tag_of], [f"g:{cell}"]
        elif kind == "a":
            tags, names, load = [added_tags], [f"g:{cell}"], partial(tell, tags=True)
        elif kind == "m":
            tags = names = random.sample([f"g:{cell}", f"h:{cell}"], random.randrange(3))
        elif kind == "q":
            load = partial(self._load_by_another, cell, random)
        read = self._cache.get_or_load
        if kind == "s":
            read, names = self._spaces[cell].get_or_load, [f"n{cell}"]
        ask = self._ask(cell, self._names(terms, key, *names), level, f"{terms}")
        self._judge(ask, read(key, load, tags=tags, **terms))

    def _read_many(self, cell: int, random: Random) -> None:
        level, terms = self._terms(random)

        def load(missing: list[str]) -> dict[str, str]:
            return dict.fromkeys(missing, self.load(cell, random, *missing))

        keys = [f"m:{cell}", f"t:{cell}", f"{'px'[cell % 2]}:{cell}"]
        tags = [f"g:{cell}"] if random.random() < 0.8 else []
        asks = [self._ask(cell, self._names(terms, k, *tags), level, f"many {terms}") for k in keys]
        found = self._cache.get_or_load_many(keys, load, tags=tags, **terms)
        for ask, key in zip(asks, keys, strict=True):
            self._judge(ask, found[key])

    def _get(self, cell: int, random: Random) -> None:
        level: ReadLevelName = random.choice([EVENTUAL, FRESH])
        key = f"{random.choice(_PLAIN_KINDS)}:{cell}"
        ask = self._ask(cell, [key, f"expired {key}"], level, "get")
        self._judge(ask, self._cache.get(key, read=level))

    def _get_many(self, cell: int, random: Random) -> None:
        level: ReadLevelName = random.choice([EVENTUAL, FRESH])
        keys = [f"{kind}:{cell}" for kind in _PLAIN_KINDS]
        asks = {key: self._ask(cell, [key, f"expired {key}"], level, "get many") for key in keys}
        for key, value in self._cache.get_many(keys, read=level).items():
            self._judge(asks[key], value)

    def _call_decorated(self, cell: int, random: Random) -> None:
        names = [f"d:{cell}", f"g:{cell}", f"expired d:{cell}"]
        ask = self._ask(cell, names, EVENTUAL, "decorated")
        if random.random() < 0.2:
            self._judge(ask, self._decorated.many([cell])[0])
        else:
            self._judge(ask, self._decorated(cell))

    def _call_teamed(self, cell: int, random: Random) -> None:
        team = random.choice("ab")
        names = [f"e:{cell}", f"h:{team}:{cell}", f"expired e:{cell}"]
        ask = self._ask(cell, names, EVENTUAL, f"for team {team}")
        self._judge(ask, self._teamed(cell, team))

    def _read_row(self, cell: int, random: Random) -> None:
        if random.random() < 0.5:
            names = [f"w:{cell}", f"g:{cell}", f"expired w:{cell}"]
            ask = self._ask(cell, names, EVENTUAL, "row")
            self._judge(ask, self._rows.get(cell))
        else:
            ask = self._ask(cell, [f"r:{cell}", f"expired r:{cell}"], EVENTUAL, "read row")
            self._judge(ask, self._read_rows.get(cell))

    def _load_anew(self, cell: int, random: Random) -> None:
        if random.random() < 0.5:
            ask = self._ask(cell, [], SOURCE, "refresh")
            self._judge(ask, self._decorated.refresh(cell))
        else:
            ask = self._ask(cell, [], SOURCE, "refresh of a row")
            self._judge(ask, self._rows.refresh(cell))

    # -- changing ----------------------------------------------------------------------------

    def _void(
        self,
        cell: int,
        names: Sequence[str],
        call: Callable[[], Any],
        how: str,
        *,
        commits: bool = True,
    ) -> None:
        """Change the source, void what was made of it before, and note that once it is acked."""
        version = self.past.commit(cell) if commits else self.past.now(cell)
        spooled = self._spooled()
        try:
            with self.past.loads.voiding(self._number, names):
                call()
        except StoreUnavailable:
            return
        seen = spooled == self._spooled() == (spooled[0], 0)
        self.past.acknowledged(names, {cell: version}, self._number, how, seen=seen)

    def _spooled(self) -> tuple[int, int]:
        stats = self._cache.stats()
        return stats.spooled, stats.spool_records

    def _void_keys(self, cell: int, random: Random) -> None:
        kinds = random.sample("ptfamderwx", random.randrange(1, 4))
        keys = [f"{kind}:{cell}" for kind in kinds]
        way = random.random()
        if way < 0.1:
            self._void(cell, [f"d:{cell}"], partial(self._decorated.invalidate, cell), "own")
        elif way < 0.2:
            self._void(cell, [f"r:{cell}"], partial(self._read_rows.invalidate, cell), "own")
        elif way < 0.3:
            key = f"s:{cell}"
            call = partial(self._spaces[cell].invalidate, key)
            self._void(cell, [key], call, "key in a namespace")
        else:
            self._void(cell, keys, partial(self._cache.invalidate, *keys), "keys")

    def _void_tag(self, cell: int, random: Random) -> None:
        tags = random.sample(
            [f"g:{cell}", f"h:{cell}", f"h:a:{cell}", f"h:b:{cell}"], random.randrange(1, 3)
        )
        self._void(cell, tags, partial(self._cache.invalidate_tags, *tags), "tags")

    def _clear(self, cell: int, random: Random) -> None:
        self._void(cell, [f"n{cell}"], self._spaces[cell].clear, "clear")

    def _void_pattern(self, cell: int, random: Random) -> None:
        if random.random() < 0.5:
            keys = [f"{kind}:{cell}" for kind in _PLAIN_KINDS + "rb"]
            call = partial(self._cache.invalidate_pattern, f"?:{cell}")
        else:
            keys = [f"s:{cell}"]
            call = partial(self._spaces[cell].invalidate_pattern, "s*")
        self._void(cell, keys, call, "pattern")

    def _expire(self, cell: int, random: Random) -> None:
        if any(self._world.versions):
            return  # it does not reach the other's
        keys = [f"{kind}:{cell}" for kind in random.sample(_PLAIN_KINDS, 3)]
        names = [f"expired {key}" for key in keys]
        self._void(cell, names, partial(self._cache.expire, *keys), "expire")

    def _write_announced(self, cell: int, random: Random) -> None:
        keys = [f"{kind}:{cell}" for kind in random.sample("ptfamdex", random.randrange(3))]
        tags = random.sample([f"g:{cell}", f"h:{cell}", f"h:a:{cell}"], random.randrange(3))
        names = [*keys, *tags]
        if not names:
            return

        def write() -> None:
            before = self.past.now(cell)
            with self._cache.writing(*keys, tags=tags):
                self.past.acknowledged(names, {cell: before}, self._number, "announced", seen=True)
                rest(random)
                versions[cell] = self.past.commit(cell)
                rest(random)

        versions: dict[int, int] = {}
        spooled = self._spooled()
        try:
            with self.past.loads.voiding(self._number, names):
                write()
        except InvalidationError:
            return
        seen = spooled == self._spooled() == (spooled[0], 0)
        self.past.acknowledged(names, versions, self._number, "written", seen=seen)

    def _put_row(self, cell: int, random: Random) -> None:
        names, before = [f"w:{cell}"], self.past.now(cell)
        spooled = self._spooled()
        try:
            with self.past.loads.voiding(self._number, names):
                if random.random() < 0.2:
                    self._rows.delete(cell)
                elif random.random() < 0.2:
                    self._rows.put_many({cell: f"{cell}:0"})
                else:
                    self._rows.put(cell, f"{cell}:0")
        except StoreUnavailable:
            return
        # At least one version more is the writer's own.
        seen = spooled == self._spooled() == (spooled[0], 0)
        self.past.acknowledged(names, {cell: before + 1}, self._number, "put", seen=seen)

    # -- write-behind ------------------------------------------------------------------------

    def _read_behind(self, cell: int, random: Random) -> None:
        ask = self._ask(cell, [f"behind {cell}"], EVENTUAL, "behind")
        if random.random() < 0.3:
            self._judge(ask, self._behind.get_many([cell])[cell])
        else:
            self._judge(ask, self._behind.get(cell))

    def _put_behind(self, cell: int, random: Random) -> None:
        """Write, unless another does: of those who overlap it is not known who is the last."""
        if not self.past.writing[cell].acquire(blocking=False):
            return
        try:
            version = self.past.commit(cell)
            with self.past.loads.voiding(self._number, [f"b:{cell}"], lasting=True):
                self._behind.put(cell, f"{cell}:{version}")
            names = [f"behind {cell}"]
            self.past.accepted[cell] = version
            self.past.acknowledged(names, {cell: version}, self._number, "accepted", seen=True)
        finally:
            self.past.writing[cell].release()


def _tag_of(value: str) -> str:
    return f"g:{value.partition(':')[0]}"
