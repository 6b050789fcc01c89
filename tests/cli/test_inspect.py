"""``freshwell inspect``: what it says of real entries, and that it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from freshwell import Cache, Saved
from freshwell.ground.frame import Flag, State, encode
from freshwell.ground.keys import digest8
from tests.cli.running import run, service
from tests.support.servers import Server, free_port
from tests.support.threads import Latch, start, until


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    """Give the cache of a service that runs."""
    with service(redis_url, namespace="shop") as cache:
        yield cache


def facts(key: str, *words: str, url: str, code: int = 0) -> dict[str, Any]:
    """Return what ``--json`` says of a key of the cache `shop`."""
    ran = run("inspect", key, "--cache", "shop", "--json", *words, url=url)
    assert (ran.code, ran.err) == (code, "")
    assert len(ran.out.splitlines()) == 1
    found: dict[str, Any] = json.loads(ran.out)
    return found


def put(server: Server, data: bytes | None = None, **frame: Any) -> None:
    """Put bytes, or a frame that is right but for what is said, under the key `a` of `shop`."""
    key = b"fw:e:shop:a"
    whole = {"state": State.VALUE, "digest": digest8(key), "codec": 1, "payload": b'"swordfish"'}
    server.ask("SET", key, encode(**{**whole, **frame}) if data is None else data)


def test_a_fresh_entry_is_shown_with_its_times_size_codec_and_tags(
    cache: Cache, redis_url: str
) -> None:
    cache.get_or_load("user:42", lambda: 7, ttl="10m", stale_ttl="1h", tags=["users"], jitter=0)
    found = facts("user:42", url=redis_url)
    assert (found["state"], found["codec"], found["flags"]) == ("fresh", "json", [])
    assert found["redis_key"] == "fw:e:shop:user:42"
    assert 0 <= found["age_ms"] < 60_000
    assert 540_000 < found["ttl_left_ms"] <= 600_000
    assert 4_140_000 < found["kept_ms"] <= 4_200_000
    assert found["load_cost_us"] > 0
    assert found["size_bytes"] == 56 + 16 + 1
    (tag,) = found["tags"]
    assert (tag["kind"], tag["name"], tag["status"]) == ("tag", "users", "current")
    assert (found["lease_left_ms"], found["value"]) == (None, None)


def test_people_get_rows_that_begin_with_the_key(cache: Cache, redis_url: str) -> None:
    cache.set("user:42", 7, tags=["users"])
    ran = run("inspect", "user:42", "--cache", "shop", url=redis_url)
    assert (ran.code, ran.err) == (0, "")
    labels = [line.split("  ")[0] for line in ran.out.splitlines()]
    assert labels == [
        *("key", "key in Redis", "state", "age", "TTL left", "kept for"),
        *("load cost", "size", "codec", "tag"),
    ]
    assert "users (current)" in ran.out


def test_nothing_there_is_absent_and_has_an_exit_code_of_its_own(redis_url: str) -> None:
    found = facts("user:42", url=redis_url, code=1)
    assert (found["state"], found["kept_ms"]) == ("absent", None)
    assert run("inspect", "user:42", url=redis_url).code == 1


def test_an_expired_entry_is_stale(cache: Cache, redis_url: str) -> None:
    cache.set("a", 1, stale_ttl="1h")
    cache.expire("a")
    found = facts("a", url=redis_url)
    assert (found["state"], found["ttl_left_ms"]) == ("stale", 0)


def test_a_tombstone_is_an_invalidated_entry(redis_server: Server, redis_url: str) -> None:
    put(redis_server, state=State.TOMBSTONE)
    found = facts("a", url=redis_url)
    assert (found["state"], found["ttl_left_ms"], found["codec"]) == ("invalidated", None, None)


def test_a_load_under_way_is_a_lease(cache: Cache, redis_url: str) -> None:
    begun, let_go = Latch(), Latch()

    def load() -> int:
        begun.open()
        let_go.passed()
        return 1

    loading = start(lambda: cache.get_or_load("a", load))
    begun.passed()
    found = facts("a", url=redis_url)
    assert (found["state"], found["lease_left_ms"] > 0) == ("leased", True)
    let_go.open()
    assert loading.result() == 1
    assert facts("a", url=redis_url)["lease_left_ms"] is None


def test_a_refresh_of_a_stale_entry_is_shown_beside_it(cache: Cache, redis_url: str) -> None:
    cache.set("a", 1, stale_ttl="1h")
    cache.expire("a")
    let_go = Latch()

    def load() -> int:
        let_go.passed()
        return 2

    assert cache.get_or_load("a", load, stale_ttl="1h") == 1
    until(lambda: facts("a", url=redis_url)["lease_left_ms"] is not None, "the refresh's lease")
    assert facts("a", url=redis_url)["state"] == "stale"
    let_go.open()


def test_writers_are_counted(cache: Cache, redis_url: str) -> None:
    with cache.writing("a"), cache.writing("a"):
        found = facts("a", url=redis_url)
        assert (found["state"], found["writers"]) == ("being written", 2)


def test_writers_are_counted_apart_from_what_one_has_left(cache: Cache, redis_url: str) -> None:
    begun, let_go = Latch(), Latch()

    class Rows:
        def load(self, id: str) -> str | None:
            return None

        def save(self, id: str, value: str) -> Saved[str]:
            if value == "first":
                begun.open()
                let_go.passed()
            return Saved(version=len(value))

    rows = cache.write_through(Rows(), key="{}")
    putting = start(lambda: rows.put("a", "first"))
    begun.passed()
    rows.put("a", "second" * 100)
    found = facts("a", url=redis_url)
    assert (found["state"], found["writers"]) == ("being written", 1)
    let_go.open()
    putting.result()
    assert cache.get("a") == "second" * 100


def test_each_tag_says_whether_it_is_current_changed_being_changed_or_lost(
    cache: Cache, redis_url: str, redis_server: Server
) -> None:
    names = ("kept", "changed", "busy", "lost")
    cache.set("a", 1, tags=names)
    assert facts("a", url=redis_url)["state"] == "fresh"
    cache.invalidate_tags("changed")
    digests = {tag["name"]: tag["digest"] for tag in facts("a", url=redis_url)["tags"]}
    assert redis_server.ask("DEL", f"fw:t:shop:{digests['lost']}") == 1
    with cache.writing("b", tags=["busy"]):
        found = facts("a", url=redis_url)
    assert found["state"] == "outdated"
    assert {tag["digest"]: (tag["name"], tag["status"]) for tag in found["tags"]} == {
        digests["kept"]: ("kept", "current"),
        digests["changed"]: ("changed", "changed"),
        digests["busy"]: (None, "being changed"),
        digests["lost"]: (None, "lost"),
    }


def test_tags_of_namespaces_and_schema_versions_have_their_names(redis_url: str) -> None:
    with service(redis_url, namespace="shop", version="v2") as cache:
        cache.namespace("n").namespace("m").set("a", 1)
    where = ("--schema-version", "v2", "--in-namespace", "n/m")
    found = facts("a", *where, url=redis_url)
    assert (found["state"], found["redis_key"]) == ("fresh", "fw:e:shop@v2/n/m:a")
    assert [(tag["kind"], tag["name"]) for tag in found["tags"]] == [
        ("namespace", "n"),
        ("namespace", "n/m"),
        ("schema versions", "a"),
    ]
    assert facts("a", url=redis_url, code=1)["state"] == "absent"


def test_a_very_long_tag_says_that_it_was_cut(cache: Cache, redis_url: str) -> None:
    cache.set("a", 1, tags=["é" * 100])
    (tag,) = facts("a", url=redis_url)["tags"]
    assert (tag["name"][:99], tag["name"][-3:], tag["status"]) == ("é" * 99, "...", "current")


# -- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_the_value_is_shown_where_it_is_asked_for_and_not_else(redis_url: str, codec: str) -> None:
    with service(redis_url, namespace="shop", codec=codec) as cache:
        cache.set("a", {"name": "swordfish\x1b[31m"})
    plain = run("inspect", "a", "--cache", "shop", url=redis_url)
    assert "swordfish" not in plain.out
    shown = run("inspect", "a", "--cache", "shop", "--value", url=redis_url)
    assert r"{'name': 'swordfish\x1b[31m'}" in shown.out
    found = facts("a", "--value", url=redis_url)
    assert (found["codec"], found["value"]) == (codec, r"{'name': 'swordfish\x1b[31m'}")


def test_a_long_value_is_cut(cache: Cache, redis_url: str) -> None:
    cache.set("a", "x" * 10_000)
    found = facts("a", "--value", url=redis_url)
    assert (len(found["value"]), found["value_note"]) == (2_000, "cut: 8,002 more characters")


def test_a_negative_entry_has_the_value_none(redis_url: str) -> None:
    with service(redis_url, namespace="shop", negative_ttl="1m") as cache:
        cache.get_or_load("a", lambda: None)
    found = facts("a", "--value", url=redis_url)
    assert (found["flags"], found["codec"]) == (["negative"], "none")
    assert (found["value"], found["value_note"]) == ("None", "the source has none")


@pytest.mark.parametrize("flag", [Flag.SEALED, Flag.SIGNED, Flag.COMPRESSED, Flag.SEALED | 1])
def test_the_value_of_a_sealed_entry_is_never_shown(
    redis_server: Server, redis_url: str, flag: int
) -> None:
    put(redis_server, flags=flag)
    ran = run("inspect", "a", "--cache", "shop", "--value", url=redis_url)
    assert (ran.code, "swordfish" in ran.out) == (0, False)
    found = facts("a", "--value", url=redis_url)
    assert found["flags"]
    assert found["value"] is None
    assert found["value_note"]
    # The control: without the flag the same bytes are shown.
    put(redis_server)
    assert "swordfish" in facts("a", "--value", url=redis_url)["value"]


@pytest.mark.parametrize(
    ("codec", "payload"), [(1, b"{"), (2, b"\xc1"), (1, b"[" * 100_000), (3, b"x"), (77, b"x")]
)
def test_a_value_that_cannot_be_decoded_is_said_to_be_so(
    redis_server: Server, redis_url: str, codec: int, payload: bytes
) -> None:
    put(redis_server, codec=codec, payload=payload)
    found = facts("a", "--value", url=redis_url)
    assert (found["state"], found["value"]) == ("stale", None)
    assert found["value_note"].startswith("not shown: ")


# -- what is none of ours --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"swordfish\x1b[31m" * 10, "foreign"),
        (b"fw\x02" + b"x" * 100, "newer version"),
        (b"\xff" * 2**20, "foreign"),
    ],
)
def test_foreign_bytes_are_rejected_and_never_shown(
    redis_server: Server, redis_url: str, data: bytes, reason: str
) -> None:
    put(redis_server, data)
    ran = run("inspect", "a", "--cache", "shop", "--value", url=redis_url)
    assert (ran.code, "swordfish" in ran.out, "\x1b" in ran.out) == (0, False, False)
    assert f"rejected ({reason})" in ran.out
    found = facts("a", url=redis_url)
    assert (found["reason"], found["size_bytes"]) == (reason, len(data))
    assert found["kept_ms"] is None


def test_torn_bytes_anothers_entry_and_a_tags_version_are_rejected(
    redis_server: Server, redis_url: str
) -> None:
    put(redis_server, digest=bytes(8))
    assert facts("a", url=redis_url)["reason"] == "other key"
    put(redis_server, state=State.STAMP)
    assert facts("a", url=redis_url)["reason"] == "a tag's version"
    put(redis_server)
    redis_server.ask("SETRANGE", "fw:e:shop:a", 60, b"!")
    assert facts("a", url=redis_url)["reason"] == "torn"


def test_a_key_of_another_type_is_said_to_be_so(redis_server: Server, redis_url: str) -> None:
    redis_server.ask("HSET", "fw:e:shop:a", "field", "swordfish")
    found = facts("a", "--value", url=redis_url)
    assert (found["state"], found["size_bytes"]) == ("rejected", None)
    assert found["reason"] == "it is a Redis hash, and no entry of freshwell's"


def test_a_tags_version_of_another_type_is_lost(
    cache: Cache, redis_server: Server, redis_url: str
) -> None:
    cache.set("a", 1, tags=["users"])
    (tag,) = facts("a", url=redis_url)["tags"]
    version = f"fw:t:shop:{tag['digest']}"
    redis_server.ask("DEL", version)
    redis_server.ask("HSET", version, "field", "1")
    found = facts("a", url=redis_url)
    assert (found["state"], found["tags"][0]["status"]) == ("outdated", "lost")


# -- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "at least one character"),
        ("a\x1b]0;x\x07", "control characters"),
        ("x" * 2**20, "longer than max_key_bytes"),
    ],
)
def test_a_key_that_can_be_none_is_told_and_not_printed(
    redis_url: str, key: str, said: str
) -> None:
    ran = run("inspect", key, url=redis_url)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.strip().isprintable()
    assert len(ran.err) < 300


def test_a_key_that_looks_like_markup_or_turns_the_text_around_is_shown_harmlessly(
    cache: Cache, redis_url: str
) -> None:
    cache.set("[red]*\u202e", 1)
    ran = run("inspect", "[red]*\u202e", "--cache", "shop", url=redis_url)
    assert ran.code == 0
    assert r"[red]*\u202e" in ran.out
    assert "\u202e" not in ran.out


def test_no_answer_is_neither_found_nor_absent(own_redis: Server) -> None:
    gone = run("inspect", "a", url=f"redis://app:swordfish@127.0.0.1:{free_port()}/0")
    assert (gone.code, gone.out, "swordfish" in gone.err) == (2, "", False)
    assert "cannot be reached" in gone.err
    own_redis.ask("ACL", "SETUSER", "app", "on", ">swordfish", "~*", "+@all", "-get")
    refused = run("inspect", "a", url=own_redis.url.replace("://", "://app:swordfish@"))
    assert (refused.code, refused.out, "swordfish" in refused.err) == (2, "", False)
    assert "NOPERM" in refused.err


def test_it_needs_no_right_to_write(own_redis: Server) -> None:
    with service(own_redis.url) as cache:
        cache.set("a", 1, tags=["users"])
        cache.expire("a")
    commands = ("get", "mget", "pttl", "type", "time", "client", "select", "ping", "hello")
    rights = [f"+{command}" for command in commands]
    own_redis.ask("ACL", "SETUSER", "reader", "on", ">swordfish", "%R~fw:*", *rights)
    url = own_redis.url.replace("://", "://reader:swordfish@")
    ran = run("inspect", "a", url=url)
    assert (ran.code, ran.err, "swordfish" in ran.out) == (0, "", False)
    assert "users (current)" in ran.out
    # The control: this user may change nothing.
    assert run("invalidate", "a", url=url).code == 1


def test_times_are_the_servers_and_not_this_machines(
    redis_server: Server, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, us = (int(part) for part in redis_server.ask("TIME"))
    now_ms = seconds * 1_000 + us // 1_000
    put(redis_server, born_ms=now_ms - 60_000, fresh_until_ms=now_ms + 600_000)
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("time.time_ns", lambda: 0)
    found = facts("a", url=redis_url)
    assert found["state"] == "fresh"
    assert 60_000 <= found["age_ms"] < 120_000
    assert 540_000 < found["ttl_left_ms"] <= 600_000
