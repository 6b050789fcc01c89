"""What the tests of journals in Redis share: journals, desks, and writes to accept."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import itertools
from typing import Any

from freshwell._sync.stores.base import Fill
from freshwell._sync.stores.journal_places import open_desk, open_journal
from freshwell._sync.stores.redis_desk import RedisDesk
from freshwell._sync.stores.redis_journal import Layout, RedisJournal
from freshwell._kit.places import place_of
from freshwell.ground.frame import State, encode
from freshwell.ground.keys import digest8
from freshwell.ground.records import Draft, Kind, Record, Settled

__all__ = ["at_desk", "draft", "entry_of", "opened", "settled_as", "stem"]

_NUMBERS = itertools.count(1)


class opened:  # noqa: N801 - it is used as a function is
    """Give a journal, with time enough for a busy machine, and close it in the end."""

    def __init__(
        self,
        url: str,
        *,
        shards: int = 1,
        template: str = "order:{id}",
        bounds: dict[str, int] | None = None,
        **more: Any,
    ) -> None:
        layout = Layout("shop", "orders", template, shards, **(bounds or {}))
        settings = {"assume_durable": True, "command_timeout_s": 5.0, "connect_timeout_s": 5.0}
        self._journal = open_journal(place_of(url), layout, **(settings | more))

    def __enter__(self) -> RedisJournal:
        return self._journal

    def __exit__(self, *error: object) -> None:
        self._journal.close()


class at_desk:  # noqa: N801 - it is used as a function is
    """Give the desk of the journal that `opened` gives, and close it in the end."""

    def __init__(self, url: str, name: str = "orders") -> None:
        self._desk = open_desk(place_of(url), "shop", name, command_timeout_s=5.0)

    def __enter__(self) -> RedisDesk:
        return self._desk

    def __exit__(self, *error: object) -> None:
        self._desk.close()


def stem(shard: int = 0) -> str:
    """Return how the keys of a shard of that journal begin."""
    return f"{{fw:j:shop:orders:{shard}}}"


def draft(name: str, payload: bytes = b"v", kind: Kind = Kind.PUT) -> Draft:
    return Draft(name, b'"%s"' % name.encode(), kind, payload, b"%016d" % next(_NUMBERS))


def entry_of(key: bytes, text: bytes = b"1", state: State = State.VALUE) -> Fill:
    """Return what a write leaves in L2: a value that is fresh for a minute, or a tombstone."""
    frame = encode(state=state, codec=1, digest=digest8(key), payload=text)
    return Fill(key, b"", frame, 60_000, 120_000)


def settled_as(records: list[Record], **fates: str) -> Settled:
    """Return a settlement in which each record has the fate that its name is given."""
    of = {fate: [r for r in records if fates[r.name] == fate] for fate in fates.values()}
    dead = tuple((record, "refused") for record in of.get("dead", ()))
    return Settled(tuple(of.get("stored", ())), tuple(of.get("failed", ())), dead)
