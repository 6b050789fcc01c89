"""What the processes of a campaign do: write, flush, or one of these at a time of the test's."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from freshwell import (
    AsyncCache,
    AsyncWriteBehind,
    BacklogFull,
    InvalidationError,
    JournalError,
    StoreUnavailable,
)
from freshwell._kit.aio import sleep
from tests.faults.behind._async.controls import sabotage, set_lease
from tests.faults.behind._async.source import AT_ONCE, COMMITTED, Table
from tests.faults.behind.diary import Diary
from tests.faults.behind.life import OWN_IDS, SHARED_IDS, Life
from tests.faults.behind.orders import Orders
from tests.support.worker import Talk

__all__ = ["behind", "flusher", "holder", "opened", "rival", "writer"]

_UNACKNOWLEDGED = (JournalError, StoreUnavailable, InvalidationError, BacklogFull)
_POLL_S = 0.05
_REST_S = 0.002
_READS = 0.25


def opened(orders: Orders) -> AsyncCache:
    """Return the cache of a campaign."""
    return AsyncCache(orders.url or None, namespace="behind", command_timeout=1, connect_timeout=1)


def behind(cache: AsyncCache, source: Table, orders: Orders, **given: Any) -> AsyncWriteBehind[str]:
    """Return the rows of a campaign, written behind."""
    file = f"sqlite:///{orders.folder}/pending.db"
    options: dict[str, Any] = {
        "key": "row:{}",
        "journal": file if orders.journal == "file" else orders.journal,
        "shards": orders.shards,
        "coalesce": orders.coalesce,
        "assume_durable": orders.assume_durable,
        "flush_every": "50ms",
        "flusher": False,
        "type": str | None,
        **given,
    }
    return cache.write_behind(source, **options)


async def writer(life: Life, *, number: int) -> None:
    """Put numbered values to rows of one's own and to shared ones. Note what becomes of each."""
    orders, random = life.orders, Random(life.seed)
    sabotage(orders.sabotage)
    diary = Diary(Path(orders.folder) / f"diary-{number}")
    count = diary.next_number()
    mine = [OWN_IDS * (number + 1) + i for i in range(OWN_IDS)]
    shared = list(range(SHARED_IDS))
    rows = behind(opened(orders), Table(orders.source), orders, flusher=orders.journal == "memory")
    while life.goes_on:
        ids = random.sample(random.choice([mine, mine, shared]), random.choice([1, 1, 1, 5]))
        values = {id: f"{number}:{count + i}" for i, id in enumerate(ids)}
        count += len(values)
        diary.mean(values)
        try:
            acks = await rows.put_many(values)
            diary.acknowledge(values, acks)
            life.begin()
            if random.random() < _READS:
                diary.read(ids[0], acks[ids[0]], await rows.get(ids[0]))
        except _UNACKNOWLEDGED:
            await sleep(_POLL_S * random.random())
        await sleep(_REST_S * random.random())


async def flusher(life: Life, *, number: int) -> None:
    """Flush what others have written."""
    sabotage(life.orders.sabotage)
    set_lease(life.orders.lease_s)

    async def stay(place: str) -> None:
        if place == COMMITTED:
            life.begin()
        if life.ends_at(place):
            while life.goes_on:
                await sleep(_POLL_S)

    orders = life.orders
    source = Table(orders.source, fenced=orders.fenced, moment=stay, seed=life.seed)
    rows = behind(opened(orders), source, orders)
    flushes = False
    while life.goes_on:
        if not flushes:
            with suppress(JournalError):
                await rows.start(flush=True)
                flushes = True
        await sleep(_POLL_S)


async def holder(talk: Talk, *, orders: dict[str, Any]) -> None:
    """Flush, and let the test say when the first batch goes on to the source."""
    told = Orders.heard(orders)
    set_lease(told.lease_s)
    held = False

    async def stay(place: str) -> None:
        nonlocal held
        if place == AT_ONCE and not held:
            held = True
            talk.say("holding")
            talk.hear()
        elif place == COMMITTED:
            talk.say("committed")

    source = Table(told.source, fenced=told.fenced, moment=stay)
    rows = behind(opened(told), source, told)
    await rows.start(flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        await sleep(_POLL_S)


async def rival(talk: Talk, *, orders: dict[str, Any], name: str, rounds: int) -> dict[str, Any]:
    """Write one row as others do, and flush too. Read it when the test says what it must be."""
    told = Orders.heard(orders)
    source = Table(told.source)
    async with opened(told) as cache, behind(cache, source, told, flusher=True) as rows:
        fresh = behind(cache, source, told, read="fresh")
        assert await rows.get(0) is None
        talk.ready()
        acks = []
        for number in range(rounds):
            value = f"{name}:{number}"
            acks.append(((await rows.put(0, value)).sequence, value))
            if number % 3 == 0:
                await sleep(_REST_S)
        talk.say(acks)
        expected = talk.hear()
        seen_at_once = await fresh.get(0)
        for _ in range(200):
            seen = await rows.get(0)
            if seen == expected:
                break
            await sleep(_POLL_S)
        await rows.flush()
    await source.aclose()
    return {"at once": seen_at_once, "soon": seen}
