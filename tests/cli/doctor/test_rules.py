"""What the doctor makes of what it has seen: each fault beside the like of it that is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freshwell.cli.doctor.examining import judged
from freshwell.cli.doctor.findings import CHECKS, Finding, Severity, merged
from freshwell.cli.doctor.rights import allows
from freshwell.cli.doctor.seen import KeySeen, ServerSeen, User
from tests.cli.doctor.test_planted import FAULTS

GIB = "1073741824"
PLAIN = ServerSeen("here", True, config={"maxmemory": GIB, "maxmemory-policy": "volatile-lru"})


def told(**info: str) -> ServerSeen:
    return replace(PLAIN, info=info)


def set_to(**config: str) -> ServerSeen:
    named = {name.replace("_", "-"): text for name, text in config.items()}
    return replace(PLAIN, config={**PLAIN.config, **named})


def holding(*keys: KeySeen, total: int = 0, **more: Any) -> ServerSeen:
    return replace(PLAIN, keys=keys, total=total or len(keys), **more)


def key(name: str = "user:1", kind: str = "string", ttl_ms: int = 5, **more: Any) -> KeySeen:
    return KeySeen(name.encode(), kind, ttl_ms, **more)


def found(seen: ServerSeen) -> dict[str, Finding]:
    return {one.code: one for one in judged(seen, ":")}


CASES = {
    "old-version": (told(redis_version="6.2.14"), told(redis_version="7.0.15")),
    "fragmentation": (
        told(used_memory=GIB, mem_fragmentation_ratio="1.80"),
        told(used_memory=GIB, mem_fragmentation_ratio="1.20"),
    ),
    "fragmentation (swapped)": (
        told(used_memory=GIB, mem_fragmentation_ratio="0.60"),
        told(used_memory="900000", mem_fragmentation_ratio="0.60"),
    ),
    "blocked-clients": (
        told(blocked_clients="80", connected_clients="90"),
        told(blocked_clients="3", connected_clients="90"),
    ),
    "no-tls": (
        set_to(bind="* -::*", port="6379", tls_port="0"),
        set_to(bind="* -::*", port="0", tls_port="6379"),
    ),
    "journal-not-durable": (
        replace(set_to(appendonly="yes", appendfsync="no"), journals=("shop:orders",)),
        replace(set_to(appendonly="yes", appendfsync="everysec"), journals=("shop:orders",)),
    ),
    "index-without-end": (
        holding(key(), key("all:u", "set", -1, length=2_000, members=(b"user:7", b"user:8"))),
        holding(key(), key("all:u", "set", -1, length=2_000, members=(b"ann", b"bob"))),
    ),
    "no-ttl": (
        holding(key(ttl_ms=-1)),
        holding(key("jobs", "stream", -1, groups=1), key("{fw:j:shop:o:0}:latest", "hash", -1)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_found_and_what_is_like_it_is_not(name: str) -> None:
    bad, good = CASES[name]
    code = name.partition(" ")[0]
    assert code in found(bad)
    assert code not in found(good)


def test_every_check_has_a_fault_and_its_control() -> None:
    planted = {name.partition(" ")[0] for name in (*FAULTS, *CASES)}
    assert planted == set(CHECKS)


def test_a_server_that_tells_nothing_is_not_accused() -> None:
    assert judged(ServerSeen("here", True), ":") == []


def test_keys_without_a_ttl_are_grouped_with_share_and_estimate() -> None:
    keys = [key(f"user:{n}", ttl_ms=-1) for n in range(30)]
    keys += [key(f"page:{n}") for n in range(70)]
    finding = found(holding(*keys, total=1_000_000))["no-ttl"]
    assert finding.severity is Severity.WARNING
    assert finding.evidence == (
        "30 keys of 100 sampled (30%) like user: have no TTL; about 300,000 of 1,000,000"
    )


def test_a_few_keys_without_a_ttl_are_a_notice() -> None:
    keys = [key("flags:all", ttl_ms=-1), *(key(f"page:{n}") for n in range(99))]
    assert found(holding(*keys))["no-ttl"].severity is Severity.NOTICE


def test_so_many_prefixes_are_listed_and_the_rest_is_counted() -> None:
    keys = [key(f"{chr(97 + n)}:x", ttl_ms=-1) for n in range(13)]
    said = [one.evidence for one in judged(holding(*keys), ":") if one.code == "no-ttl"]
    assert (len(said), said[-1]) == (11, "3 more prefixes, 3 keys")


def test_a_policy_that_evicts_nothing_of_a_store_is_right() -> None:
    keys = [key(f"cart:{n}", "hash", -1) for n in range(9)]
    seen = replace(holding(*keys), config={"maxmemory": GIB, "maxmemory-policy": "noeviction"})
    assert "noeviction-cache" not in found(seen)


def test_severities_say_how_bad_it_is() -> None:
    exposed = {"bind": "0.0.0.0", "port": "6379", "tls-port": "6380"}
    user = User("default", True, True, "+@all", "~*", "&*")
    open_ = replace(PLAIN, users=(user,), config={**exposed, "protected-mode": "no"})
    assert found(open_)["no-auth"].severity is Severity.CRITICAL
    guarded = replace(open_, config={**exposed, "protected-mode": "yes"})
    assert found(guarded)["no-auth"].severity is Severity.WARNING
    assert found(open_)["default-user"].severity is Severity.WARNING
    assert found(replace(PLAIN, users=(user,)))["default-user"].severity is Severity.NOTICE


def test_what_several_servers_share_is_one_finding_and_the_worst_come_first() -> None:
    def one(code: str, severity: Severity, server: str) -> Finding:
        return Finding(code, severity, "so", (server,))

    listed = merged(
        [
            one("no-tls", Severity.WARNING, "a"),
            one("no-ttl", Severity.CRITICAL, "b"),
            one("no-tls", Severity.WARNING, "b"),
        ]
    )
    assert [(f.code, f.servers) for f in listed] == [("no-ttl", ("b",)), ("no-tls", ("a", "b"))]


@pytest.mark.parametrize(
    ("rules", "command", "allowed"),
    [
        ("+@all", "flushall", True),
        ("+@all -@dangerous", "flushall", False),
        ("+@all -@dangerous +keys", "keys", True),
        ("-@all +@read", "keys", True),
        ("-@all +@read", "flushdb", False),
        ("-@all +config|get", "config|set", False),
        ("-@all +config", "config|set", True),
        ("allcommands -keys", "keys", False),
        ("+@all nocommands +get", "eval", False),
        ("", "get", False),
    ],
)
def test_the_last_rule_that_names_a_command_counts(rules: str, command: str, allowed: bool) -> None:
    assert allows(rules, command) is allowed
