"""``freshwell journal``: what it shows, what it changes, and what it says when it cannot."""

from __future__ import annotations

import base64
import json
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from freshwell import Batch, Cache, Outcome, WriteBehind
from freshwell.codecs.pickle import PickleCodec
from tests.cli.running import Ran, run
from tests.support.plugin import MakeServer
from tests.support.servers import free_port
from tests.support.threads import until

_SECRET = "a secret of thirty-two characters!"


class Picky:
    """A source that will not have some ids, and takes the others."""

    def __init__(self) -> None:
        self.refused: set[Any] = set()
        self.rows: dict[Any, Any] = {}

    def load(self, id: Any, /) -> Any:
        return self.rows.get(id)

    def save_many(self, batch: Batch[Any, Any], /) -> dict[Any, Outcome]:
        self.rows |= {w.id: w.value for w in batch.writes if w.id not in self.refused}
        refused = {w.id for w in batch.writes} & self.refused
        return {id: Outcome.reject("too long") for id in refused}

    def delete(self, id: Any, /) -> None:
        self.rows.pop(id, None)


class Kept(NamedTuple):
    """A journal that a process has in use, its source, and how commands name it."""

    rows: WriteBehind[Any]
    source: Picky
    words: tuple[str, ...]

    def run(self, command: str, *words: str) -> Ran:
        return run("journal", command, *self.words, *words)

    def json(self, command: str, *words: str) -> list[Any]:
        """Return what a command prints, line by line."""
        ran = self.run(command, *words)
        assert ran.code in (0, 1), ran
        return [json.loads(line) for line in ran.out.splitlines()]

    def bury(self, *ids: Any) -> None:
        """Have writes of some ids refused."""
        self.source.refused |= set(ids)
        self.rows.put_many({id: {"id": str(id)} for id in ids})
        self.rows.flush(timeout=20)

    def dead(self) -> list[Any]:
        return [letter["id"] for letter in self.json("list", "--json", "--limit", "1000")]

    def sequence(self, id: Any) -> str:
        found = self.json("list", "--json")
        return next(str(letter["sequence"]) for letter in found if letter["id"] == id)


Keep = Callable[..., Kept]


@pytest.fixture(params=["file", "redis"])
def keep(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keep]:
    """Give a function that opens a journal as a process does, and keeps it open."""
    is_file = request.param == "file"
    url: str | None = None if is_file else request.getfixturevalue("redis_url")
    journal = f"sqlite:///{tmp_path / 'pending.db'}" if is_file else "redis"
    words = (journal,) if url is None else (journal, "--url", url, "--cache", "shop")
    codec = "json" if url is None else "msgpack"
    with Cache(url, namespace="shop", l1=is_file, codec=codec) as cache:
        opened: list[WriteBehind[Any]] = []

        def open_one(**given: Any) -> Kept:
            source = Picky()
            rows = behind(cache, source, journal, **given)
            opened.append(rows)
            return Kept(rows, source, words)

        yield open_one
        for rows in opened:
            rows.close(drain=0)


@pytest.fixture
def kept(keep: Keep) -> Kept:
    """Give a journal that is flushed."""
    return keep()


def behind(cache: Any, source: Picky, journal: str, **given: Any) -> WriteBehind[Any]:
    options = {"flush_every": "10ms", "shards": 2, "assume_durable": True, "key": "row:{}", **given}
    rows: WriteBehind[Any] = cache.write_behind(source, journal=journal, **options)
    rows.start()
    return rows


# -- looking ---------------------------------------------------------------------------------


def test_a_journal_without_troubles_is_in_order(kept: Kept) -> None:
    kept.rows.put("a", 1)
    kept.rows.flush(timeout=20)
    until(lambda: all(kept.json("status", "--json")[0]["flushers"]), "every shard is flushed")
    (found,) = kept.json("status", "--json")
    assert (found["records"], found["dead"], found["looks"]) == (0, 0, [])
    ran = kept.run("status")
    assert (ran.code, ran.err) == (0, "")
    assert "durability  " in ran.out
    assert kept.run("list").out == ""


def test_dead_letters_want_a_look_and_are_listed_with_why(kept: Kept) -> None:
    kept.bury("bad", 7)
    ran = kept.run("status")
    assert ran.code == 1
    assert "look at     2 dead letters: see freshwell journal list" in ran.out
    ran = kept.run("list")
    assert (ran.code, ran.err) == (0, "")
    head, *lines = ran.out.splitlines()
    assert head.split() == ["sequence", "key", "id", "kind", "attempts", "age", "reason"]
    assert sorted(line.split()[1] for line in lines) == ["row:7", "row:bad"]
    assert all(line.endswith("too long") for line in lines)


def test_writes_that_nobody_flushes_want_a_look(keep: Keep) -> None:
    kept = keep(flusher=False)
    kept.rows.put_many({"a": 1, "b": 2})
    ran = kept.run("status")
    assert ran.code == 1
    assert "2 records" in ran.out
    assert "writes wait, and nobody flushes" in ran.out
    waiting = kept.json("list", "--pending", "--json")
    assert sorted(record["id"] for record in waiting) == ["a", "b"]
    assert {record["state"] for record in waiting} == {"pending"}
    assert kept.run("show", str(waiting[0]["sequence"])).out.count("waits to be flushed") == 1


def test_a_list_goes_on_where_it_ended(kept: Kept) -> None:
    kept.bury(*range(5))
    first = kept.run("list", "--json", "--limit", "3")
    assert len(first.out.splitlines()) == 3
    last = json.loads(first.out.splitlines()[-1])["sequence"]
    assert first.err == f"there may be more: --after {last}\n"
    rest = kept.json("list", "--json", "--after", str(last))
    assert len(rest) == 2
    assert all(letter["sequence"] > last for letter in rest)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_a_letter_is_shown_with_its_value_where_that_says_what_it_is(
    keep: Keep, codec: str
) -> None:
    kept = keep(codec=codec)
    kept.bury("bad")
    sequence = kept.sequence("bad")
    ran = kept.run("show", sequence)
    assert (ran.code, ran.err) == (0, "")
    assert "reason          too long" in ran.out
    assert "value           {'id': 'bad'}" in ran.out
    assert "value" not in kept.run("show", sequence, "--no-value").out
    (shown,) = kept.json("show", sequence, "--json")
    assert (shown["value"], shown["key"], shown["attempts"]) == ({"id": "bad"}, "row:bad", 1)


def test_a_value_that_takes_code_to_read_is_never_shown(keep: Keep) -> None:
    kept = keep(codec=PickleCodec(secret=_SECRET))
    kept.bury("bad")
    ran = kept.run("show", kept.sequence("bad"))
    assert "not shown: it is in neither JSON nor MessagePack" in ran.out
    (shown,) = kept.json("export")
    assert "value" not in shown
    assert shown["codec"] == 3
    assert pickle.dumps({"id": "bad"}, 5) in base64.b64decode(shown["payload"])


def test_a_value_that_json_does_not_have_is_exported_as_it_is(keep: Keep) -> None:
    kept = keep(codec="msgpack")
    kept.source.refused = {"bytes", "keys"}
    kept.rows.put_many({"bytes": {"b": b"\0"}, "keys": {1: "a"}})
    kept.rows.flush(timeout=20)
    for shown in kept.json("export"):
        assert "value" not in shown
        assert (shown["codec"], bool(shown["payload"])) == (2, True)


def test_a_long_value_is_cut(kept: Kept) -> None:
    kept.source.refused = {"bad"}
    kept.rows.put("bad", "x" * 5_000)
    kept.rows.flush(timeout=20)
    ran = kept.run("show", kept.sequence("bad"))
    assert "cut: 3,002 more characters" in ran.out
    assert "x" * 2_000 not in ran.out


def test_an_export_has_all_of_them_in_order(kept: Kept) -> None:
    ids = [f"bad{i}" for i in range(230)]
    kept.bury(*ids)
    found = kept.json("export")
    assert sorted(letter["id"] for letter in found) == sorted(ids)
    sequences = [letter["sequence"] for letter in found]
    assert sequences == sorted(sequences)
    assert {letter["value"]["id"] for letter in found} == set(ids)
    assert all(len(letter["idempotency_id"]) == 32 for letter in found)


def test_what_moves_a_terminal_is_escaped(kept: Kept) -> None:
    kept.source.refused = {"bad"}
    kept.rows.put("bad", "\x1b[31m")
    kept.rows.flush(timeout=20)
    for ran in (kept.run("show", kept.sequence("bad")), kept.run("export"), kept.run("list")):
        assert "\x1b" not in ran.out


# -- changing --------------------------------------------------------------------------------


def test_what_is_tried_again_is_stored_when_the_source_will_have_it(kept: Kept) -> None:
    kept.bury("a", "b")
    kept.source.refused = set()
    ran = kept.run("retry", kept.sequence("a"))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("retried 1 dead letter, journal '")
    kept.rows.flush(timeout=20)
    assert kept.source.rows == {"a": {"id": "a"}}
    assert kept.dead() == ["b"]


def test_a_letter_whose_key_has_been_written_since_takes_force(kept: Kept) -> None:
    kept.bury("a")
    kept.source.refused = set()
    kept.rows.put("a", "newer")
    kept.rows.flush(timeout=20)
    ran = kept.run("retry", kept.sequence("a"))
    assert ran.code == 1
    assert "its key has been written since" in ran.err
    assert ran.out.startswith("retried 0 dead letters")
    assert kept.source.rows == {"a": "newer"}
    assert "(superseded)" in kept.run("list").out
    assert kept.run("retry", kept.sequence("a"), "--force").code == 0
    kept.rows.flush(timeout=20)
    assert kept.source.rows == {"a": {"id": "a"}}


def test_all_are_tried_again_once_even_where_they_die_again(kept: Kept) -> None:
    kept.bury(*range(120))
    assert kept.run("retry", "--all").code == 2, "it asks"
    ran = kept.run("retry", "--all", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("retried 120 dead letters")
    kept.rows.flush(timeout=20)
    assert sorted(kept.dead()) == list(range(120))


def test_what_is_dropped_is_gone_and_nothing_is_without_being_meant(kept: Kept) -> None:
    kept.bury("a", "b", "c")
    sequence = kept.sequence("a")
    for words in ((sequence,), ("--all",)):
        ran = kept.run("drop", *words)
        assert (ran.code, ran.out) == (2, "")
        assert "add --yes if that is meant" in ran.err
    assert sorted(kept.dead()) == ["a", "b", "c"]
    ran = kept.run("drop", sequence, "--yes")
    assert (ran.code, ran.out[:22]) == (0, "dropped 1 dead letter,")
    assert sorted(kept.dead()) == ["b", "c"]
    assert kept.run("drop", "--all", "-y").out.startswith("dropped 2 dead letters,")
    assert kept.dead() == []


def test_a_sequence_that_no_letter_has_is_said(kept: Kept) -> None:
    kept.bury("a")
    sequence = kept.sequence("a")
    for command in ("retry", "drop"):
        ran = kept.run(command, "5", *(["--yes"] if command == "drop" else []))
        assert ran.code == 1
        assert "5: there is no such dead letter" in ran.err
    ran = kept.run("show", "5")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no letter 5" in ran.err
    assert kept.dead() == ["a"]
    assert kept.run("drop", "5", sequence, "--yes").code == 1
    assert kept.dead() == [], "the others are done"


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_which_letters_has_to_be_said(kept: Kept, command: str) -> None:
    assert "which dead letters?" in kept.run(command).err
    assert "give one of them" in kept.run(command, "5", "--all").err


# -- which journal ---------------------------------------------------------------------------


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
