"""What was seen of one server: its settings, its users, and a sample of its keys. Pure.

None, or nothing in a mapping: the server did not tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

__all__ = ["KeySeen", "ServerSeen", "User", "info_of", "pairs_of", "slow_of", "user_of"]

_JOURNAL: Final = b"{fw:j:"
_MAX_COMMAND: Final = 40


class KeySeen(NamedTuple):
    """One key of the sample. Of its value, only what it looks like."""

    name: bytes
    kind: str
    ttl_ms: int
    """-1: without end."""
    size: int | None = None
    length: int | None = None
    """Members, fields or entries; None for strings."""
    freq: int | None = None
    """The logarithmic counter of an LFU policy, up to 255."""
    secrets: tuple[str, ...] = ()
    members: tuple[bytes, ...] = ()
    """A few, where the collection is large."""
    groups: int = 0
    """Consumer groups of a stream."""

    @property
    def lasts(self) -> bool:
        """Tell whether it has no TTL."""
        return self.ttl_ms == -1

    @property
    def is_journal(self) -> bool:
        """Tell whether it belongs to a journal of freshwell's."""
        return self.name.startswith(_JOURNAL)

    @property
    def is_queue(self) -> bool:
        """Tell whether losing it loses work: a journal's part, or a stream with groups."""
        return self.is_journal or self.groups > 0


class User(NamedTuple):
    """One user of the server, as ACL GETUSER tells. Selectors are not looked at."""

    name: str
    on: bool
    nopass: bool
    commands: str
    keys: str
    channels: str


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """One server. `local`: it was reached through loopback or a socket in the file system."""

    name: str
    local: bool
    info: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    users: tuple[User, ...] = ()
    slow: tuple[tuple[str, int], ...] = ()
    """Command and microseconds of each entry of the slow log."""
    latency: tuple[tuple[str, int], ...] = ()
    """Event and its longest time in milliseconds."""
    keys: tuple[KeySeen, ...] = ()
    total: int = 0
    """How many keys there are in the database that was looked at."""
    journals: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """What could not be found out, and why."""

    def number(self, name: str) -> int | None:
        """Return a whole number of INFO or of the settings."""
        text = self.info.get(name, self.config.get(name, ""))
        try:
            return int(float(text))
        except ValueError:
            return None

    @property
    def policy(self) -> str | None:
        """The maxmemory-policy."""
        return self.config.get("maxmemory-policy") or self.info.get("maxmemory_policy")

    @property
    def maxmemory(self) -> int | None:
        """Maxmemory in bytes, 0: none."""
        return self.number("maxmemory")

    @property
    def appended(self) -> bool | None:
        """Whether there is an append-only file."""
        told = self.config.get("appendonly") or self.info.get("aof_enabled")
        return None if told is None else told in ("yes", "1")

    def calls(self, command: str) -> int:
        """Return how often a command was run since the server started, 0: never, or not told."""
        told = self.info.get(f"cmdstat_{command}", "")
        fields = dict(part.partition("=")[::2] for part in told.split(","))
        text = fields.get("calls", "0")
        return int(text) if text.isdecimal() else 0


def info_of(reply: Any) -> dict[str, str]:
    """Return what INFO tells, nothing where it was refused."""
    if not isinstance(reply, bytes):
        return {}
    lines = reply.decode("utf-8", "replace").splitlines()
    return {name: text for name, colon, text in (line.partition(":") for line in lines) if colon}


def pairs_of(reply: Any) -> dict[str, str]:
    """Return what CONFIG GET tells, nothing where it was refused."""
    if not isinstance(reply, list):
        return {}
    words = [word.decode("utf-8", "replace") for word in reply if isinstance(word, bytes)]
    return dict(zip(words[::2], words[1::2], strict=False))


def user_of(name: str, reply: Any) -> User | None:
    """Return the user that ACL GETUSER tells of. None: it was refused, or there is none."""
    if not isinstance(reply, list):
        return None
    told = {bytes(k): v for k, v in zip(reply[::2], reply[1::2], strict=False)}
    flags = told.get(b"flags", [])
    text = (_text(told.get(part)) for part in (b"commands", b"keys", b"channels"))
    return User(name, b"on" in flags, b"nopass" in flags, *text)


def slow_of(reply: Any) -> tuple[tuple[str, int], ...]:
    """Return command and microseconds of each entry of SLOWLOG GET: no argument of theirs."""
    if not isinstance(reply, list):
        return ()
    return tuple(
        (_text(entry[3][0]).upper()[:_MAX_COMMAND], int(entry[2]))
        for entry in reply
        if isinstance(entry, list) and len(entry) >= 4 and entry[3]
    )


def _text(part: bytes | Sequence[bytes] | None) -> str:
    if part is None:
        return ""
    if isinstance(part, bytes):
        return part.decode("utf-8", "replace")
    return " ".join(one.decode("utf-8", "replace") for one in part)
