"""What the settings of a server say: memory, persistence, who may come in and do what. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from freshwell.cli.doctor.findings import Finding, Severity
from freshwell.cli.doctor.rights import allows, may_everything, may_track, uses_entries
from freshwell.cli.doctor.seen import ServerSeen, User
from freshwell.cli.target import counted

__all__ = ["judge_access", "judge_memory", "judge_persistence"]

_ALL: Final = "allkeys-"
_VOLATILE: Final = "volatile-"
_MOSTLY: Final = 0.5
_MUCH: Final = 0.25
_OLDEST: Final = (7, 0)
_MOST_NAMED: Final = 5
_DANGEROUS: Final = ("flushall", "flushdb", "keys", "config|set", "debug", "shutdown")


def judge_memory(seen: ServerSeen) -> Iterator[Finding]:
    """Yield where maxmemory and its policy do not fit what is stored."""
    if seen.maxmemory == 0:
        yield Finding("no-maxmemory", Severity.WARNING, "maxmemory is 0: without bound")
    policy, keys = seen.policy or "", seen.keys
    queues = [key for key in keys if key.is_queue]
    if policy.startswith(_ALL):
        if queues or seen.journals:
            said = _queues(seen)
            evidence = f"maxmemory-policy is {policy}, and there {said}"
            yield Finding("journal-evicted", Severity.CRITICAL, evidence)
        lasting = [k for k in keys if k.lasts and not k.is_queue and k.kind not in ("string", "")]
        if lasting:
            evidence = (
                f"maxmemory-policy is {policy}, and {counted(len(lasting), 'collection')} of "
                f"{len(keys):,} sampled keys have no TTL"
            )
            yield Finding("lasting-data-evicted", Severity.WARNING, evidence)
    if not keys:
        return
    cached = sum(not key.lasts for key in keys) / len(keys)
    if policy == "noeviction" and seen.maxmemory and cached >= _MOSTLY:
        evidence = f"maxmemory-policy is noeviction, and {cached:.0%} of sampled keys have a TTL"
        yield Finding("noeviction-cache", Severity.WARNING, evidence)
    if policy.startswith(_VOLATILE) and seen.maxmemory:
        kept = _share_kept(seen)
        if kept >= _MUCH:
            evidence = f"maxmemory-policy is {policy}, and {kept:.0%} of sampled bytes have no TTL"
            yield Finding("volatile-without-ttl", Severity.WARNING, evidence)


def _share_kept(seen: ServerSeen) -> float:
    """Return which part of the memory of cached keys has no TTL; queues are not meant to have."""
    weights = [(key.size or 1, key.lasts) for key in seen.keys if not key.is_queue]
    return sum(size for size, lasts in weights if lasts) / max(1, sum(size for size, _ in weights))


def judge_persistence(seen: ServerSeen) -> Iterator[Finding]:
    """Yield whether queues and journals would be lost with the process."""
    if not seen.journals and not any(key.is_queue for key in seen.keys):
        return
    said = _queues(seen)
    if seen.appended is False:
        snapshots = seen.config.get("save", "")
        severity = Severity.WARNING if snapshots and not seen.journals else Severity.CRITICAL
        rest = "only snapshots are taken" if snapshots else "no snapshots are known to be taken"
        yield Finding(
            "journal-not-durable",
            severity,
            f"there {said}, and there is no append-only file; {rest}",
        )
    elif seen.appended and seen.config.get("appendfsync") == "no":
        evidence = f"there {said}, and appendfsync is no"
        yield Finding("journal-not-durable", Severity.WARNING, evidence)


def _queues(seen: ServerSeen) -> str:
    streams = sum(key.groups > 0 for key in seen.keys)
    said = []
    if seen.journals:
        said.append(
            counted(len(seen.journals), "journal of freshwell's", "journals of freshwell's")
        )
    elif any(key.is_journal for key in seen.keys):
        said.append("parts of a journal of freshwell's")
    if streams:
        said.append(counted(streams, "stream with groups", "streams with groups"))
    return f"{'is' if len(said) == 1 and said[0].startswith('1 ') else 'are'} {' and '.join(said)}"


def judge_access(seen: ServerSeen) -> Iterator[Finding]:
    """Yield who may come in, and do what."""
    exposed = _exposed(seen)
    open_to_all = any(user.name == "default" and user.on and user.nopass for user in seen.users)
    protected = seen.config.get("protected-mode", "yes") != "no"
    if exposed and open_to_all:
        severity = Severity.WARNING if protected else Severity.CRITICAL
        evidence = f"{exposed}, and the default user has no password"
        yield Finding("no-auth", severity, evidence)
        if not protected:
            evidence = f"{exposed}, and protected-mode is no"
            yield Finding("protected-mode-off", Severity.WARNING, evidence)
    if exposed and seen.config.get("tls-port") == "0":
        yield Finding("no-tls", Severity.WARNING, f"{exposed}, and tls-port is 0")
    yield from _users(seen, exposed)
    told = seen.info.get("redis_version", "")
    version = tuple(int(part) for part in re.findall(r"\d+", told)[:2])
    if version and version < _OLDEST:
        yield Finding("old-version", Severity.WARNING, f"the server is of version {told}")


def _exposed(seen: ServerSeen) -> str:
    """Return in words that other machines reach the server. Empty: none, as far as is told."""
    bound = seen.config.get("bind")
    if bound is None:
        return "" if seen.local else "it was reached over the network"
    if seen.config.get("port") == "0" and seen.config.get("tls-port", "0") == "0":
        return ""
    addresses = [address.lstrip("-") for address in bound.split()]
    outer = [a for a in addresses if not a.startswith("127.") and a not in ("::1", "localhost")]
    if addresses and not outer:
        return ""
    return f"it listens on {' '.join(outer[:_MOST_NAMED]) or 'every address'}"


def _users(seen: ServerSeen, exposed: str) -> Iterator[Finding]:
    users = [user for user in seen.users if user.on]
    for user in users:
        if user.name == "default" and may_everything(user):
            severity = Severity.WARNING if exposed else Severity.NOTICE
            yield Finding("default-user", severity, "the user default is on, with +@all and ~*")
    others = [user for user in users if user.name != "default" or not may_everything(user)]
    armed = [(user, _dangerous(user)) for user in others]
    found = [f"{user.name} may {', '.join(may)}" for user, may in armed if may]
    if found:
        yield Finding("dangerous-commands", Severity.NOTICE, _listed(found))
    if any(key.name.startswith(b"fw:e:") for key in seen.keys):
        deaf = [f"{u.name} may not" for u in users if uses_entries(u) and not may_track(u)]
        if deaf:
            yield Finding("no-tracking", Severity.WARNING, f"{_listed(deaf)} track changes")


def _dangerous(user: User) -> list[str]:
    return [c.replace("|", " ").upper() for c in _DANGEROUS if allows(user.commands, c)]


def _listed(parts: Sequence[str]) -> str:
    more = f"; and {len(parts) - _MOST_NAMED:,} more" if len(parts) > _MOST_NAMED else ""
    return "; ".join(parts[:_MOST_NAMED]) + more
