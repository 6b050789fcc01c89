"""``freshwell doctor`` on real servers: it only reads, shows no value, and says what it found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from freshwell.cli.doctor.reading import READ_COMMANDS, Reader
from tests.cli.doctor.examining import AWS_KEY, GITHUB_TOKEN, JWT, carry, codes, examine
from tests.cli.journaling import Picky, behind
from tests.cli.running import run, service
from tests.support.cluster import Cluster
from tests.support.plugin import MakeServer
from tests.support.resp import Line
from tests.support.servers import Server, free_port

CONNECTING = {"AUTH", "CLIENT", "HELLO", "SELECT", "PING"}
# The rules of docs/how-to/redis.md.
SHOP = [
    "~fw:e:shop:*",
    "~fw:e:shop/*",
    "~fw:e:shop@*",
    "~fw:t:shop:*",
    "~{fw:j:shop:*",
    "resetchannels",
    "&__redis__:invalidate",
    "+get",
    "+mget",
    "+set",
    "+eval",
    "+evalsha",
    "+time",
    "+ping",
    "+subscribe",
    "+client|id",
    "+client|tracking",
    "+getrange",
    "+setrange",
    "+pttl",
    "+pexpire",
    "+del",
    "+unlink",
    "+scan",
    "+wait",
    "+select",
    "+xadd",
    "+xdel",
    "+xlen",
    "+xrange",
    "+xrevrange",
    "+hset",
    "+hget",
    "+hmget",
    "+hdel",
    "+hexists",
    "+hlen",
    "+hincrby",
    "+hkeys",
    "+zadd",
    "+zrem",
    "+zcard",
    "+zremrangebyscore",
    "+info",
]
CACHING = ("--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru")


def rights() -> list[str]:
    return [f"+{command.lower().replace(' ', '|')}" for command in sorted(READ_COMMANDS)]


def as_user(server: Server, user: str) -> str:
    return server.url.replace("://", f"://{user}:pw@")


def fill(server: Server) -> None:
    """Put something of every type there, also long ones and a stream with a group."""
    carry(
        server,
        ("SET", "s:1", f'{{"password": "{AWS_KEY}"}}'),
        ("HSET", "h:1", "password", "swordfish", "name", "ann"),
        *(("EVAL", f"for i=1,1200 do {call} end", 1, key) for key, call in LONG.items()),
        ("XADD", "x:1", "*", "secret", JWT),
        ("XGROUP", "CREATE", "x:1", "g", "0"),
        ("PFADD", "p:1", "a"),
        ("SET", "s:2", "x", "EX", 100),
    )


LONG = {
    "l:1": "redis.call('rpush',KEYS[1],'s:'..i)",
    "z:1": "redis.call('zadd',KEYS[1],i,'s:'..i)",
    "c:1": "redis.call('sadd',KEYS[1],'s:'..i)",
    "f:1": "redis.call('hset',KEYS[1],i,i)",
}


def test_a_server_that_freshwell_fills_as_its_pages_say_has_no_findings(
    make_redis: MakeServer,
) -> None:
    server = make_redis(aof=True, arguments=CACHING)
    carry(
        server,
        ("ACL", "SETUSER", "shop", "reset", "on", ">pw", *SHOP),
        ("ACL", "SETUSER", "doctor", "reset", "on", ">pw", "allkeys", *rights()),
        ("CONFIG", "SET", "appendfsync", "everysec"),
        ("ACL", "SETUSER", "default", "off"),
    )
    with service(as_user(server, "shop"), namespace="shop", l1=True) as cache:
        cache.set_many({f"user:{n}": {"name": "ann"} for n in range(300)}, tags=["users"], ttl="1h")
        cache.namespace("reports").set("a", "x" * 1_000, ttl="1h")
        cache.invalidate("user:1")
        rows = behind(cache, Picky(), "redis")
        rows.put_many({n: {"id": str(n)} for n in range(20)})
        found = examine(as_user(server, "doctor"), "--fail-on", "notice", code=0)
        rows.close(drain=0)
    assert found["findings"] == []
    assert found["servers"][0]["sampled"] > 300
    assert len(found["servers"][0]["unknown"]) == 1  # of hot keys
    # The control: as it is delivered, the same program has much to be said of.
    assert {"no-maxmemory", "default-user"} <= set(codes(make_redis().url))


def test_it_needs_no_right_but_to_read_and_is_refused_nothing(own_redis: Server) -> None:
    fill(own_redis)
    carry(own_redis, ("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"))
    carry(own_redis, ("ACL", "SETUSER", "doctor", "on", ">pw", "%R~*", *rights()))
    found = examine(as_user(own_redis, "doctor"), code=1)
    assert found["servers"][0]["unknown"] == []
    assert {"plaintext-secret", "index-without-end"} <= {f["code"] for f in found["findings"]}
    refused = [entry[7] for entry in own_redis.ask("ACL", "LOG")]
    assert set(refused) <= {b"client|setinfo"}  # by which redis-py names itself, or does not
    # The control: this user may write nothing.
    own_redis.ask("ACL", "LOG", "RESET")
    run("invalidate", "a", url=as_user(own_redis, "doctor"))
    assert [entry[7] for entry in own_redis.ask("ACL", "LOG")] != []


def test_the_server_sees_nothing_but_reads_and_keeps_what_it_has(own_redis: Server) -> None:
    fill(own_redis)
    carry(own_redis, ("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"))
    before = own_redis.ask("DEBUG", "DIGEST")
    changes = own_redis.info("persistence")["rdb_changes_since_last_save"]
    with Line(own_redis.port) as monitor:
        assert monitor.ask("MONITOR") == b"OK"
        examine(own_redis.url, code=1)
        own_redis.ask("PING", "the end")
        seen = [words for words in _until(monitor, "the end") if words[0] not in CONNECTING]
    sent = {" ".join(words[:n]) for words in seen for n in (1, 2)}
    allowed = {c for c in READ_COMMANDS if c in sent}
    assert len(allowed) > 15
    assert [words for words in seen if not {words[0], " ".join(words[:2])} & READ_COMMANDS] == []
    assert own_redis.ask("DEBUG", "DIGEST") == before
    assert own_redis.info("persistence")["rdb_changes_since_last_save"] == changes


def _until(monitor: Line, end: str) -> Iterator[list[str]]:
    """Yield what a monitor shows as words, the command in capitals."""
    while True:
        line = monitor._reply().decode("utf-8", "replace")
        words = line.split('"')[1::2]
        if end in words:
            return
        second = words[1].upper() if len(words) > 1 else ""
        yield [words[0].upper(), second]


@pytest.mark.parametrize("command", [("SET", "a", 1), ("CONFIG", "SET", "save", ""), ("KEYS", "*")])
def test_a_command_that_is_no_read_is_not_sent(command: tuple[Any, ...]) -> None:
    class Never:
        def batch(self, commands: Any, *, repeat: bool) -> Any:
            raise AssertionError("sent")

    with pytest.raises(ValueError, match="no command that reads"):
        Reader(Never()).ask([("TYPE", "a"), command])  # type: ignore[arg-type]


def test_no_value_is_shown_not_even_in_part(own_redis: Server) -> None:
    secrets = (AWS_KEY, GITHUB_TOKEN, JWT, "swordfish")
    fill(own_redis)
    for number, secret in enumerate(secrets):
        own_redis.ask("SET", f"v:{number}", secret)
        own_redis.ask("SET", f"{secret}:{number}", "x" * 2**20)
    for words in ((), ("--json",)):
        ran = run("doctor", own_redis.url, *words)
        assert "plaintext-secret" in ran.out
        shown = ran.out + ran.err
        for secret in (AWS_KEY, GITHUB_TOKEN, *JWT.split(".")):
            parts = [secret[at : at + 8] for at in range(len(secret) - 8)]
            assert [part for part in parts if part in shown] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 1),
        (("--fail-on", "critical"), 0),
        (("--ignore", "no-maxmemory"), 0),
        (("--ignore", "no-maxmemory", "--fail-on", "notice"), 1),
    ],
)
def test_the_exit_code_says_whether_it_is_so_bad(
    words: tuple[str, ...], code: int, own_redis: Server
) -> None:
    carry(own_redis, ("SET", "user:1", "x", "EX", 600))
    assert run("doctor", own_redis.url, *words).code == code


def test_people_read_findings_with_their_cures(own_redis: Server) -> None:
    carry(own_redis, ("SET", "user:1\x1b[2J", "x"))
    ran = run("doctor", own_redis.url)
    assert ran.out.startswith("warning   no-maxmemory: maxmemory is 0")
    assert "          cure: set maxmemory below" in ran.out
    assert ran.out.splitlines()[-1].endswith("looked at 1 of 1 key on 1 server")
    assert "\x1b" not in ran.out


def test_the_json_has_the_fields_that_the_page_names(own_redis: Server) -> None:
    found = examine(own_redis.url)
    assert list(found) == ["schema", "servers", "findings", "counts"]
    assert found["schema"] == 1
    (server,) = found["servers"]
    assert list(server) == ["server", "version", "keys", "sampled", "unknown"]
    assert list(found["findings"][0]) == ["code", "severity", "servers", "evidence", "cure"]
    assert sum(found["counts"].values()) == len(found["findings"])


def test_a_sample_costs_few_commands_however_many_keys_there_are(own_redis: Server) -> None:
    pages = "for i=1,50000 do redis.call('set','page:'..i,'x','EX',600) end"
    carry(own_redis, ("EVAL", pages, 0), ("CONFIG", "RESETSTAT"))
    found = examine(own_redis.url, "--sample", "600")
    assert (found["servers"][0]["sampled"], found["servers"][0]["keys"]) == (600, 50_000)
    stats = own_redis.info("commandstats")
    calls = sum(int(text.split(",")[0].removeprefix("calls=")) for text in stats.values())
    assert calls < 600 * 7
    assert int(stats["cmdstat_scan"].split(",")[0].removeprefix("calls=")) <= 6


def test_a_journal_that_the_sample_misses_is_found(own_redis: Server) -> None:
    pages = "for i=1,5000 do redis.call('set','page:'..i,'x','EX',600) end"
    carry(own_redis, ("EVAL", pages, 0))
    assert "journal-not-durable" not in codes(own_redis.url, "--sample", "1")
    carry(own_redis, ("HSET", "{fw:j:shop:orders}:about", "v", 1), ("XADD", "x", "*", "a", "b"))
    assert "journal-not-durable" in codes(own_redis.url, "--sample", "1")


def test_other_databases_are_said_not_to_have_been_looked_at(own_redis: Server) -> None:
    with Line(own_redis.port) as line:
        line.ask("SELECT", 3)
        line.ask("SET", "a", 1)
    unknown = examine(own_redis.url)["servers"][0]["unknown"]
    assert "keys of 1 other database (3)" in unknown


def test_no_answer_and_wrong_options_are_no_findings(own_redis: Server) -> None:
    url = own_redis.url
    cases = [
        ((f"redis://app:swordfish@127.0.0.1:{free_port()}/0",), "cannot be reached"),
        (("http://x",), "cannot be used"),
        ((url, "--sample", "0"), "--sample is 0"),
        ((url, "--prefix-separator", ""), "--prefix-separator is empty"),
        ((url, "--timeout", "0"), "--timeout is 0"),
        ((url, "--ignore", "no-such"), "names 'no-such'"),
    ]
    for words, said in cases:
        ran = run("doctor", *words)
        assert (ran.code, ran.out, "swordfish" in ran.err) == (2, "", False), ran
        assert said in ran.err
    own_redis.ask("ACL", "SETUSER", "blind", "on", ">pw", "~*", "+info")
    refused = run("doctor", as_user(own_redis, "blind"))
    assert (refused.code, "does not let its keys be looked at" in refused.err) == (2, True)
    own_redis.freeze()
    assert run("doctor", url, "--timeout", "0.2").code == 2


def test_every_primary_of_a_cluster_is_looked_at(redis_cluster: Cluster, cluster_url: str) -> None:
    for server in redis_cluster.primaries:
        tag = next(t for t in map(str, range(9_999)) if _owns(server, redis_cluster, t))
        server.ask("SET", f"user:{{{tag}}}", AWS_KEY)
    found = examine(cluster_url, code=1)
    assert [server["sampled"] for server in found["servers"]] == [1, 1, 1]
    (secret,) = [one for one in found["findings"] if one["code"] == "plaintext-secret"]
    assert sorted(secret["servers"]) == sorted(server["server"] for server in found["servers"])


def _owns(server: Server, cluster: Cluster, tag: str) -> bool:
    return cluster.owner(cluster.slot_of(tag.encode())).port == server.port


def test_the_primary_that_sentinels_name_is_looked_at(sentinel_url: str) -> None:
    with service(sentinel_url) as cache:
        cache.set("a", 1)
    (server,) = examine(sentinel_url)["servers"]
    assert server["sampled"] == 1
