"""Commands: sealed values are never shown, hostile keys are refused, passwords are not repeated."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freshwell import Cache, Compressed, Sealed, Signed
from tests.cli.journaling import Picky, behind
from tests.cli.running import Ran, run
from tests.security.parts import KEYS
from tests.support.servers import Server

VALUE = "hush-value"
HASHING = bytes(range(50, 82))
CODECS = {
    "sealed": Sealed("json", KEYS),
    "sealed, compressed": Sealed(
        Compressed("json", threshold_bytes=0), KEYS, allow_compressed=True
    ),
}


@pytest.fixture(params=[*CODECS.values()], ids=[*CODECS])
def cache(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Cache]:
    with Cache(redis_url, namespace="shop", codec=request.param, l1=False) as cache:
        yield cache


@pytest.mark.parametrize("words", [(), ("--json",), ("--value",), ("--value", "--json")], ids=str)
def test_a_sealed_value_is_never_shown(
    cache: Cache, redis_url: str, words: tuple[str, ...]
) -> None:
    cache.set("a", {"is": VALUE})
    ran = run("inspect", "a", "--cache", "shop", *words, url=redis_url)
    assert ran.code == 0
    assert "sealed" in ran.out
    assert ("sealed: never shown" in ran.out) == ("--value" in words)
    assert VALUE not in ran.out + ran.err


def test_word_that_there_is_none_is_sealed_too(cache: Cache, redis_url: str) -> None:
    cache.get_or_load_many(["a"], lambda keys: {})
    ran = run("inspect", "a", "--cache", "shop", "--value", url=redis_url)
    assert "negative, " in ran.out
    assert "sealed: never shown" in ran.out
    assert "the source has none" not in ran.out


def test_what_is_signed_or_in_the_clear_is_another_matter(redis_url: str) -> None:
    for codec, told in (("json", VALUE), (Signed("json", KEYS), "only its own cache can read it")):
        with Cache(redis_url, namespace="shop", codec=codec, l1=False) as cache:
            cache.set("a", VALUE)
        ran = run("inspect", "a", "--cache", "shop", "--value", url=redis_url)
        assert told in ran.out


def test_letters_of_a_sealed_journal_are_never_shown(tmp_path: Path) -> None:
    journal = f"sqlite:///{tmp_path / 'j.db'}"
    with Cache(namespace="shop", codec=CODECS["sealed"], hash_keys=HASHING) as cache:
        source = Picky()
        with behind(cache, source, journal, key="patient:{}") as rows:
            source.refused.add("4711")
            rows.put("4711", {"is": VALUE})
            rows.flush(timeout=20)
            listed = run("journal", "list", journal)
            assert "(sealed)" in listed.out
            sequence = listed.out.splitlines()[1].split()[0]
            asked: list[Ran] = [
                listed,
                run("journal", "list", journal, "--json"),
                run("journal", "show", journal, sequence),
                run("journal", "export", journal),
                run("journal", "stats", journal),
            ]
            assert "sealed: never shown" in asked[2].out
            assert '"flags": ["sealed"]' in asked[3].out
            everything = "".join(ran.out + ran.err for ran in asked)
            assert not [told for told in (VALUE, "4711") if told in everything]
            assert run("journal", "retry", journal, sequence).code == 0
            source.refused.clear()
            rows.flush(timeout=20)
            assert source.rows == {"4711": {"is": VALUE}}


def test_hashed_names_are_found_with_their_key(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME_KEYS", "hash_keys:" + base64.b64encode(HASHING).decode())
    with_key = ("--cache", "shop", "--hash-keys-env", "NAME_KEYS")
    with Cache(redis_url, namespace="shop", hash_keys=HASHING, l1=False) as cache:
        cache.set_many({"a": 1, "b": 1, "c": 1}, tags=["hush"])
        assert run("inspect", "a", "--cache", "shop", url=redis_url).code == 1
        ran = run("inspect", "a", *with_key, url=redis_url)
        assert ran.code == 0
        assert "(current)" in ran.out
        assert "hush" not in ran.out
        assert run("invalidate", "a", *with_key, url=redis_url).code == 0
        assert cache.get_many(["a", "b"]) == {"b": 1}
        assert run("invalidate", "--tag", "hush", *with_key, url=redis_url).code == 0
        assert cache.get_many(["a", "b", "c"]) == {}
        ran = run("invalidate", "--pattern", "a*", *with_key, url=redis_url)
        assert (ran.code, "hash_keys" in ran.err) == (2, True)
        ran = run("inspect", "a", "--hash-keys-env", "NOT_SET", url=redis_url)
        assert (ran.code, "NOT_SET is not set" in ran.err) == (2, True)


HOSTILE: dict[str, Any] = {
    "empty": "",
    "newline": "a\r\nFLUSHALL\r\n",
    "escape": "\x1b]0;title\x07",
    "unit separator": "\x1fother:a",
    "surrogate": "\udcff",
    "1 MB": "k" * 2**20,
}


@pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_keys_are_refused_by_commands(
    redis_url: str, redis_server: Server, key: str
) -> None:
    redis_server.ask("SET", "fw:e:default:a", "here")
    asked = [
        run("inspect", key, url=redis_url),
        run("inspect", "--json", key, url=redis_url),
        run("invalidate", key, url=redis_url),
        run("invalidate", "--tag", key, url=redis_url),
    ]
    for ran in asked:
        assert ran.code == 2
        assert len(ran.out + ran.err) < 1_000
        assert "\x1b]" not in ran.out + ran.err
    assert redis_server.ask("GET", "fw:e:default:a") == b"here"


def test_globs_are_keys_like_any_other_to_commands(redis_url: str) -> None:
    with Cache(redis_url, l1=False) as cache:
        cache.set_many({"*": 1, "a": 2, "[a-z]": 3})
        for key in ("*", "[a-z]"):
            assert run("invalidate", key, url=redis_url).code == 0
        assert cache.get_many(["*", "a", "[a-z]"]) == {"a": 2}


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hush-word@127.0.0.1:1/0",
        "redis://user:hush/word@127.0.0.1:1/0",
        "redis+cluster://:hush-word@127.0.0.1:1",
        "redis+sentinel://user:hush-word@127.0.0.1:1/main",
        "nonsense://user:hush-word@127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?password=hush-word",
    ],
)
def test_passwords_are_not_repeated_by_commands(url: str) -> None:
    asked = [
        run("inspect", "a", url=url),
        run("invalidate", "a", url=url),
        run("journal", "stats", url),
        run("journal", "list", url),
    ]
    for ran in asked:
        assert ran.code in (1, 2)
        assert "hush" not in ran.out + ran.err
