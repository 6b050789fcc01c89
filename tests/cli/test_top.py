"""``freshwell top`` over real processes that publish."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from freshwell import Cache
from tests.cli.running import run
from tests.support.servers import Server
from tests.support.threads import until

SOURCES = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def cache(own_redis: Server) -> Iterator[Cache]:
    """Give a cache that publishes, and has answered one read of two."""
    with Cache(own_redis.url, namespace="shop") as cache:
        cache.publish(0.1, keys=True)
        cache.get_or_load("a", lambda: 1)
        cache.get("a", read="fresh")
        until(
            lambda: b'misses":1' in published(own_redis) and b'hits_l2":1' in published(own_redis)
        )
        yield cache


def published(server: Server) -> bytes:
    return b"".join(server.ask("GET", key) or b"" for key in server.ask("KEYS", "fw:p:*"))


def test_one_look_for_scripts(cache: Cache, own_redis: Server) -> None:
    ran = run("top", "--once", "--json", url=own_redis.url)
    assert (ran.code, ran.err) == (0, "")
    (line,) = ran.out.splitlines()
    view = json.loads(line)
    (shop,) = view["namespaces"]
    assert (shop["namespace"], shop["processes"], shop["hit_ratio"]) == ("shop", 1, 0.5)
    assert shop["hot"] == [{"key": "a", "reads": 2}]
    assert view["processes"][0]["counts"]["loads"] == 1


def test_one_look_for_people(cache: Cache, own_redis: Server) -> None:
    ran = run("top", "--once", url=own_redis.url)
    assert ran.code == 0
    assert "shop" in ran.out
    assert "50.0%" in ran.out


def test_only_one_cache_where_that_is_asked_for(cache: Cache, own_redis: Server) -> None:
    ran = run("top", "--once", "--json", "--cache", "other", url=own_redis.url)
    assert json.loads(ran.out)["namespaces"] == []


def test_bytes_that_are_no_snapshot_are_passed_over(cache: Cache, own_redis: Server) -> None:
    own_redis.ask("SET", "fw:p:shop:foreign", b"\xff{")
    own_redis.ask("LPUSH", "fw:p:shop:list", "x")
    ran = run("top", "--once", "--json", url=own_redis.url)
    assert (ran.code, len(json.loads(ran.out)["processes"])) == (0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--interval", "0"), "--interval"),
        (("--interval", "nan"), "--interval"),
        (("--cache", "a b"), "namespace"),
    ],
    ids=str,
)
def test_a_wrong_option_is_one_sentence(words: tuple[str, ...], said: str) -> None:
    ran = run("top", "--once", *words, url="redis://127.0.0.1:1/0")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    ran = run("top", "--once", url="redis://127.0.0.1:1/0")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


@pytest.mark.slow
def test_the_live_view_moves_and_ends_with_ctrl_c(cache: Cache, own_redis: Server) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "freshwell.cli", "top", "--interval", "0.2"],
        env=os.environ
        | {"FRESHWELL_URL": own_redis.url, "PYTHONPATH": str(SOURCES), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(theirs)
    try:
        assert b"shop" in read_until(ours, b"shop")
        before = cache.stats().loads
        for number in range(50):
            cache.get_or_load(f"more:{number}", lambda: 1)
        assert cache.stats().loads == before + 50
        assert b"more:" in read_until(ours, b"more:")
        process.send_signal(signal.SIGINT)
        read_until(ours, b"\x1b[?1049l")  # the terminal is given back
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        if process.stderr is not None:
            process.stderr.close()


def read_until(terminal: int, wanted: bytes) -> bytes:
    """Return what a terminal shows until the text comes."""
    seen, until_s = b"", time.monotonic() + 30
    while wanted not in seen:
        assert time.monotonic() < until_s, seen[-2_000:]
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                seen += os.read(terminal, 65_536)
            except OSError:  # the other side has gone
                break
    return seen
