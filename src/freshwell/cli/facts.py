"""What is known of an inspected entry, as data and as rows for people. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from freshwell._sync.inspecting import Inspected
from freshwell.ground.frame import (
    WRITER_BYTES,
    Flag,
    Frame,
    Rejected,
    State,
    rest_until_ms,
    writers_of,
)
from freshwell.ground.names import split

__all__ = ["Facts", "TagFacts", "facts_of", "flag_names", "rows", "span"]

_CODECS: Final = {0: "none", 1: "json", 2: "msgpack", 3: "pickle"}
_TAG_KINDS: Final = {"#": "tag", "/": "namespace", "=": "schema versions"}
_SPANS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_TYPES_OF_OURS: Final = ("string", "none")
"""None: it has gone between two questions."""

_MEANINGS: Final = {
    "fresh": "served to everyone",
    "stale": "past its TTL: served only where a stale_ttl allows it",
    "outdated": "a tag has changed since it was stored: absent to readers",
    "leased": "no value; somebody is loading one",
    "invalidated": "absent to readers, since a moment ago",
    "being written": "absent to readers, and nothing is stored meanwhile",
    "rejected": "absent to readers",
    "absent": "nothing is stored under this key",
}


@dataclass(frozen=True, slots=True)
class TagFacts:
    """One tag of an entry. `name` is None where only the digest is known."""

    kind: str
    name: str | None
    digest: str
    status: str
    """``current``, ``changed``, ``lost`` or ``being changed``."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One entry as L2 has it. None: that does not apply, or is not known."""

    key: str
    redis_key: str
    state: str
    reason: str | None = None
    """Why the bytes were rejected."""
    size_bytes: int | None = None
    age_ms: int | None = None
    ttl_left_ms: int | None = None
    kept_ms: int | None = None
    """For how long it is in L2 at all. None, where something is there: without end."""
    load_cost_us: int | None = None
    codec: str | None = None
    flags: tuple[str, ...] = ()
    lease_left_ms: int | None = None
    rest_left_ms: int | None = None
    """For how long its source is left alone, having failed."""
    writers: int | None = None
    tags: tuple[TagFacts, ...] = ()
    value: str | None = None
    value_note: str | None = None
    """Why the value is not here, or not whole."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, for machines."""
        return asdict(self)


def facts_of(key: str, seen: Inspected) -> Facts:
    """Return what is known of an entry, by the server's clock."""
    base, frame = Facts(key, seen.l2_key.decode("utf-8", "replace"), "absent"), seen.frame
    if seen.peeked.data is None or frame is None:
        return base
    kept_ms = seen.peeked.left_ms if seen.peeked.left_ms >= 0 else None
    if seen.peeked.kind not in _TYPES_OF_OURS:
        reason = f"it is a Redis {seen.peeked.kind}, and no entry of freshwell's"
        return replace(base, state="rejected", reason=reason, kept_ms=kept_ms)
    base = replace(base, size_bytes=len(seen.peeked.data), kept_ms=kept_ms)
    if isinstance(frame, Rejected):
        return replace(base, state="rejected", reason=frame.value)
    if frame.state is State.STAMP:
        return replace(base, state="rejected", reason="a tag's version")
    if frame.state is State.INTENT:
        writers = _writers(bytes(writers_of(frame)), seen.server_ms)
        return replace(base, state="being written", writers=writers)
    left_ms = frame.lease_until_ms - seen.server_ms
    rests = frame.state is State.VALUE and rest_until_ms(seen.peeked.data) > seen.server_ms
    if rests:
        base = replace(base, rest_left_ms=left_ms)
    elif left_ms > 0:
        base = replace(base, lease_left_ms=left_ms)
    if frame.state is State.LEASE:
        return replace(base, state="leased")
    if frame.state is State.TOMBSTONE:
        return replace(base, state="invalidated")
    return _of_value(base, frame, seen)


def _of_value(base: Facts, frame: Frame, seen: Inspected) -> Facts:
    known = tuple(
        _tag(digest, stamp, seen.tags.get(digest), seen.names.get(digest))
        for digest, stamp in frame.stamps
    )
    left_ms = frame.fresh_until_ms - seen.server_ms
    state = "fresh" if left_ms > 0 else "stale"
    if any(tag.status != "current" for tag in known):
        state = "outdated"
    return replace(
        base,
        state=state,
        age_ms=max(0, seen.server_ms - frame.born_ms),
        ttl_left_ms=max(0, left_ms),
        load_cost_us=frame.cost_us,
        codec=_CODECS.get(frame.codec, f"number {frame.codec}"),
        flags=flag_names(frame.flags),
        tags=known,
    )


def flag_names(flags: int) -> tuple[str, ...]:
    """Return the words for flags."""
    return tuple((flag.name or "").lower() for flag in Flag if flags & flag)


def _tag(
    digest: bytes, stamp: bytes, version: Frame | Rejected | None, inner: str | None
) -> TagFacts:
    if isinstance(version, Frame) and version.state is State.INTENT:
        status = "being changed"
    elif not isinstance(version, Frame) or version.state is not State.STAMP:
        status = "lost"
    else:
        status = "current" if version.token == stamp else "changed"
    if not inner:
        return TagFacts("tag", None, digest.hex(), status)
    kind, name = _TAG_KINDS.get(inner[0], "tag"), inner[1:]
    if inner[0] == "=":
        _, name = split(name)
    return TagFacts(kind, name, digest.hex(), status)


def _writers(listed: bytes, server_ms: int) -> int:
    """Return how many writers are listed whose announcements still stand."""
    ends = range(WRITER_BYTES, len(listed) + 1, WRITER_BYTES)
    return sum(int.from_bytes(listed[end - 8 : end]) > server_ms for end in ends)


# -- for people ------------------------------------------------------------------------------


def rows(facts: Facts) -> Sequence[tuple[str, str]]:
    """Return label and text of what there is to say. Texts may have any characters."""
    state = f"{facts.state} ({facts.reason or _MEANINGS[facts.state]})"
    said: list[tuple[str, str | None]] = [
        ("key", facts.key),
        ("key in Redis", facts.redis_key),
        ("state", state),
        ("age", span(facts.age_ms)),
        ("TTL left", span(facts.ttl_left_ms)),
        ("kept for", None if facts.state == "absent" else span(facts.kept_ms) or "ever"),
        ("load cost", None if facts.load_cost_us is None else _cost(facts.load_cost_us)),
        ("size", None if facts.size_bytes is None else f"{facts.size_bytes:,} bytes"),
        ("codec", facts.codec),
        ("flags", ", ".join(facts.flags) or None),
        ("lease", None if facts.lease_left_ms is None else f"for {span(facts.lease_left_ms)}"),
        ("rest", None if facts.rest_left_ms is None else _rest(facts.rest_left_ms)),
        ("writers", None if facts.writers is None else str(facts.writers)),
        *(("tag", _tag_text(tag)) for tag in facts.tags),
        ("value", facts.value),
        ("value", facts.value_note),
    ]
    return [(label, text) for label, text in said if text is not None]


def _tag_text(tag: TagFacts) -> str:
    kind = "" if tag.kind == "tag" else f"{tag.kind}: "
    name = f"digest {tag.digest}" if tag.name is None else tag.name
    return f"{kind}{name} ({tag.status})"


def _rest(left_ms: int) -> str:
    return f"for {span(left_ms)}: a load has failed, and the source is left alone"


def _cost(cost_us: int) -> str:
    return f"{cost_us / 1_000:,.1f} ms" if cost_us else "not measured"


def span(span_ms: int | None) -> str | None:
    """Return a span of time in its two largest units."""
    if span_ms is None or span_ms < 1_000:
        return None if span_ms is None else f"{span_ms} ms"
    for (unit_ms, unit), (smaller_ms, smaller) in itertools.pairwise(_SPANS):
        if span_ms >= unit_ms:
            whole, rest_ms = divmod(span_ms, unit_ms)
            return f"{whole} {unit} {rest_ms // smaller_ms} {smaller}"
    return f"{span_ms / 1_000:.1f} s"
