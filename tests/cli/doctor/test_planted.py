"""Faults that are planted in real servers are found, and not where they have been cured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.cli.doctor.examining import AWS_KEY, JWT, Command, carry, codes
from tests.support.resp import Line
from tests.support.servers import Server

FILL = "for i=1,tonumber(ARGV[1]) do redis.call('set','page:'..i,string.rep('x',4096),'EX',600) end"
READ = "for i=1,tonumber(ARGV[1]) do redis.call('get',KEYS[1]) end"
INDEX = "for i=1,1500 do redis.call('sadd',KEYS[1],'user:'..i) end"
SCORED = "for i=1,1500 do redis.call('zadd',KEYS[1],i,'user:'..i) end"
LISTED = "for i=1,1500 do redis.call('rpush',KEYS[1],'user:'..i) end"


class Fault(NamedTuple):
    """What is planted, and what cures it. Both on a server that caches: volatile-lru, bounded."""

    plant: tuple[Command, ...]
    cure: tuple[Command, ...]


def _set(name: str, to: str | int) -> Command:
    return ("CONFIG", "SET", name, to)


GROUP: Command = ("XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM")
JOURNAL: Command = ("HSET", "{fw:j:shop:orders}:about", "v", 1)
RECORD: Command = ("XADD", "{fw:j:shop:orders:0}:records", "*", "n", "")
CACHED: Command = ("SET", "user:1", "x", "EX", 600)
REACHED = _set("bind", "127.0.0.1 -10.255.255.1")  # an address that is not there is passed over
LOCAL = _set("bind", "127.0.0.1")
SHOP = ("on", ">pw", "~fw:e:*", "&*", "+get", "+eval", "+subscribe")
ENTRY: Command = ("SET", "fw:e:shop:a", "x", "EX", 600)

FAULTS = {
    "no-ttl": Fault((("SET", "user:1", "x"),), (("EXPIRE", "user:1", 600),)),
    "big-key": Fault((("SETRANGE", "report:1", 2**21, "x"),), (("UNLINK", "report:1"),)),
    "index-without-end (set)": Fault(
        (CACHED, ("EVAL", INDEX, 1, "users:all")), (("EXPIRE", "users:all", 600),)
    ),
    "index-without-end (zset)": Fault(
        (CACHED, ("EVAL", SCORED, 1, "users:all")), (("EXPIRE", "users:all", 600),)
    ),
    "index-without-end (list)": Fault(
        (CACHED, ("EVAL", LISTED, 1, "users:all")), (("LTRIM", "users:all", 0, 9),)
    ),
    "hot-key": Fault(
        (
            _set("maxmemory-policy", "allkeys-lfu"),
            _set("lfu-log-factor", 0),
            CACHED,
            ("EVAL", READ, 1, "user:1", 300),
        ),
        (("DEL", "user:1"), CACHED),
    ),
    "plaintext-secret (string)": Fault(
        (("SET", "user:1", AWS_KEY, "EX", 600),), (("SET", "user:1", "arn:of:it", "EX", 600),)
    ),
    "plaintext-secret (hash)": Fault(
        (("HSET", "user:1", "name", "ann", "password", "hunter2"), ("EXPIRE", "user:1", 600)),
        (("HDEL", "user:1", "password"),),
    ),
    "plaintext-secret (value of a hash)": Fault(
        (("HSET", "user:1", "name", "ann", "t", JWT), ("EXPIRE", "user:1", 600)),
        (("HSET", "user:1", "t", "none"),),
    ),
    "plaintext-secret (member)": Fault(
        (("RPUSH", "jobs:1", AWS_KEY), ("EXPIRE", "jobs:1", 600)), (("LTRIM", "jobs:1", 1, 0),)
    ),
    "plaintext-secret (name)": Fault(
        (("SET", f"session:{AWS_KEY}", "x", "EX", 600),), (("DEL", f"session:{AWS_KEY}"),)
    ),
    "no-maxmemory": Fault((_set("maxmemory", 0),), (_set("maxmemory", "100mb"),)),
    "noeviction-cache": Fault(
        (CACHED, _set("maxmemory-policy", "noeviction")),
        (_set("maxmemory-policy", "volatile-lru"),),
    ),
    "volatile-without-ttl": Fault((("SET", "user:1", "x"),), (("EXPIRE", "user:1", 600),)),
    "lasting-data-evicted": Fault(
        (("HSET", "cart:1", "tea", 2), _set("maxmemory-policy", "allkeys-lru")),
        (_set("maxmemory-policy", "volatile-lru"),),
    ),
    "journal-evicted": Fault(
        (GROUP, _set("maxmemory-policy", "allkeys-lru")),
        (_set("maxmemory-policy", "noeviction"),),
    ),
    "journal-not-durable": Fault((GROUP,), (_set("appendonly", "yes"),)),
    "journal-not-durable (freshwell)": Fault((JOURNAL, RECORD), (_set("appendonly", "yes"),)),
    "no-auth": Fault((REACHED,), (("ACL", "SETUSER", "default", "resetpass", ">pw"),)),
    "no-auth (bind)": Fault((REACHED,), (LOCAL,)),
    "protected-mode-off": Fault(
        (REACHED, _set("protected-mode", "no")), (_set("protected-mode", "yes"),)
    ),
    "no-tls": Fault((REACHED,), (LOCAL,)),
    "default-user": Fault(
        (("ACL", "SETUSER", "default", "+@all"),), (("ACL", "SETUSER", "default", "-debug"),)
    ),
    "dangerous-commands": Fault(
        (("ACL", "SETUSER", "shop", "on", ">pw", "~*", "+@all", "-keys"),),
        (("ACL", "SETUSER", "shop", "-@dangerous", "-@admin"),),
    ),
    "no-tracking": Fault(
        (ENTRY, ("ACL", "SETUSER", "shop", *SHOP)),
        (("ACL", "SETUSER", "shop", "+client|tracking"),),
    ),
    "keys-used": Fault((("KEYS", "user:*"),), (("CONFIG", "RESETSTAT"),)),
    "slow-commands": Fault(
        (
            _set("slowlog-log-slower-than", 0),
            ("SADD", "tags", "a"),
            ("SMEMBERS", "tags"),
            _set("slowlog-log-slower-than", 10_000),
        ),
        (("SLOWLOG", "RESET"),),
    ),
    "hit-ratio": Fault((("EVAL", READ, 1, "nothing", 10_000),), (("CONFIG", "RESETSTAT"),)),
    "evictions": Fault(
        (("EVAL", FILL, 0, 1_500), _set("maxmemory", "2mb"), CACHED), (("CONFIG", "RESETSTAT"),)
    ),
    "latency": Fault(
        (_set("latency-monitor-threshold", 1), ("DEBUG", "SLEEP", "0.12")), (("LATENCY", "RESET"),)
    ),
}


TOUCHED = (
    *("bind", "protected-mode", "appendonly", "slowlog-log-slower-than"),
    *("latency-monitor-threshold", "lfu-log-factor"),
)


class Patient(NamedTuple):
    """A server to be made ill and well again, by a connection that outlives its passwords."""

    url: str
    line: Line
    settings: tuple[Command, ...]


@pytest.fixture(scope="module")
def ward() -> Iterator[Patient]:
    """Give a server for all faults of this module."""
    with Server() as server, Line(server.port) as line:
        told = [line.ask("CONFIG", "GET", name) for name in TOUCHED]
        yield Patient(server.url, line, tuple(_set(n.decode(), v.decode()) for n, v in told))


@pytest.fixture
def patient(ward: Patient) -> Patient:
    """Give a server that caches and has nothing, whatever the test before has done to it."""
    carry(
        ward.line,
        ("ACL", "SETUSER", "default", "on", "nopass", "~*", "&*", "+@all"),
        ("ACL", "DELUSER", "shop"),
        ("FLUSHALL",),
        *ward.settings,
        _set("maxmemory", "100mb"),
        _set("maxmemory-policy", "volatile-lru"),
        ("CONFIG", "RESETSTAT"),
        ("SLOWLOG", "RESET"),
        ("LATENCY", "RESET"),
    )
    return ward


@pytest.mark.server
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_until_it_is_cured(name: str, patient: Patient) -> None:
    fault, code = FAULTS[name], name.partition(" ")[0]
    before = codes(patient.url)
    carry(patient.line, *fault.plant)
    planted = codes(patient.url)
    carry(patient.line, *fault.cure)
    url = patient.url
    if ("ACL", "SETUSER", "default", "resetpass", ">pw") in fault.cure:
        url = url.replace("://", "://:pw@")
    assert code in planted
    assert code not in codes(url)
    assert code not in before or code == "default-user"
