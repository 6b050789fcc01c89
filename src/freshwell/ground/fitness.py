"""Whether a server may keep a journal: what its settings would do to accepted writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from freshwell.ground.records import Durability

__all__ = [
    "Facts",
    "Fit",
    "Unfit",
    "Verdict",
    "Warned",
    "facts_in_config",
    "facts_in_info",
    "judge_fitness",
]

_ON_REDIS: Final = (Durability.REDIS, Durability.REDIS_WAIT)
_EVICTS_ALL: Final = "allkeys-"
_SWITCH_ON: Final = "set appendonly yes and appendfsync everysec or always"
_ASSUME: Final = (
    "or say that the server is known to keep what it has acknowledged (assume_durable=True)"
)


class Facts(NamedTuple):
    """What a server tells of itself. None: it does not tell."""

    policy: str | None = None
    """maxmemory-policy"""
    appended: bool | None = None
    """Whether there is an append-only file."""
    synced: str | None = None
    """appendfsync"""


class Fit(NamedTuple):
    """The server may keep a journal."""


class Warned(NamedTuple):
    """It may, since the user says so: `reason` says what might be lost."""

    reason: str


class Unfit(NamedTuple):
    """It may not: `reason` says what would be lost, `cure` what to do about it."""

    reason: str
    cure: str


Verdict = Fit | Warned | Unfit


def judge_fitness(facts: Facts, durability: Durability, *, assumed: bool) -> Verdict:
    """Decide whether a server may keep a journal of this durability.

    `assumed`: the user answers for that the server keeps what it has acknowledged. That helps
    where there is no append-only file, or nothing can be found out; never against eviction.
    """
    if durability not in _ON_REDIS:
        return Fit()
    if facts.policy is not None and facts.policy.startswith(_EVICTS_ALL):
        return Unfit(
            f"the server evicts any key when its memory is full (maxmemory-policy {facts.policy}), "
            "accepted writes too",
            "set maxmemory-policy to noeviction or to one of volatile-*, or give the journal a "
            "server of its own",
        )
    if facts.appended is False:
        reason = "the server has no append-only file: accepted writes end with its process"
        return Warned(reason) if assumed else Unfit(reason, f"{_SWITCH_ON}, {_ASSUME}")
    if facts.policy is None or facts.appended is None:
        reason = "the server does not tell whether it would evict or forget accepted writes"
        cure = f"let the journal's user run INFO (+info), {_ASSUME}"
        return Warned(reason) if assumed else Unfit(reason, cure)
    if facts.synced == "no":
        return Warned("the server writes its append-only file to disk at no set time")
    return Fit()


def facts_in_config(reply: Any) -> Facts | None:
    """Return what an answer to CONFIG GET tells. None: it is an error, or none of ours."""
    if not isinstance(reply, list) or not all(isinstance(word, bytes) for word in reply):
        return None
    words = [word.decode("ascii", "replace") for word in reply]
    told = dict(zip(words[::2], words[1::2], strict=False))
    if not {"maxmemory-policy", "appendonly"} <= told.keys():
        return None
    return Facts(told["maxmemory-policy"], told["appendonly"] == "yes", told.get("appendfsync"))


def facts_in_info(*sections: Any) -> Facts:
    """Return what the sections memory and persistence of INFO tell, as far as there are any."""
    told = {name: text for section in sections for name, text in _told(section).items()}
    appended = told.get("aof_enabled")
    return Facts(told.get("maxmemory_policy"), None if appended is None else appended == "1")


def _told(section: Any) -> Mapping[str, str]:
    if not isinstance(section, bytes):
        return {}
    lines = section.decode("ascii", "replace").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name: text for name, colon, text in pairs if colon}
