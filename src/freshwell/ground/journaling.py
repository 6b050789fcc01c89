"""What write-behind is told: which journal, how much it may hold, how it is flushed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from freshwell.errors import ConfigurationError
from freshwell.ground.durations import duration_ns
from freshwell.ground.flushes import FlushOptions
from freshwell.ground.options import Duration, as_bool, bounded_int
from freshwell.ground.records import Durability

__all__ = ["BehindOptions", "JournalKind", "JournalSpec", "journal_name", "journal_spec"]

_FILE: Final = "sqlite:///"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_WAYS: Final = (
    '"sqlite:///pending.db" (a file of this machine), "redis" (beside the cache\'s entries), the '
    'URL of another Redis, or "memory" (lost with the process)'
)
_MOST_SHARDS: Final = 256


class JournalKind(Enum):
    """Where a journal is."""

    MEMORY = "memory"
    FILE = "file"
    BESIDE = "beside"
    """On the servers of the cache's L2."""
    APART = "apart"
    """On a Redis of its own."""
    GIVEN = "given"
    """Wherever the object keeps it that was given: somebody else's journal."""


class JournalSpec(NamedTuple):
    """Which journal. `place`: the path of a file, what names another Redis, or the object given."""

    kind: JournalKind
    durability: Durability
    place: Any = None

    @property
    def is_local(self) -> bool:
        """Tell whether only this machine sees it."""
        return self.durability in (Durability.MEMORY, Durability.LOCAL)


@dataclass(frozen=True, slots=True)
class BehindOptions:
    """The numbers of write-behind, checked and in inner units."""

    batch: int
    flush_every_ns: int
    max_backlog: int
    max_backlog_bytes: int
    blocks: bool
    full_wait_ns: int
    max_attempts: int
    retry_ns: int
    retry_most_ns: int
    max_dead: int
    coalesce: bool
    shards: int
    replicas: int
    assume_durable: bool
    flusher: bool
    drain_ns: int

    @property
    def flush_options(self) -> FlushOptions:
        """Return what of it concerns the flusher."""
        return FlushOptions(
            batch=self.batch,
            flush_every_ns=self.flush_every_ns,
            coalesce=self.coalesce,
            max_attempts=self.max_attempts,
            retry_base_ns=self.retry_ns,
            retry_most_ns=self.retry_most_ns,
        )

    @classmethod
    def checked(
        cls,
        *,
        batch: int,
        flush_every: Duration,
        max_backlog: int,
        max_backlog_bytes: int,
        on_full: str,
        full_wait: Duration,
        max_attempts: int,
        retry_after: Duration,
        retry_at_most: Duration,
        max_dead: int,
        coalesce: bool,
        shards: int,
        replicas: int,
        assume_durable: bool,
        flusher: bool,
        drain: Duration,
    ) -> BehindOptions:
        """Check every option. Raises `ConfigurationError` naming the first that is wrong."""
        if on_full not in ("block", "reject"):
            raise ConfigurationError(
                f"on_full is {on_full!r}: use 'block' (wait for room, up to full_wait) or 'reject'"
            )
        retry_ns = duration_ns(retry_after, name="retry_after")
        retry_most_ns = duration_ns(retry_at_most, name="retry_at_most")
        if retry_most_ns < retry_ns:
            raise ConfigurationError(
                f"retry_at_most is {retry_at_most!r}: it is the longest pause between two tries, "
                f"and retry_after, {retry_after!r}, the first"
            )
        return cls(
            batch=bounded_int(batch, "batch", 1),
            flush_every_ns=duration_ns(flush_every, name="flush_every"),
            max_backlog=bounded_int(max_backlog, "max_backlog", 1),
            max_backlog_bytes=bounded_int(max_backlog_bytes, "max_backlog_bytes", 1),
            blocks=on_full == "block",
            full_wait_ns=duration_ns(full_wait, name="full_wait", allow_zero=True),
            max_attempts=bounded_int(max_attempts, "max_attempts", 1),
            retry_ns=retry_ns,
            retry_most_ns=retry_most_ns,
            max_dead=bounded_int(max_dead, "max_dead", 0),
            coalesce=as_bool(coalesce, "coalesce"),
            shards=_shards(shards),
            replicas=bounded_int(replicas, "replicas", 1),
            assume_durable=as_bool(assume_durable, "assume_durable"),
            flusher=as_bool(flusher, "flusher"),
            drain_ns=duration_ns(drain, name="drain", allow_zero=True),
        )


def journal_spec(journal: Any, durability: str | None, *, shared: bool) -> JournalSpec:
    """Return which journal is meant. `shared`: the cache has an L2.

    Raises `ConfigurationError` for what names none, and for a durability that it cannot give.
    """
    kind, place = _where(journal, shared=shared)
    offered = (_kept_by(place),) if kind is JournalKind.GIVEN else _POSSIBLE[kind]
    wanted = offered[0] if durability is None else _durability(durability)
    if wanted not in offered:
        possible = " or ".join(repr(d.value) for d in offered)
        raise ConfigurationError(
            f"durability is {durability!r}, and journal={_shown(journal)} gives {possible}: change "
            f"one of them; a journal is {_WAYS}"
        )
    return JournalSpec(kind, wanted, place)


def journal_name(name: str | None, template: str) -> str:
    """Return what a journal is called on its Redis: as given, or after the key's template.

    Raises `ConfigurationError` for a name that cannot be.
    """
    if name is None:
        return _NO_NAME.sub("-", template).strip("-")[:64] or "journal"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"name is {name!r}: use 1 to 64 letters, digits, '.', '_' and '-'")
    return name


_POSSIBLE: Final = {
    JournalKind.MEMORY: (Durability.MEMORY,),
    JournalKind.FILE: (Durability.LOCAL,),
    JournalKind.BESIDE: (Durability.REDIS, Durability.REDIS_WAIT),
    JournalKind.APART: (Durability.REDIS, Durability.REDIS_WAIT),
}


def _where(journal: Any, *, shared: bool) -> tuple[JournalKind, Any]:
    if journal == "memory":
        return JournalKind.MEMORY, None
    if journal == "redis":
        if not shared:
            raise ConfigurationError(
                'journal is "redis", which is beside the entries in Redis, and this cache has '
                'none: give the cache a URL, or journal="sqlite:///pending.db"'
            )
        return JournalKind.BESIDE, None
    if isinstance(journal, str) and journal.startswith("sqlite:"):
        path = journal.removeprefix(_FILE)
        if path == journal or not path or path == ":memory:":
            raise ConfigurationError(
                f"journal is {journal!r}: write sqlite:///relative.db or sqlite:////absolute.db"
            )
        return JournalKind.FILE, path
    if isinstance(journal, str) and "://" not in journal:
        raise ConfigurationError(f"journal is {journal!r}: use {_WAYS}")
    if callable(getattr(journal, "accept", None)) and callable(getattr(journal, "settle", None)):
        return JournalKind.GIVEN, journal
    if journal is None:
        raise ConfigurationError(f"journal is None: use {_WAYS}")
    return JournalKind.APART, journal


def _kept_by(journal: Any) -> Durability:
    """Return the durability of a journal that was given as an object."""
    durability = getattr(journal, "durability", None)
    if not isinstance(durability, Durability) or getattr(journal, "together", None) is not False:
        raise ConfigurationError(
            f"journal is an object of type {type(journal).__name__}: its `durability` must be one "
            "of freshwell.journals.Durability, its `together` False, and `shards` a number"
        )
    return durability


def _durability(given: str) -> Durability:
    try:
        return Durability(given)
    except ValueError:
        known = ", ".join(repr(d.value) for d in Durability)
        raise ConfigurationError(f"durability is {given!r}: use one of {known}") from None


def _shards(given: int) -> int:
    shards = bounded_int(given, "shards", 1)
    if shards > _MOST_SHARDS:
        raise ConfigurationError(f"shards is {given!r}: use 1 to {_MOST_SHARDS}")
    return shards


def _shown(journal: Any) -> str:
    """Return what names a journal, without the password that a URL may have."""
    if isinstance(journal, str) and "@" not in journal:
        return repr(journal)
    if hasattr(journal, "durability"):
        return f"a {type(journal).__name__}"
    return "a Redis of its own"
