"""How long a write waits for its acknowledgement, beside the bare append to the same journal.

Tasks or threads write one after the other, each its own keys, values of 200 bytes; nothing is
flushed meanwhile. Every round runs every contender, and what is told are medians over rounds of
each round's median and 99th percentile, how many a second, and the processor's time that this
process takes for each, which is the same on a busy machine as on an idle one.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from benchmarks.behind_bare import AsyncGroupCommit, GroupCommit, InsertCommit
from freshwell import AsyncCache, Cache
from freshwell._async.stores.journal_places import open_journal
from freshwell._async.stores.local_journal import LocalJournal
from freshwell._async.stores.redis_journal import Layout
from freshwell._kit.aio_link import Link as AsyncLink
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.places import place_of
from freshwell._kit.threads_link import Link
from freshwell.ground.records import Draft, Kind
from tests.support.servers import Server

__all__ = ["VALUE", "Nothing", "run"]

VALUE = {"id": 7, "name": "somebody", "email": "somebody@example.org", "about": "x" * 132}
_PAYLOAD = msgspec.json.encode(VALUE)
assert len(_PAYLOAD) == 200, len(_PAYLOAD)
_IDS = 20_000
_MANY = 10**9
_TARGET = 1.5
_OPTIONS: dict[str, Any] = {
    "flusher": False,
    "max_backlog": 10_000_000,
    "max_backlog_bytes": 2**40,
    "drain": 0,
}

Append = Callable[[int], Any]
"""Appends for a number, which is the key's. Returns what is to be awaited, where it is."""


class Nothing:
    """A source that is never asked."""

    async def load(self, id: int) -> Any:
        return None

    async def save_many(self, batch: Any) -> None:
        return None


class _Plain:
    def load(self, id: int) -> Any:
        return None

    def save_many(self, batch: Any) -> None:
        return None


@dataclass
class _Row:
    """A contender, and what its rounds took: medians, 99th percentiles, rates, processor's time."""

    name: str
    append: Append
    bare: bool = False
    medians_us: list[float] = field(default_factory=list)
    highs_us: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpus_us: list[float] = field(default_factory=list)


@dataclass
class _Group:
    """Contenders at the same durability, and how many at a time; the first is the reference."""

    title: str
    rows: Sequence[_Row]
    callers: int
    each: int
    run: Callable[[Append, int, int], list[int]]


def run(rounds: int, journals: Sequence[str], *, threads: bool = True) -> None:
    """Measure `journals`: "sqlite", "redis", "redis-always", "memory"."""
    for journal in journals:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            runner = stack.enter_context(asyncio.Runner())
            url = _server(stack, journal)
            groups = _async_groups(stack, runner, folder, journal, url)
            if threads:
                groups += _sync_groups(stack, folder, journal, url)
            _interleave(groups, rounds)
            _show(groups)


def _server(stack: ExitStack, journal: str) -> str:
    if not journal.startswith("redis"):
        return ""
    always = journal == "redis-always"
    arguments = () if always else ("--appendonly", "yes", "--appendfsync", "everysec")
    return stack.enter_context(Server(aof=always, arguments=arguments)).url


# -- tasks -----------------------------------------------------------------------------------


def _async_groups(
    stack: ExitStack, runner: asyncio.Runner, folder: Path, journal: str, url: str
) -> list[_Group]:
    def timed(append: Append, callers: int, each: int) -> list[int]:
        return runner.run(_with_tasks(append, callers, each))

    contenders = runner.run(_async_contenders(stack, runner, folder, journal, url))
    return [
        _Group(
            f"Accept, {journal}, {callers} task(s)",
            [
                _Row(name, append, bare)
                for name, append, bare, most in contenders
                if callers <= most
            ],
            callers,
            each,
            timed,
        )
        for callers, each in ((1, 600), (16, 100), (256, 16))
    ]


_Contender = tuple[str, Append, bool, int]


async def _async_contenders(
    stack: ExitStack, runner: asyncio.Runner, folder: Path, journal: str, url: str
) -> list[_Contender]:
    if journal == "sqlite":
        return _async_to_a_file(stack, runner, folder)
    if journal == "memory":
        kept: list[bytes] = []

        async def append(i: int) -> None:
            kept.append(_PAYLOAD)

        put = _async_put(stack, runner, AsyncCache(), "memory")
        return [
            ("bare: list.append", append, True, _MANY),
            ("AsyncCache.write_behind, put", put, False, _MANY),
        ]
    return _async_to_redis(stack, runner, url)


def _async_to_a_file(stack: ExitStack, runner: asyncio.Runner, folder: Path) -> list[_Contender]:
    group = AsyncGroupCommit(str(folder / "bare.db"))
    stack.callback(group.close)
    alone = InsertCommit(str(folder / "alone.db"))
    stack.callback(alone.close)
    journal = LocalJournal(
        str(folder / "alone-journal.db"), owner="", max_records=10**9, max_bytes=2**40, max_dead=1
    )
    stack.callback(lambda: runner.run(journal.aclose()))

    async def insert(i: int) -> None:
        alone.append(_PAYLOAD)

    async def accept(i: int) -> None:
        await journal.accept([_draft(i)])

    put = _async_put(stack, runner, AsyncCache(), f"sqlite:///{folder}/pending.db")
    return [
        ("bare: a group commit by hand", lambda i: group.append(_PAYLOAD), True, _MANY),
        ("bare: INSERT, COMMIT, no thread", insert, True, 1),
        ("the journal alone: LocalJournal.accept", accept, True, _MANY),
        ("AsyncCache.write_behind, put", put, False, _MANY),
    ]


def _async_to_redis(stack: ExitStack, runner: asyncio.Runner, url: str) -> list[_Contender]:
    link = AsyncLink(Endpoint.of(url), command_timeout_s=5)
    pool = BlockingConnectionPool.from_url(url, max_connections=64, timeout=30)
    client = AsyncRedis(connection_pool=pool)
    stack.callback(lambda: runner.run(pool.disconnect()))
    stack.callback(lambda: runner.run(link.aclose()))
    beside = AsyncCache(url, namespace="bench-behind")
    apart = AsyncCache(namespace="bench-apart")

    layout = Layout("bench", "alone", "user:{}", max_records=10**9, max_bytes=2**40)
    journal = open_journal(place_of(url), layout)
    stack.callback(lambda: runner.run(journal.aclose()))

    async def three(i: int) -> None:
        await link.batch(_what_is_written(i))

    async def accept(i: int) -> None:
        await journal.accept([_draft(i)])

    return [
        ("bare: XADD", lambda i: link.batch([_xadd()]), True, _MANY),
        ("bare: redis-py, XADD", lambda i: client.xadd("by-client", {"p": _PAYLOAD}), True, _MANY),
        ("bare: XADD, HSET, SET: record and entry", three, True, _MANY),
        ("the journal alone: RedisJournal.accept", accept, True, _MANY),
        (
            "AsyncCache.write_behind, put, apart",
            _async_put(stack, runner, apart, url),
            False,
            _MANY,
        ),
        (
            "AsyncCache.write_behind, put, beside",
            _async_put(stack, runner, beside, "redis"),
            False,
            _MANY,
        ),
    ]


def _async_put(stack: ExitStack, runner: asyncio.Runner, cache: AsyncCache, journal: str) -> Append:
    behind = cache.write_behind(Nothing(), key="user:{}", journal=journal, **_OPTIONS)
    stack.callback(lambda: runner.run(cache.aclose()))
    return lambda i: behind.put(i, VALUE)


async def _with_tasks(append: Append, callers: int, each: int) -> list[int]:
    taken: list[int] = []

    async def one(number: int) -> None:
        for i in range(each):
            began = time.perf_counter_ns()
            await append((number * each + i) % _IDS)
            taken.append(time.perf_counter_ns() - began)

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(one(number))
    return taken


# -- threads ---------------------------------------------------------------------------------


def _sync_groups(stack: ExitStack, folder: Path, journal: str, url: str) -> list[_Group]:
    contenders = _sync_contenders(stack, folder, journal, url)
    return [
        _Group(
            f"Accept, {journal}, {callers} thread(s)",
            [
                _Row(name, append, bare)
                for name, append, bare, most in contenders
                if callers <= most
            ],
            callers,
            each,
            _with_threads,
        )
        for callers, each in ((1, 600), (16, 60))
    ]


def _sync_contenders(stack: ExitStack, folder: Path, journal: str, url: str) -> list[_Contender]:
    if journal == "sqlite":
        group = GroupCommit(str(folder / "bare-sync.db"))
        stack.callback(group.close)
        alone = InsertCommit(str(folder / "alone-sync.db"))
        stack.callback(alone.close)
        put = _put(stack, Cache(), f"sqlite:///{folder}/pending-sync.db")
        return [
            ("bare: a group commit by hand", lambda i: group.append(_PAYLOAD), True, _MANY),
            ("bare: INSERT, COMMIT, no thread", lambda i: alone.append(_PAYLOAD), True, _MANY),
            ("Cache.write_behind, put", put, False, _MANY),
        ]
    if journal == "memory":
        kept: list[bytes] = []
        put = _put(stack, Cache(), "memory")
        return [
            ("bare: list.append", lambda i: kept.append(_PAYLOAD), True, _MANY),
            ("Cache.write_behind, put", put, False, _MANY),
        ]
    link = Link(Endpoint.of(url), command_timeout_s=5)
    stack.callback(link.close)
    client = stack.enter_context(Redis.from_url(url))
    beside = Cache(url, namespace="bench-behind-sync")
    apart = Cache(namespace="bench-apart-sync")
    return [
        ("bare: XADD", lambda i: link.batch([_xadd()]), True, _MANY),
        ("bare: redis-py, XADD", lambda i: client.xadd("by-client", {"p": _PAYLOAD}), True, _MANY),
        (
            "bare: XADD, HSET, SET: record and entry",
            lambda i: link.batch(_what_is_written(i)),
            True,
            _MANY,
        ),
        ("Cache.write_behind, put, apart", _put(stack, apart, url), False, _MANY),
        ("Cache.write_behind, put, beside", _put(stack, beside, "redis"), False, _MANY),
    ]


def _put(stack: ExitStack, cache: Cache, journal: str) -> Append:
    behind = cache.write_behind(_Plain(), key="user:{}", journal=journal, **_OPTIONS)
    stack.callback(cache.close)
    return lambda i: behind.put(i, VALUE)


def _with_threads(append: Append, callers: int, each: int) -> list[int]:
    taken: list[int] = []
    start = threading.Barrier(callers)

    def one(number: int) -> None:
        start.wait()
        for i in range(each):
            began = time.perf_counter_ns()
            append((number * each + i) % _IDS)
            taken.append(time.perf_counter_ns() - began)

    group = [threading.Thread(target=one, args=(number,)) for number in range(callers)]
    for thread in group:
        thread.start()
    for thread in group:
        thread.join()
    return taken


# -- both ------------------------------------------------------------------------------------


def _draft(i: int) -> Draft:
    return Draft(f"user:{i}", b"%d" % i, Kind.PUT, _PAYLOAD, bytes(16))


def _xadd() -> tuple[bytes, ...]:
    return (b"XADD", b"bare", b"*", b"p", _PAYLOAD)


def _what_is_written(i: int) -> list[tuple[bytes, ...]]:
    """Return what leaves the same behind as a put does beside the entries, in no transaction."""
    name = b"user:%d" % i
    return [
        (b"XADD", b"raw", b"*", b"n", name, b"i", b"%d" % i, b"k", b"1", b"p", _PAYLOAD),
        (b"HSET", b"raw-latest", name, b"1700000000000-0"),
        (b"SET", b"raw:" + name, bytes(52) + _PAYLOAD, b"PX", b"300000"),
    ]


def _interleave(groups: Sequence[_Group], rounds: int) -> None:
    order = random.Random(1)
    rows = [(group, row) for group in groups for row in group.rows]
    for number in range(rounds + 1):
        for group, row in order.sample(rows, len(rows)):
            began, cpu_began = time.perf_counter(), time.process_time()
            taken = sorted(group.run(row.append, group.callers, group.each))
            seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
            if number:
                row.medians_us.append(statistics.median(taken) / 1_000)
                row.highs_us.append(taken[len(taken) * 99 // 100] / 1_000)
                row.rates.append(len(taken) / seconds)
                row.cpus_us.append(cpu_s / len(taken) * 1e6)


def _show(groups: Sequence[_Group]) -> None:
    for group in groups:
        print(f"\n{group.title}")
        print(
            f"  {'':42}{'p50':>10}{'p99':>11}{'a second':>9}{'ratio':>7}{'target':>7}"
            f"{'cpu':>8}{'ratio':>7}"
        )
        reference = statistics.median(group.rows[0].medians_us)
        least = statistics.median(group.rows[0].cpus_us)
        for row in group.rows:
            median, high = statistics.median(row.medians_us), statistics.median(row.highs_us)
            rate, cpu = statistics.median(row.rates), statistics.median(row.cpus_us)
            target = "" if row.bare else f"<={_TARGET:g}"
            print(
                f"  {row.name:42}{median:>7,.0f} us{high:>8,.0f} us{rate:>9,.0f}"
                f"{median / reference:>7.2f}{target:>7}{cpu:>5,.0f} us{cpu / least:>7.2f}"
            )
