"""What the keys of a server say: those without a TTL, big and hot ones, indexes, secrets. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from freshwell.cli.doctor.findings import Finding, Severity
from freshwell.cli.doctor.prefixes import NO_PREFIX, prefix_of, shown_key
from freshwell.cli.doctor.secrets import CERTAIN, RANDOM, secrets_in
from freshwell.cli.doctor.seen import KeySeen, ServerSeen
from freshwell.cli.target import counted

__all__ = ["HOT", "INDEX_LENGTH", "judge_keys"]

_MOST_GROUPS: Final = 10
_MANY: Final = 0.05
BIG_BYTES: Final = 2**20
_HUGE_BYTES: Final = 100 * 2**20
_BIG_LENGTH: Final = 100_000
_HUGE_LENGTH: Final = 5_000_000
INDEX_LENGTH: Final = 1_000
"""Fewer members are no index that hurts."""
HOT: Final = 142
"""The counter of an LFU policy after about 100,000 reads, as servers are set by default."""

_Grouped = Sequence[tuple[str, list[KeySeen]]]


def judge_keys(seen: ServerSeen, separator: str) -> Iterator[Finding]:
    """Yield what the sampled keys of a server say."""
    grouped = partial(_by_prefix, separator=separator)
    plain = [key for key in seen.keys if not key.is_journal]
    yield from _without_ttl(seen, grouped(key for key in plain if _forgotten(key)))
    yield from _big(grouped(key for key in plain if _is_big(key)))
    hot = (key for key in seen.keys if key.freq is not None and key.freq >= HOT)
    yield from _hot(grouped(hot))
    known = {prefix_of(key.name, separator) for key in plain} - {NO_PREFIX}
    indexes = (key for key in plain if _is_index(key, known, separator))
    yield from _indexes(grouped(indexes))
    yield from _secrets(seen.keys, separator)


def _by_prefix(keys: Iterable[KeySeen], *, separator: str) -> _Grouped:
    """Return keys by their prefixes, the most first."""
    groups: defaultdict[str, list[KeySeen]] = defaultdict(list)
    for key in keys:
        groups[prefix_of(key.name, separator)].append(key)
    return sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))


def _forgotten(key: KeySeen) -> bool:
    return key.lasts and not key.is_queue and key.kind != "stream"


def _without_ttl(seen: ServerSeen, groups: _Grouped) -> Iterator[Finding]:
    sampled = len(seen.keys)
    for prefix, keys in groups[:_MOST_GROUPS]:
        share = len(keys) / sampled
        few = share < _MANY or (seen.policy or "").startswith("allkeys-")
        about = round(share * seen.total)
        evidence = (
            f"{counted(len(keys), 'key')} of {sampled:,} sampled ({share:.0%}) like {prefix} "
            f"{'has' if len(keys) == 1 else 'have'} no TTL; about {about:,} of {seen.total:,}"
        )
        yield Finding("no-ttl", Severity.NOTICE if few else Severity.WARNING, evidence)
    yield from _more("no-ttl", groups)


def _more(code: str, groups: _Grouped) -> Iterator[Finding]:
    """Say how many groups are not listed."""
    rest = groups[_MOST_GROUPS:]
    if rest:
        keys = sum(len(its) for _, its in rest)
        evidence = f"{counted(len(rest), 'more prefix', 'more prefixes')}, {counted(keys, 'key')}"
        yield Finding(code, Severity.NOTICE, evidence)


def _is_big(key: KeySeen) -> bool:
    return (key.size or 0) >= BIG_BYTES or (key.length or 0) >= _BIG_LENGTH


def _big(groups: _Grouped) -> Iterator[Finding]:
    for prefix, keys in groups[:_MOST_GROUPS]:
        worst = max(keys, key=lambda key: (key.size or 0, key.length or 0))
        huge = (worst.size or 0) >= _HUGE_BYTES or (worst.length or 0) >= _HUGE_LENGTH
        size = "" if worst.size is None else f" of {worst.size / 2**20:.1f} MiB"
        length = "" if worst.length is None else f" with {counted(worst.length, 'element')}"
        evidence = (
            f"{counted(len(keys), 'big key')} like {prefix}; {shown_key(worst.name)} is a "
            f"{worst.kind}{size}{length}"
        )
        yield Finding("big-key", Severity.CRITICAL if huge else Severity.WARNING, evidence)
    yield from _more("big-key", groups)


def _hot(groups: _Grouped) -> Iterator[Finding]:
    for prefix, keys in groups[:_MOST_GROUPS]:
        worst = max(keys, key=lambda key: key.freq or 0)
        evidence = (
            f"{counted(len(keys), 'hot key')} like {prefix}; {shown_key(worst.name)} has an LFU "
            f"counter of {worst.freq} of 255"
        )
        yield Finding("hot-key", Severity.NOTICE, evidence)
    yield from _more("hot-key", groups)


def _is_index(key: KeySeen, known: set[str], separator: str) -> bool:
    """Tell whether a collection names keys of the server, and stays."""
    if not key.lasts or key.kind == "stream" or (key.length or 0) < INDEX_LENGTH:
        return False
    named = [member for member in key.members if prefix_of(member, separator) in known]
    return bool(named) and len(named) * 2 >= len(key.members)


def _indexes(groups: _Grouped) -> Iterator[Finding]:
    for prefix, keys in groups[:_MOST_GROUPS]:
        worst = max(keys, key=lambda key: key.length or 0)
        evidence = (
            f"{counted(len(keys), 'collection')} like {prefix} without a TTL; "
            f"{shown_key(worst.name)} is a {worst.kind} of {counted(worst.length or 0, 'member')} "
            "that are named like keys"
        )
        yield Finding("index-without-end", Severity.WARNING, evidence)
    yield from _more("index-without-end", groups)


def _secrets(keys: Sequence[KeySeen], separator: str) -> Iterator[Finding]:
    found: Counter[tuple[str, str, str]] = Counter()
    for key in keys:
        prefix = prefix_of(key.name, separator)
        found.update((kind, "the value", prefix) for kind in key.secrets)
        in_name = (kind for kind in secrets_in(key.name) if kind != RANDOM)
        found.update((kind, "the name", prefix) for kind in in_name)
    for (kind, where, prefix), count in found.most_common():
        severity = Severity.CRITICAL if kind in CERTAIN else Severity.WARNING
        evidence = f"{kind} in {where} of {counted(count, 'sampled key')} like {prefix}"
        notice = kind == RANDOM
        yield Finding("plaintext-secret", Severity.NOTICE if notice else severity, evidence)
