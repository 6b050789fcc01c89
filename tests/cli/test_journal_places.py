"""``freshwell journal``: which journal is meant, and what is said where there is none."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from freshwell import Cache
from tests.cli.journaling import Kept, Picky, behind
from tests.cli.running import run
from tests.support.plugin import MakeServer
from tests.support.servers import free_port


@contextmanager
def begun(url: str, *names: str, cache: str = "shop", inner: str = "") -> Iterator[None]:
    """Begin journals on a Redis."""
    with Cache(url, namespace=cache) as made:
        for name in names:
            scope = made.namespace(inner) if inner else made
            rows = behind(scope, Picky(), "redis", name=name, flusher=False)
            rows.put("a", name)
        yield


def test_the_only_journal_of_a_cache_needs_no_name(redis_url: str) -> None:
    with (
        begun(redis_url, "prices"),
        begun(redis_url, "orders", "users", cache="other"),
        begun(redis_url, "inner", inner="reports"),
    ):
        for cache, name in (("shop", "prices"), ("shop/reports", "inner")):
            ran = run("journal", "status", "redis", "--cache", cache, "--json", url=None)
            assert ran.code == 2, "the control: it takes a URL"
            ran = run("journal", "status", redis_url, "--cache", cache, "--json")
            assert json.loads(ran.out)["journal"].startswith(f"{name!r} of cache {cache!r} at ")
        ran = run("journal", "status", redis_url, "--cache", "other")
        assert (ran.code, ran.out) == (2, "")
        assert "cache 'other' has 2 journals" in ran.err
        assert "give --name, one of orders, users" in ran.err
        assert run("journal", "status", redis_url, "--cache", "other", "--name", "users").code == 1
        ran = run("journal", "status", redis_url)
        assert ran.code == 2
        assert "cache 'default' has no journal" in ran.err
        assert "--cache shop --name prices" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("memory",), "in memory is seen by its own process alone"),
        (("redis",), 'the journal "redis" is beside the entries'),
        (("pending.db",), "journal is 'pending.db': use"),
        (("sqlite:///nowhere/pending.db",), "there is no folder 'nowhere'"),
        (("sqlite:///nowhere.db",), "there is no journal 'nowhere.db'"),
        (("sqlite:///nowhere.db", "--name", "a"), "--name is for journals on Redis"),
        (("redis://localhost", "--name", "a b"), "name is 'a b'"),
        (("redis://localhost", "--cache", "a//b"), "--cache: namespace is ''"),
        (("http://localhost",), "the URL 'http://localhost'"),
    ],
)
def test_a_journal_that_cannot_be_is_refused(words: tuple[str, ...], said: str) -> None:
    ran = run("journal", "status", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_journal_that_is_not_there_is_said(redis_url: str) -> None:
    ran = run("journal", "list", redis_url, "--name", "nothing")
    assert (ran.code, ran.out) == (2, "")
    assert "there is no journal 'nothing' of 'default' there" in ran.err


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    text, base = tmp_path / "text.db", tmp_path / "base.db"
    text.write_bytes(b"no database at all" * 100)
    connection = sqlite3.connect(base)
    connection.execute("CREATE TABLE users (id INTEGER)")
    connection.close()
    for file in (text, base):
        before = file.read_bytes()
        for command in ("status", "list", "export"):
            ran = run("journal", command, f"sqlite:///{file}")
            assert (ran.code, ran.out) == (2, "")
            assert "name another file" in ran.err
        assert file.read_bytes() == before


def test_a_server_that_does_not_answer_is_said() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    for words, code in (
        (("status", url), 2),
        (("export", url, "--name", "a"), 2),
        (("drop", url, "5", "--name", "a", "--yes"), 1),
    ):
        ran = run("journal", *words)
        assert ran.code == code
        assert "be reached" in ran.err


def test_a_server_that_would_evict_writes_wants_a_look(make_redis: MakeServer) -> None:
    server = make_redis(aof=True)
    with begun(server.url, "prices"):
        words = ("journal", "status", server.url, "--cache", "shop")
        (fit,) = json.loads(run(*words, "--json").out)["servers"]
        assert fit["maxmemory_policy"] == "noeviction"
        assert fit["appendonly"] is True
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        ran = run(*words)
        assert ran.code == 1
        assert "a server may evict accepted writes" in ran.out


@pytest.mark.server
@pytest.mark.parametrize("place", ["sentinel_url", "cluster_url"])
def test_journals_are_found_at_any_place(place: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(place)
    source = Picky()
    source.refused = {"bad"}
    with Cache(url, namespace="shop") as cache, begun(url, "orders", cache="other"):
        kept = Kept(behind(cache, source, "redis"), source, (url, "--cache", "shop"))
        kept.bury(*"abcdef")
        assert sorted(kept.dead()) == [*"abcdef"]
        assert kept.run("retry", kept.sequence("a")).code == 0
        kept.rows.flush(timeout=20)
        assert kept.run("drop", "--all", "--yes").out.startswith("dropped 6 dead letters")
        assert kept.json("status", "--json")[0]["servers"]


def test_a_letter_that_cannot_be_read_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "pending.db"
    source = Picky()
    with Cache() as cache:
        rows = behind(cache, source, f"sqlite:///{file}")
        kept = Kept(rows, source, (f"sqlite:///{file}",))
        kept.bury("bad")
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE dead SET id = x'ff', payload = x'', died_ms = 1 << 62")
        connection.close()
        (letter,) = kept.json("export")
        assert (letter["id"], letter["codec"], letter["payload"]) == (None, None, "")
        assert "(cannot be read)" in kept.run("list").out
        assert "not shown: it cannot be read" in kept.run("show", str(letter["sequence"])).out
