"""Look at a sample of a server's keys, in small steps that hold up nobody.

SCAN goes over the server's table in an order that has nothing to do with names, so its first
keys are a fair sample.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from freshwell._kit.resp import Argument, scanned, unerring
from freshwell.cli.doctor.key_rules import INDEX_LENGTH
from freshwell.cli.doctor.reading import Reader
from freshwell.cli.doctor.secrets import FIELD_KIND, has_secret_field, secrets_in
from freshwell.cli.doctor.seen import KeySeen
from freshwell.ground.frame import FRAME_START, HEAD_BYTES, STAMP_BYTES, Flag
from freshwell.ground.streams import every_about, name_in

__all__ = ["find_journals", "readable", "sample"]

_AT_ONCE: Final = 200
_SPARSE_STEPS: Final = 200
"""A table from which much was deleted has steps without any key."""
_READ_BYTES: Final = 2_048
_FIELDS: Final = 20
_SMALL_BYTES: Final = 65_536
"""Collections up to this size are looked into: no reply to this can be larger."""
_MEMBERS: Final = 10
_MEMBER_BYTES: Final = 200
_SEARCH_COUNT: Final = 500
_SEARCH_S: Final = 3.0
_UNREADABLE: Final = Flag.COMPRESSED | Flag.SEALED

_LENGTHS: Final = {
    "hash": "HLEN",
    "list": "LLEN",
    "set": "SCARD",
    "stream": "XLEN",
    "zset": "ZCARD",
}
_MEMBERS_OF: Final[Mapping[str, Callable[[bytes], Sequence[Argument]]]] = {
    "list": lambda key: ("LRANGE", key, 0, _MEMBERS - 1),
    "set": lambda key: ("SRANDMEMBER", key, _MEMBERS),
    "zset": lambda key: ("ZRANGE", key, 0, _MEMBERS - 1),
}


class _Basics(NamedTuple):
    name: bytes
    kind: str
    ttl_ms: int
    size: int | None
    freq: int | None


def sample(reader: Reader, most: int, *, with_freq: bool) -> Iterator[KeySeen]:
    """Yield what is seen of at most so many keys. Raises `StoreUnavailable`, also for SCAN's error.

    Of values, 2 KB of strings and some names of fields are read, and only what they look like is
    kept. `with_freq`: the server counts by LFU.
    """
    for names in _names(reader, most):
        yield from _looked_at(reader, _basics(reader, names, with_freq=with_freq))


def find_journals(reader: Reader) -> tuple[list[str], bool]:
    """Return which journals of freshwell's there are, and whether all keys were gone over.

    For a few seconds at most.
    """
    found, cursor, ends_s = [], b"0", time.monotonic() + _SEARCH_S
    while True:
        (reply,) = reader.ask([("SCAN", cursor, "MATCH", every_about(), "COUNT", _SEARCH_COUNT)])
        place, keys = scanned(reply)
        names = (name_in(key) for key in keys)
        found += [f"{name.namespace}:{name.name}" for name in names if name is not None]
        if not isinstance(place, bytes):
            return sorted(set(found)), True
        if time.monotonic() >= ends_s:
            return sorted(set(found)), False
        cursor = place


def readable(data: bytes) -> bytes:
    """Return the part of a value that people can read: of an entry of freshwell's, its payload."""
    if not data.startswith(FRAME_START) or len(data) < HEAD_BYTES:
        return data
    return b"" if data[4] & _UNREADABLE else data[HEAD_BYTES + data[6] * STAMP_BYTES :]


def _names(reader: Reader, most: int) -> Iterator[list[bytes]]:
    """Yield names of keys, each once, a few hundred at a time."""
    known: set[bytes] = set()
    cursor: bytes = b"0"
    for _ in range(_SPARSE_STEPS + 2 * most // _AT_ONCE):
        (reply,) = reader.ask([("SCAN", cursor, "COUNT", _AT_ONCE)])
        place, keys = scanned(reply)
        fresh = [key for key in dict.fromkeys(keys) if key not in known][: most - len(known)]
        known.update(fresh)
        for start in range(0, len(fresh), _AT_ONCE):
            yield fresh[start : start + _AT_ONCE]
        if not isinstance(place, bytes) or len(known) >= most:
            return
        cursor = place


def _basics(reader: Reader, names: Sequence[bytes], *, with_freq: bool) -> list[_Basics]:
    asked: list[Sequence[Argument]] = []
    for name in names:
        # First, so that looking at a key is not what it is judged by.
        asked.append(("OBJECT", "FREQ", name) if with_freq else ("TYPE", name))
        asked += [("TYPE", name), ("PTTL", name), ("MEMORY", "USAGE", name)]
    replies = reader.ask(asked)
    found = []
    for at, name in enumerate(names):
        freq, kind, ttl, size = replies[4 * at : 4 * at + 4]
        ttl_ms, told = unerring(ttl), unerring(kind)
        if ttl_ms == -2 or told == b"none":
            continue  # it has gone meanwhile
        found.append(_Basics(name, told.decode(), ttl_ms, _number(size), _number(freq)))
    return found


def _looked_at(reader: Reader, keys: Sequence[_Basics]) -> Iterator[KeySeen]:
    contents = reader.ask([_content(key) for key in keys])
    lengths = [_number(reply) for reply in _lengths(reader, keys)]
    large = [k for k, n in zip(keys, lengths, strict=True) if (n or 0) >= INDEX_LENGTH]
    members = _members(reader, [key for key in large if key.kind in _MEMBERS_OF])
    for key, content, length in zip(keys, contents, lengths, strict=True):
        secrets, groups = _looks(key, content)
        yield KeySeen(*key[:4], length, key.freq, secrets, members.get(key.name, ()), groups)


def _content(key: _Basics) -> Sequence[Argument]:
    """Return the command by which to look into a key: at a part of it, whatever its size."""
    if key.kind == "string":
        return ("GETRANGE", key.name, 0, _READ_BYTES - 1)
    small = _is_small(key)
    if key.kind == "hash":
        return ("HRANDFIELD", key.name, _FIELDS, *(["WITHVALUES"] if small else []))
    if key.kind == "stream":
        return ("XINFO", "GROUPS", key.name)
    if small and key.kind in _MEMBERS_OF:
        return _MEMBERS_OF[key.kind](key.name)
    return ("TYPE", key.name)


def _lengths(reader: Reader, keys: Sequence[_Basics]) -> list[Any]:
    return reader.ask([(_LENGTHS.get(key.kind, "TYPE"), key.name) for key in keys])


def _members(reader: Reader, keys: Sequence[_Basics]) -> dict[bytes, tuple[bytes, ...]]:
    replies = reader.ask([_MEMBERS_OF[key.kind](key.name) for key in keys])
    return {
        key.name: tuple(member[:_MEMBER_BYTES] for member in reply)
        for key, reply in zip(keys, replies, strict=True)
        if isinstance(reply, list)
    }


def _looks(key: _Basics, content: Any) -> tuple[tuple[str, ...], int]:
    """Return what a key's content looks like, and how many groups a stream has."""
    if key.kind == "string" and isinstance(content, bytes):
        return secrets_in(readable(content)), 0
    if not isinstance(content, list):
        return (), 0
    if key.kind == "stream":
        return (), len(content)
    found = {kind for member in content for kind in secrets_in(member[:_READ_BYTES])}
    if key.kind == "hash":
        known = content[1::2] if _is_small(key) else None
        names = content if known is None else content[::2]
        if has_secret_field(names, known):
            found.add(FIELD_KIND)
    return tuple(sorted(found)), 0


def _is_small(key: _Basics) -> bool:
    return key.size is not None and key.size <= _SMALL_BYTES


def _number(reply: Any) -> int | None:
    return reply if isinstance(reply, int) else None
