"""Look at one server: its settings, users and counters, and a sample of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import ServerReplied
from freshwell.cli.doctor.findings import Finding
from freshwell.cli.doctor.key_rules import judge_keys
from freshwell.cli.doctor.load_rules import judge_load
from freshwell.cli.doctor.reading import Reader, opened_reader
from freshwell.cli.doctor.sampling import find_journals, sample
from freshwell.cli.doctor.seen import ServerSeen, User, info_of, pairs_of, slow_of, user_of
from freshwell.cli.doctor.server_rules import judge_access, judge_memory, judge_persistence
from freshwell.cli.target import UsageFault, counted

__all__ = ["examined", "judged"]

_SETTINGS: Final = (
    *("maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save"),
    *("bind", "port", "tls-port", "protected-mode"),
)
_MOST_USERS: Final = 100
_SLOW_ENTRIES: Final = 128
_LOOPBACK: Final = ("localhost", "::1")


def examined(endpoint: Endpoint, *, most_keys: int, timeout_s: float) -> ServerSeen:
    """Look at one server, by commands that read.

    Raises `UsageFault` where it does not let its keys be listed, `StoreUnavailable` where it does
    not answer.
    """
    with opened_reader(endpoint, timeout_s) as reader:
        unknown: list[str] = []
        info = info_of(reader.told("INFO")) | info_of(reader.told("INFO", "commandstats"))
        if not info:
            unknown.append("memory, version and counters: INFO is refused")
        config = _settings(reader, unknown)
        policy = config.get("maxmemory-policy") or info.get("maxmemory_policy", "")
        with_freq = policy.endswith("-lfu")
        if not with_freq:
            unknown.append("hot keys: only a maxmemory-policy of the kind *-lfu counts reads")
        users = _users(reader, unknown)
        log = _or_unknown(reader, unknown, "slow commands", "SLOWLOG", "GET", _SLOW_ENTRIES)
        latency = _latency(reader)
        try:
            keys = tuple(sample(reader, most_keys, with_freq=with_freq))
        except ServerReplied as error:
            raise UsageFault(f"{endpoint!r} does not let its keys be looked at: {error}") from None
        if keys and all(key.size is None for key in keys):
            unknown.append("big keys by their bytes: MEMORY USAGE is refused")
        total = reader.told("DBSIZE") or len(keys)
        journals = _journals(reader, info, unknown)
    unknown += _other_databases(endpoint, info)
    return ServerSeen(
        name=repr(endpoint),
        local=endpoint.host in _LOOPBACK or endpoint.host.startswith("127."),
        info=info,
        config=config,
        users=users,
        slow=slow_of(log),
        latency=latency,
        keys=keys,
        total=max(total, len(keys)),
        journals=journals,
        unknown=tuple(unknown),
    )


def judged(seen: ServerSeen, separator: str) -> list[Finding]:
    """Return what is wrong with a server. Pure."""
    found = [
        *judge_memory(seen),
        *judge_persistence(seen),
        *judge_access(seen),
        *judge_keys(seen, separator),
        *judge_load(seen),
    ]
    return [Finding(one.code, one.severity, one.evidence, (seen.name,)) for one in found]


def _or_unknown(reader: Reader, unknown: list[str], what: str, *command: str | int) -> object:
    reply = reader.told(*command)
    if reply is None:
        unknown.append(f"{what}: {' '.join(map(str, command[:2]))} is refused")
    return reply


def _settings(reader: Reader, unknown: list[str]) -> dict[str, str]:
    # Each refusal is noted in the server's log: one is enough.
    first = _or_unknown(reader, unknown, "some settings", "CONFIG", "GET", _SETTINGS[0])
    if first is None:
        return {}
    replies = reader.ask([("CONFIG", "GET", name) for name in _SETTINGS[1:]])
    told = pairs_of(first)
    for reply in replies:
        told |= pairs_of(reply)
    return told


def _users(reader: Reader, unknown: list[str]) -> tuple[User, ...]:
    listed = reader.told("ACL", "USERS")
    if not isinstance(listed, list):
        own = reader.told("ACL", "WHOAMI")
        listed = list(dict.fromkeys([b"default", *([own] if isinstance(own, bytes) else [])]))
    replies = reader.ask([("ACL", "GETUSER", name) for name in listed[:_MOST_USERS]])
    pairs = zip(listed, replies, strict=False)
    users = [user_of(name.decode("utf-8", "replace"), reply) for name, reply in pairs]
    known = tuple(user for user in users if user is not None)
    if not known:
        unknown.append("users and their rights: ACL GETUSER is refused")
    if len(listed) > _MOST_USERS:
        unknown.append(f"the rights of {len(listed) - _MOST_USERS:,} more users")
    return known


def _latency(reader: Reader) -> tuple[tuple[str, int], ...]:
    reply = reader.told("LATENCY", "LATEST")
    if not isinstance(reply, list):
        return ()
    return tuple((name.decode("ascii", "replace"), int(most)) for name, _, _, most, *_ in reply)


def _journals(reader: Reader, info: dict[str, str], unknown: list[str]) -> tuple[str, ...]:
    """Return the journals, which a sample of many keys may have missed."""
    if info and "cmdstat_xadd" not in info:
        return ()  # nothing was put into a stream since the server started
    found, whole = find_journals(reader)
    if not whole:
        unknown.append("whether there are more journals: there are too many keys to look for them")
    return tuple(found)


def _other_databases(endpoint: Endpoint, info: dict[str, str]) -> Sequence[str]:
    own = f"db{endpoint.database}"
    others = sorted(name for name in info if name.startswith("db") and name[2:].isdecimal())
    left = [name[2:] for name in others if name != own]
    if not left:
        return []
    return [f"keys of {counted(len(left), 'other database')} ({', '.join(left)})"]
