"""How long a write waits for its acknowledgement, beside the bare append to the same journal.

Tasks or threads write one after the other, each its own keys, values of 200 bytes; nothing is
flushed meanwhile. Every round runs every contender, and what is told are medians over rounds of
each round's median and 99th percentile, how many a second, and the processor's time that this
process takes for each, which is the same on a busy machine as on an idle one.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from benchmarks.behind_alone import NO_BOUNDS, PAYLOAD, VALUE, draft, in_tasks, in_threads
from benchmarks.behind_bare import (
    LEAST_SCRIPT,
    AsyncGroupCommit,
    Entries,
    GroupCommit,
    InsertCommit,
    least_command,
)
from benchmarks.behind_rows import ALONE, BESIDE, LEAST, Append, Group, Row, interleave, show
from freshwell import AsyncCache, Cache
from freshwell._async.stores.local_journal import LocalJournal
from freshwell._kit.aio_link import Link as AsyncLink
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.threads_link import Link
from freshwell._sync.stores.local_journal import LocalJournal as SyncLocalJournal
from tests.support.servers import Server

__all__ = ["Nothing", "run"]

_IDS = 20_000
_MANY = 10**9
_OPTIONS: dict[str, Any] = {
    "flusher": False,
    "max_backlog": 10_000_000,
    "max_backlog_bytes": 2**40,
    "drain": 0,
}


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
            interleave(groups, rounds)
            show(groups)


def _server(stack: ExitStack, journal: str) -> str:
    if not journal.startswith("redis"):
        return ""
    always = journal == "redis-always"
    arguments = () if always else ("--appendonly", "yes", "--appendfsync", "everysec")
    return stack.enter_context(Server(aof=always, arguments=arguments)).url


# -- tasks -----------------------------------------------------------------------------------


def _async_groups(
    stack: ExitStack, runner: asyncio.Runner, folder: Path, journal: str, url: str
) -> list[Group]:
    def timed(append: Append, callers: int, each: int) -> list[int]:
        return runner.run(_with_tasks(append, callers, each))

    contenders = runner.run(_async_contenders(stack, runner, folder, journal, url))
    return [
        Group(
            f"Accept, {journal}, {callers} task(s)",
            [Row(name, append, bare) for name, append, bare, most in contenders if callers <= most],
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
            kept.append(PAYLOAD)

        put = _async_put(stack, runner, AsyncCache(), "memory")
        return [
            ("bare: list.append", append, True, _MANY),
            ("AsyncCache.write_behind, put", put, False, _MANY),
        ]
    return _async_to_redis(stack, runner, url)


def _async_to_a_file(stack: ExitStack, runner: asyncio.Runner, folder: Path) -> list[_Contender]:
    group = AsyncGroupCommit(str(folder / "bare.db"))
    stack.callback(group.close)
    least = AsyncGroupCommit(str(folder / "least.db"), least=True)
    stack.callback(least.close)
    alone = InsertCommit(str(folder / "alone.db"))
    stack.callback(alone.close)
    journal = LocalJournal(str(folder / "alone-journal.db"), owner="", **NO_BOUNDS, max_dead=1)
    stack.callback(lambda: runner.run(journal.aclose()))

    async def insert(i: int) -> None:
        alone.append(PAYLOAD)

    async def accept(i: int) -> None:
        await journal.accept([draft(i)])

    put = _async_put(stack, runner, AsyncCache(), f"sqlite:///{folder}/pending.db")
    return [
        ("bare: a group commit by hand", lambda i: group.append(PAYLOAD), True, _MANY),
        ("bare: INSERT, COMMIT, no thread", insert, True, 1),
        (LEAST, lambda i: least.put(i, VALUE), True, _MANY),
        (ALONE, accept, True, _MANY),
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

    async def three(i: int) -> None:
        await link.batch(_what_is_written(i))

    sha, entries = _taught(url), Entries()

    async def least(i: int, entry: bool) -> None:
        await link.batch([least_command(sha, b"least", i, VALUE, entry=entry)])
        if not entry:
            entries.drop(f"user:{i}")

    return [
        ("bare: XADD", lambda i: link.batch([_xadd()]), True, _MANY),
        ("bare: redis-py, XADD", lambda i: client.xadd("by-client", {"p": PAYLOAD}), True, _MANY),
        ("bare: XADD, HSET, SET: record and entry", three, True, _MANY),
        (f"{LEAST}, apart", lambda i: least(i, False), True, _MANY),
        (f"{LEAST}, beside", lambda i: least(i, True), True, _MANY),
        (ALONE, in_tasks(stack, runner, url), True, _MANY),
        (BESIDE, in_tasks(stack, runner, url, beside=True), True, _MANY),
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


def _sync_groups(stack: ExitStack, folder: Path, journal: str, url: str) -> list[Group]:
    contenders = _sync_contenders(stack, folder, journal, url)
    return [
        Group(
            f"Accept, {journal}, {callers} thread(s)",
            [Row(name, append, bare) for name, append, bare, most in contenders if callers <= most],
            callers,
            each,
            _with_threads,
        )
        for callers, each in ((1, 600), (16, 60))
    ]


def _sync_contenders(stack: ExitStack, folder: Path, journal: str, url: str) -> list[_Contender]:
    if journal == "sqlite":
        return _sync_contenders_in_file(stack, folder)
    if journal == "memory":
        kept: list[bytes] = []
        put = _put(stack, Cache(), "memory")
        return [
            ("bare: list.append", lambda i: kept.append(PAYLOAD), True, _MANY),
            ("Cache.write_behind, put", put, False, _MANY),
        ]
    link = Link(Endpoint.of(url), command_timeout_s=5)
    stack.callback(link.close)
    client = stack.enter_context(Redis.from_url(url))
    beside = Cache(url, namespace="bench-behind-sync")
    apart = Cache(namespace="bench-apart-sync")
    sha, entries = _taught(url), Entries()

    def put_least(i: int, entry: bool) -> None:
        link.batch([least_command(sha, b"least-sync", i, VALUE, entry=entry)])
        if not entry:
            entries.drop(f"user:{i}")

    return [
        ("bare: XADD", lambda i: link.batch([_xadd()]), True, _MANY),
        ("bare: redis-py, XADD", lambda i: client.xadd("by-client", {"p": PAYLOAD}), True, _MANY),
        (
            "bare: XADD, HSET, SET: record and entry",
            lambda i: link.batch(_what_is_written(i)),
            True,
            _MANY,
        ),
        (f"{LEAST}, apart", lambda i: put_least(i, False), True, _MANY),
        (f"{LEAST}, beside", lambda i: put_least(i, True), True, _MANY),
        (ALONE, in_threads(stack, url), True, _MANY),
        (BESIDE, in_threads(stack, url, beside=True), True, _MANY),
        ("Cache.write_behind, put, apart", _put(stack, apart, url), False, _MANY),
        ("Cache.write_behind, put, beside", _put(stack, beside, "redis"), False, _MANY),
    ]


def _sync_contenders_in_file(stack: ExitStack, folder: Path) -> list[_Contender]:
    group = GroupCommit(str(folder / "bare-sync.db"))
    stack.callback(group.close)
    least = GroupCommit(str(folder / "least-sync.db"), least=True)
    stack.callback(least.close)
    alone = InsertCommit(str(folder / "alone-sync.db"))
    stack.callback(alone.close)
    journal_alone = SyncLocalJournal(
        str(folder / "journal-sync.db"), owner="", **NO_BOUNDS, max_dead=1
    )
    stack.callback(journal_alone.close)
    put = _put(stack, Cache(), f"sqlite:///{folder}/pending-sync.db")
    return [
        ("bare: a group commit by hand", lambda i: group.append(PAYLOAD), True, _MANY),
        ("bare: INSERT, COMMIT, no thread", lambda i: alone.append(PAYLOAD), True, _MANY),
        (LEAST, lambda i: least.put(i, VALUE), True, _MANY),
        (ALONE, lambda i: journal_alone.accept([draft(i)]), True, _MANY),
        ("Cache.write_behind, put", put, False, _MANY),
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


def _taught(url: str) -> str:
    """Return the digest of the least script, which the server knows from now on."""
    with Redis.from_url(url) as client:
        return str(client.script_load(LEAST_SCRIPT))


def _xadd() -> tuple[bytes, ...]:
    return (b"XADD", b"bare", b"*", b"p", PAYLOAD)


def _what_is_written(i: int) -> list[tuple[bytes, ...]]:
    """Return what leaves the same behind as a put does beside the entries, in no transaction."""
    name = b"user:%d" % i
    return [
        (b"XADD", b"raw", b"*", b"n", name, b"i", b"%d" % i, b"k", b"1", b"p", PAYLOAD),
        (b"HSET", b"raw-latest", name, b"1700000000000-0"),
        (b"SET", b"raw:" + name, bytes(52) + PAYLOAD, b"PX", b"300000"),
    ]
