"""``freshwell invalidate``: what is gone afterwards, what stays, and what is said."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from freshwell import Cache
from freshwell.cli.invalidate import Counting
from tests.cli.running import run, service
from tests.support.plugin import MakeServer
from tests.support.servers import Server, free_port


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    """Give the cache of a service that runs."""
    with service(redis_url, namespace="shop") as cache:
        yield cache


def test_keys_are_gone_and_others_stay(cache: Cache, redis_url: str) -> None:
    cache.set_many(dict.fromkeys(("a", "b", "c"), 1))
    ran = run("invalidate", "a", "b", "--cache", "shop", url=redis_url)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("invalidated 2 keys, cache 'shop' at redis://127.0.0.1")
    assert cache.get_many(["a", "b", "c"]) == {"c": 1}


def test_a_running_process_stops_serving_it_from_memory(redis_url: str) -> None:
    with Cache(redis_url, command_timeout=5) as running:
        running.set("a", 1)
        assert run("invalidate", "a", url=redis_url).code == 0
        assert running.get("a", read="fresh") is None


def test_tags_take_all_their_entries(cache: Cache, redis_url: str) -> None:
    cache.set("a", 1, tags=["users"])
    cache.namespace("n").set("b", 1, tags=["teams"])
    cache.set("c", 1, tags=["other"])
    ran = run("invalidate", "--tag", "users", "--tag", "teams", "--cache", "shop", url=redis_url)
    assert (ran.code, ran.err) == (0, "")
    assert [cache.get("a"), cache.namespace("n").get("b"), cache.get("c")] == [None, None, 1]


def test_a_pattern_takes_what_matches_and_says_how_many(cache: Cache, redis_url: str) -> None:
    cache.set_many(dict.fromkeys(("report:1", "report:2", "user:1"), 1))
    ran = run("invalidate", "--pattern", "report:*", "--cache", "shop", url=redis_url)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("invalidated 2 entries like 'report:*', ")
    assert cache.get_many(["report:1", "report:2", "user:1"]) == {"user:1": 1}
    again = run("invalidate", "--pattern", "report:*", "--cache", "shop", url=redis_url)
    assert (again.code, again.out[:22]) == (0, "invalidated 0 entries ")


def test_a_namespace_is_cleared_with_those_in_it(cache: Cache, redis_url: str) -> None:
    places = [cache, cache.namespace("n"), cache.namespace("n").namespace("m")]
    for place in places:
        place.set("a", 1)
    ran = run("invalidate", "--namespace", "n/m", "--cache", "shop", "--yes", url=redis_url)
    assert (ran.code, ran.err) == (0, "")
    assert [place.get("a") for place in places] == [1, 1, None]
    assert run("invalidate", "--namespace", "n", "--cache", "shop", "-y", url=redis_url).code == 0
    assert [place.get("a") for place in places] == [1, None, None]


def test_keys_and_patterns_stay_in_the_namespace_they_are_asked_for_in(
    cache: Cache, redis_url: str
) -> None:
    places = [cache, cache.namespace("n")]
    where = ("--cache", "shop", "--in-namespace", "n")
    for words in (("a",), ("--pattern", "a*")):
        for place in places:
            place.set("a", 1)
        assert run("invalidate", *words, *where, url=redis_url).code == 0
        assert [place.get("a") for place in places] == [1, None]


def test_a_schema_version_names_its_entries(redis_url: str) -> None:
    with service(redis_url, version=3) as new, service(redis_url) as plain:
        new.set("a", 1)
        plain.set("a", 1)
        assert run("invalidate", "a", "--schema-version", "3", url=redis_url).code == 0
        assert [new.get("a"), plain.get("a")] == [None, 1]


def test_the_url_may_come_from_the_environment(
    cache: Cache, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from freshwell.cli.app import app

    cache.set("a", 1)
    monkeypatch.setenv("FRESHWELL_URL", redis_url)
    assert CliRunner().invoke(app, ["invalidate", "a", "--cache", "shop"]).exit_code == 0
    assert cache.get("a") is None


# -- what is asked about ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("--pattern", "*"), ("--pattern", "?*"), ("--namespace", "n")], ids=" ".join
)
def test_what_takes_much_is_refused_without_a_terminal_unless_told(
    cache: Cache, redis_url: str, words: tuple[str, str]
) -> None:
    places = [cache, cache.namespace("n")]
    for place in places:
        place.set("a", 1)
    ran = run("invalidate", *words, "--cache", "shop", url=redis_url)
    assert (ran.code, ran.out) == (2, "")
    assert "add --yes if that is meant" in ran.err
    assert [place.get("a") for place in places] == [1, 1]
    assert run("invalidate", *words, "--cache", "shop", "--yes", url=redis_url).code == 0
    assert [place.get("a") for place in places].count(None) == 1


# -- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to invalidate"),
        (("a", "--tag", "t"), "KEY and --tag are given: give one kind at a time"),
        (("--pattern", "a*", "--namespace", "n"), "--pattern and --namespace are given"),
        (("a", "--namespace", "shop"), "what code gives as Cache(namespace=NAME) is --cache"),
        (("--tag", "t", "--in-namespace", "n"), "tags belong to the whole cache"),
        (("--namespace", "n", "--in-namespace", "m"), "--namespace a/b"),
        (("a", "--cache", "a b"), "--cache: namespace is 'a b'"),
        (("a", "--in-namespace", "n//m"), "--in-namespace: namespace is ''"),
        (("--namespace", "*"), "--namespace: namespace is '*'"),
        (("a", "--schema-version", "*"), "--schema-version: version is '*'"),
        (("",), "a key has at least one character"),
        (("a\x1b[31m",), "has control characters"),
        (("a", "b\udc80"), "lone surrogates"),
        (("a" * 2**20,), "is longer than max_key_bytes"),
        (("--tag", "t" * 201), "a tag cannot be used"),
        (("--pattern", ""), "a pattern is text"),
        (("--pattern", "a" * 2_000), "a pattern has at most"),
    ],
)
def test_a_command_that_cannot_be_is_told_why_and_does_nothing(
    cache: Cache, redis_url: str, words: tuple[str, ...], said: str
) -> None:
    cache.set("a", 1)
    ran = run("invalidate", "--cache", "shop", *words, url=redis_url)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("freshwell invalidate: ")
    assert said in ran.err
    assert ran.err.strip().isprintable()
    assert cache.get("a") == 1


def test_a_key_is_a_key_and_no_pattern(cache: Cache, redis_url: str) -> None:
    cache.set_many({"a*": 1, "ab": 1})
    assert run("invalidate", "a*", "--cache", "shop", url=redis_url).code == 0
    assert cache.get_many(["a*", "ab"]) == {"ab": 1}


@pytest.mark.parametrize("words", [("a",), ("--tag", "t"), ("--pattern", "a*")], ids=" ".join)
def test_a_server_that_is_not_there_is_told_once_and_without_the_password(
    words: tuple[str, ...],
) -> None:
    ran = run("invalidate", *words, url=f"redis://app:swordfish@127.0.0.1:{free_port()}/0")
    assert (ran.code, ran.out) == (1, "")
    assert "repeat the call" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert "swordfish" not in ran.err


def test_the_password_is_never_shown(own_redis: Server) -> None:
    own_redis.ask("ACL", "SETUSER", "app", "on", ">swordfish", "~*", "&*", "+@all")
    url = own_redis.url.replace("://", "://app:swordfish@")
    for words, code in [
        (["a"], 0),
        (["--tag", "t"], 0),
        (["--pattern", "a*"], 0),
        (["--namespace", "n", "--yes"], 0),
        (["--namespace", "n"], 2),
        ([], 2),
        (["a", "--cache", "/"], 2),
    ]:
        ran = run("invalidate", *words, url=url)
        assert (ran.code, "swordfish" in ran.out + ran.err) == (code, False), ran
    for broken in (f"{url}?nonsense=1", url.replace("127", "127:"), url.replace("redis:", "x:")):
        ran = run("invalidate", "a", url=broken)
        assert (ran.code, "swordfish" in ran.out + ran.err) == (2, False), ran
    own_redis.ask("ACL", "SETUSER", "app", "resetpass", ">other")
    ran = run("invalidate", "a", url=url)
    assert (ran.code, "swordfish" in ran.out + ran.err) == (1, False), ran


def test_a_server_that_refuses_the_script_is_told_in_words(make_redis: MakeServer) -> None:
    server = make_redis()
    server.ask("ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-eval", "-evalsha")
    ran = run("invalidate", "a", url=server.url.replace("://", "://app:x@"))
    assert ran.code == 1
    assert "NOPERM" in ran.err


# -- progress --------------------------------------------------------------------------------


def test_without_a_terminal_a_long_sweep_says_now_and_then_how_far_it_is() -> None:
    said: list[str] = []
    seconds = itertools.count(0)
    counting = Counting(said.append, lambda: next(seconds))
    for gone in range(1, 13):
        counting(gone * 1_000)
    assert said == ["5,000 entries so far", "10,000 entries so far"]


def test_on_a_terminal_a_sweep_is_shown_alive(
    cache: Cache, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which Rich takes any stream for a terminal
    cache.set_many(dict.fromkeys(("report:1", "report:2"), 1))
    ran = run("invalidate", "--pattern", "report:*", "--cache", "shop", url=redis_url)
    assert (ran.code, ran.out[:21]) == (0, "invalidated 2 entries")
    assert "entries invalidated" in ran.err
