"""A user with the rights that the page on Redis names for a journal, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell.errors import JournalUnavailable
from freshwell.ground.records import Settled
from tests.docs import pages
from tests.journals._async.redis_parts import at_desk, draft, entry_of, opened, stem
from tests.support.plugin import MakeServer
from tests.support.servers import Server

PAGE = pages.ROOT / "docs" / "how-to" / "redis.md"
BLOCKS = [block.text.split() for block in pages.blocks(PAGE.read_text())]
CACHE = next(words for words in BLOCKS if words[:1] and words[0].startswith("~fw:"))
JOURNAL = next(words for words in BLOCKS if words[:1] and words[0].startswith("~{fw:j:"))
COMMANDS = {rule.removeprefix("+") for rule in JOURNAL if rule.startswith("+")}


@pytest.fixture
def server(make_redis: MakeServer) -> Server:
    """Give a server that keeps what it acknowledges, and has a user with the rights of the page."""
    server = make_redis(aof=True)
    server.ask("ACL", "SETUSER", "shop", "reset", "on", ">pw", *CACHE, *JOURNAL)
    server.ask("CONFIG", "RESETSTAT")
    return server


def as_user(server: Server) -> str:
    return server.url.replace("redis://", "redis://shop:pw@")


def refused(server: Server) -> list[bytes]:
    """Return what users were refused, but for what clients tell of themselves unasked."""
    entries = server.ask("ACL", "LOG")
    objects = [dict(zip(entry[::2], entry[1::2], strict=True))[b"object"] for entry in entries]
    return [name for name in objects if name != b"client|setinfo"]


async def test_it_may_do_all_that_a_journal_does(server: Server) -> None:
    settings: dict[str, Any] = {"together": True, "assume_durable": False}
    async with (
        opened(as_user(server), shards=2, **settings) as journal,
        at_desk(as_user(server)) as desk,
    ):
        drafts = [draft(str(n)) for n in range(20)]
        await journal.accept(drafts, [entry_of(b"fw:e:shop:%d" % n) for n in range(20)])
        assert None not in await journal.latest([str(n) for n in range(20)])
        for shard in range(2):
            assert await journal.own(shard)
            first, second, third, *rest = await journal.take(shard, 0, 99)
            dead = ((second, "refused"), (third, "refused"))
            await journal.settle(shard, Settled((first,), tuple(rest), dead))
        assert await desk.pending()
        dropped, retried, *_ = await desk.dead()
        assert await desk.drop(dropped.record.sequence)
        assert await desk.retry(retried.record.sequence)
        assert (await journal.backlog()).dead == 2
        # What is written anew is marked in one that is there already.
        await journal.accept([draft("0")], [entry_of(b"fw:e:shop:0")])
    async with opened(as_user(server), shards=2, min_replicas=1, replica_wait_ms=1) as sure:
        with pytest.raises(JournalUnavailable, match="not confirmed"):
            await sure.accept([draft("a")])
    assert set(refused(server)) == {b"config|get"}
    assert len(refused(server)) <= 2
    used = {name.removeprefix("cmdstat_") for name in server.info("commandstats")}
    assert COMMANDS - used == set()


async def test_journals_of_other_namespaces_are_refused(server: Server) -> None:
    server.ask("ACL", "SETUSER", "shop", "resetkeys", "~{fw:j:shopping:*")
    async with opened(as_user(server)) as journal:
        with pytest.raises(JournalUnavailable):
            await journal.accept([draft("a")])
    assert server.ask("EXISTS", f"{stem()}:records") == 0
