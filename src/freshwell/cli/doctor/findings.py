"""What the doctor can find, how bad it is, and what cures it. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

__all__ = ["CHECKS", "Check", "Finding", "Severity", "merged"]


class Severity(StrEnum):
    """How bad a finding is, the worst last."""

    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """The worse, the higher."""
        return list(Severity).index(self)


class Check(NamedTuple):
    """One thing that is looked for: what it means, and what to do about it."""

    meaning: str
    cure: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `evidence` is a sentence, and holds no value of any key."""

    code: str
    severity: Severity
    evidence: str
    servers: tuple[str, ...] = ()

    @property
    def cure(self) -> str:
        """What to do about it."""
        return CHECKS[self.code].cure

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, for machines."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "servers": list(self.servers),
            "evidence": self.evidence,
            "cure": self.cure,
        }


def merged(findings: Iterable[Finding]) -> Sequence[Finding]:
    """Return findings, the worst first; one that several servers share is one."""
    order = sorted(findings, key=lambda f: (-f.severity.rank, list(CHECKS).index(f.code)))
    groups: dict[tuple[str, Severity, str], list[Finding]] = {}
    for found in order:
        groups.setdefault((found.code, found.severity, found.evidence), []).append(found)
    return [
        Finding(*said, tuple(dict.fromkeys(itertools.chain(*(one.servers for one in its)))))
        for said, its in groups.items()
    ]


CHECKS: Final[Mapping[str, Check]] = {
    "plaintext-secret": Check(
        "Values, or keys, look like credentials, in plain text.",
        "store a reference or a digest instead, or encrypt before caching; what was readable has "
        "to be replaced",
    ),
    "journal-not-durable": Check(
        "Streams that are queues or journals end with the server's process.",
        "set appendonly yes and appendfsync everysec (or always)",
    ),
    "journal-evicted": Check(
        "The server may evict a queue or a journal when its memory is full.",
        "set maxmemory-policy to noeviction or to one of volatile-*, or give the stream a server "
        "of its own",
    ),
    "no-auth": Check(
        "Other machines reach the server, and nobody has to log in.",
        "give every client a user with a password (ACL SETUSER), and switch the default user off",
    ),
    "protected-mode-off": Check(
        "Protected mode is off on an address that other machines reach, and there is no password.",
        "set protected-mode yes, or bind to loopback addresses",
    ),
    "default-user": Check(
        "The default user may run every command on every key.",
        "give each service a user with the rights it needs, then ACL SETUSER default off",
    ),
    "dangerous-commands": Check(
        "A user may run commands that empty, stop or stall the server.",
        "take them away: ACL SETUSER name -@dangerous -@admin, and give back what is needed",
    ),
    "no-tls": Check(
        "Other machines reach the server without TLS.",
        "set tls-port and port 0, and connect by rediss://",
    ),
    "old-version": Check(
        "The server is older than freshwell supports, and may have no more security fixes.",
        "update to Redis or Valkey 7.0 or newer",
    ),
    "no-tracking": Check(
        "A user of freshwell's entries may not track changes, so L1 falls back to a short TTL.",
        "allow +client|tracking +client|id +subscribe and &__redis__:invalidate",
    ),
    "no-maxmemory": Check(
        "Nothing bounds the server's memory.",
        "set maxmemory below what the machine has, and a maxmemory-policy that fits",
    ),
    "noeviction-cache": Check(
        "A server that mostly caches refuses writes when its memory is full.",
        "set maxmemory-policy to volatile-lru or volatile-lfu (allkeys-* where it only caches)",
    ),
    "lasting-data-evicted": Check(
        "The policy may evict data that looks meant to last.",
        "set maxmemory-policy to one of volatile-*, or give lasting data a server of its own",
    ),
    "volatile-without-ttl": Check(
        "The policy evicts only keys with a TTL, and much of the memory has none.",
        "give cached keys a TTL, or set maxmemory-policy to one of allkeys-* where all keys may go",
    ),
    "no-ttl": Check(
        "Keys stay until somebody deletes them, however old their values are.",
        "give each cached key a TTL when it is set (SET ... EX, or freshwell's ttl=)",
    ),
    "index-without-end": Check(
        "A collection without a TTL names other keys: an index by hand, which outgrows them.",
        "use tags (tags= and invalidate_tags), which hold no members; or trim it and give it a TTL",
    ),
    "big-key": Check(
        "A key is so big that reading or deleting it holds up everybody else.",
        "split it, store less of it, or compress it; delete it by UNLINK",
    ),
    "hot-key": Check(
        "A key is read so often that one core of one server is its limit.",
        "keep it in the processes too (freshwell's L1), or spread it over several keys",
    ),
    "keys-used": Check(
        "KEYS was run: it holds up the server while it goes over every key.",
        "use SCAN, or tags instead of patterns; take the command away: ACL SETUSER name -keys",
    ),
    "slow-commands": Check(
        "Commands that go over whole collections are in the slow log.",
        "read parts (SSCAN, HSCAN, ZRANGE with a limit), or make the collections smaller",
    ),
    "hit-ratio": Check(
        "Most reads of the server find nothing.",
        "look at TTLs and at keys that never come twice; negative_ttl for what the source has not",
    ),
    "evictions": Check(
        "Keys are evicted so fast that they hardly serve.",
        "raise maxmemory, shorten TTLs, or store less",
    ),
    "fragmentation": Check(
        "The server holds much more memory than its data takes, or the machine swaps it.",
        "set activedefrag yes (or restart it after a failover); where it swaps, give it memory",
    ),
    "blocked-clients": Check(
        "Many clients wait in blocking commands.",
        "look whether their queues are served; give blocking calls a timeout",
    ),
    "latency": Check(
        "The server itself noted events that took long.",
        "see LATENCY DOCTOR on the server: slow commands, fork, disk, or expiry of many keys",
    ),
}
