"""What the linter can find, how bad it is, and what cures it. Pure."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

__all__ = ["RULES", "UNREADABLE", "Finding", "Level", "Rule", "at"]

UNREADABLE: Final = "FW000"


class Level(StrEnum):
    """How sure it is that something is wrong."""

    NOTICE = "notice"
    """Right in some programs: look at it."""
    WARNING = "warning"


class Rule(NamedTuple):
    """One thing that is looked for."""

    name: str
    level: Level
    meaning: str
    cure: str


class Finding(NamedTuple):
    """One thing that was found in a file. Lines count from 1, columns too."""

    path: str
    line: int
    column: int
    code: str
    message: str

    @property
    def rule(self) -> Rule:
        return RULES[self.code]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for machines."""
        rule = self.rule
        return {
            "code": self.code,
            "name": rule.name,
            "level": rule.level.value,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "cure": rule.cure,
        }


def at(path: str, node: ast.AST, code: str, message: str) -> Finding:
    """Return a finding where a node begins."""
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return Finding(path, line, column + 1, code, message)


RULES: Final[Mapping[str, Rule]] = {
    UNREADABLE: Rule(
        "unreadable",
        Level.WARNING,
        "The file is no Python that can be read.",
        "correct its syntax, or leave it out",
    ),
    "FW001": Rule(
        "no-ttl",
        Level.WARNING,
        "A value is cached without a TTL: it stays, however old, until memory is full.",
        "give it a TTL: ex= (redis-py), timeout= (Django), ttl= or expire= (others)",
    ),
    "FW002": Rule(
        "endless-memo",
        Level.WARNING,
        "What a source said is kept in the process for good: no TTL, and no other process hears "
        "of changes.",
        "use a cache with a TTL that can be invalidated, such as freshwell's cached",
    ),
    "FW003": Rule(
        "memo-on-method",
        Level.WARNING,
        "A functools cache on a method keeps every instance alive; on an async function it keeps "
        "a coroutine that can be awaited once.",
        "cache by what identifies the object, in a cache that is bounded and knows coroutines",
    ),
    "FW004": Rule(
        "swallowed-error",
        Level.WARNING,
        "An error of the cache is passed over in silence: an outage looks like misses, and a lost "
        "invalidation like none.",
        "log and count it at least; let errors of invalidations through",
    ),
    "FW005": Rule(
        "pickle",
        Level.WARNING,
        "Cached values are pickles: who can write to the cache runs code in the process.",
        "use JSON or MessagePack; a pickle that is needed has to be signed",
    ),
    "FW006": Rule(
        "keys-command",
        Level.WARNING,
        "KEYS holds up the server while it goes over every key.",
        "use scan_iter(), or tags",
    ),
    "FW007": Rule(
        "flush",
        Level.WARNING,
        "FLUSHALL and FLUSHDB take everything, also what others keep there.",
        "delete what is meant, by key, tag or namespace",
    ),
    "FW008": Rule(
        "lock-not-owned",
        Level.WARNING,
        "A lock is deleted without asking whose it is: after its TTL it is somebody else's.",
        "use client.lock(), or delete by a script that compares the token",
    ),
    "FW009": Rule(
        "cache-only-write",
        Level.NOTICE,
        "A handler writes to the cache and, as far as is seen here, to no source: an eviction "
        "loses it.",
        "write to the source first, then invalidate or write through",
    ),
    "FW010": Rule(
        "get-then-set",
        Level.NOTICE,
        "A key is read and then set without a lock: callers load side by side, and an old value "
        "may overwrite a newer one.",
        "use get_or_load, which loads once and refuses what was overtaken; or a lock, or WATCH",
    ),
    "FW011": Rule(
        "plaintext-secret",
        Level.WARNING,
        "What is named like a credential is cached unencrypted.",
        "cache a reference or a digest, or encrypt it",
    ),
    "FW012": Rule(
        "joined-key",
        Level.WARNING,
        "Parts of a key are joined without a separator, so that different parts may give one key.",
        "put a separator between them that no part has, such as a colon",
    ),
    "FW013": Rule(
        "hash-without-ttl",
        Level.NOTICE,
        "A hash is written without a TTL: right for data that Redis owns, not for a cache.",
        "call expire() beside it, in the same pipeline",
    ),
}
