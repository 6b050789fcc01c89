"""How a journal lies in Redis: its keys, the ids of its records, and their fields.

A shard is a stream of records and what belongs to them, all in one slot of a Cluster. The id of
a record, ``MS-N``, is its sequence in two parts. ``N % shards`` is the record's shard, so that no
two records of a journal have the same sequence.

What comes back is read without trust: a record that cannot be read is returned all the same, with
an empty `id`, which no source's is, and what was found as its payload.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

from freshwell.ground.records import (
    COUNT_BITS,
    TOKEN_BYTES,
    DeadLetter,
    Draft,
    Kind,
    Record,
    kind_of,
    sequence_of,
)

__all__ = [
    "FORMAT",
    "MAX_SHARDS",
    "JournalKeys",
    "JournalName",
    "ShardKeys",
    "every_about",
    "id_of",
    "is_superseded",
    "letter_in",
    "ms_of",
    "name_in",
    "packed",
    "record_in",
    "sequence_in",
    "sequence_text",
    "shard_of",
    "shard_of_sequence",
    "told",
]

FORMAT: Final = b"1"
MAX_SHARDS: Final = 1_024
"""So few that each still has thousands of sequences in a millisecond."""
_COUNT_MASK: Final = 2**COUNT_BITS - 1
_FIELDS: Final = (b"n", b"i", b"k", b"p", b"t")
_LETTER: Final = Struct(">QBBIIIIII")
_LETTER_FORMAT: Final = 1
_DIED: Final = 8
_MAX_KIND: Final = 255
_MAX_ATTEMPTS: Final = 2**32 - 1


class ShardKeys(NamedTuple):
    """The keys of one shard, all in one slot.

    - `records`: the stream.
    - `latest`: of each entry's name, the id of its newest record.
    - `about`: bytes held, and the last id given.
    - `owner`: the token of who flushes the shard; it runs out.
    - `tries`: of each record that has failed, how often.
    - `dead`: dead letters by sequence.
    - `deadkeys`: of each entry's name, the oldest of its dead letters that is not superseded, and
      how many there are.
    """

    records: bytes
    latest: bytes
    about: bytes
    owner: bytes
    tries: bytes
    dead: bytes
    deadkeys: bytes


class JournalName(NamedTuple):
    """What a journal is called on its Redis."""

    namespace: str
    """Of its cache, and of the namespace in it where there is one: ``shop/reports``."""
    name: str


class JournalKeys:
    """The keys of a journal: `about` and `flushers` of the whole, and those of each shard."""

    __slots__ = ("_stem", "about", "flushers")

    def __init__(self, namespace: str, name: str) -> None:
        self._stem = f"fw:j:{namespace}:{name}"
        self.about = f"{{{self._stem}}}:about".encode()
        self.flushers = f"{{{self._stem}}}:flushers".encode()

    def shard(self, number: int) -> ShardKeys:
        """Return the keys of a shard."""
        return ShardKeys(
            *(f"{{{self._stem}:{number}}}:{part}".encode() for part in ShardKeys._fields)
        )


def every_about() -> bytes:
    """Return a pattern that the `about` of every journal matches, and others."""
    return b"{fw:j:*}:about"


def name_in(about: bytes) -> JournalName | None:
    """Return the journal whose `about` a key is. None: of none, or of one of its shards."""
    inner = about.removeprefix(b"{fw:j:").removesuffix(b"}:about")
    parts = inner.decode("utf-8", "replace").split(":")
    if len(parts) != 2 or JournalKeys(*parts).about != about:
        return None
    return JournalName(*parts)


def shard_of(name: str, shards: int) -> int:
    """Return the shard of an entry's writes."""
    return crc32(name.encode()) % shards


def shard_of_sequence(sequence: int, shards: int) -> int:
    """Return the shard in which a sequence was given."""
    return (sequence & _COUNT_MASK) % shards


def id_of(sequence: int) -> bytes:
    """Return the id in the stream of a sequence."""
    return b"%d-%d" % (sequence >> COUNT_BITS, sequence & _COUNT_MASK)


def sequence_in(id: bytes) -> int:
    """Return the sequence of an id. Raises `ValueError` for bytes that are none."""
    ms, _, count = id.partition(b"-")
    return sequence_of(int(ms), int(count))


def ms_of(sequence: int) -> int:
    """Return when a record was accepted, by the server's clock."""
    return sequence >> COUNT_BITS


def sequence_text(sequence: int) -> bytes:
    """Return a sequence as text of one length, so that the order of texts is theirs."""
    return b"%020d" % sequence


def told(draft: Draft) -> tuple[bytes | int, ...]:
    """Return what the script that accepts is told of a write."""
    name, id, kind, payload, token = draft
    return name.encode(), id, int(kind), payload, token, draft.size


def record_in(entry: Any, attempts: Any = None) -> Record:
    """Return the record that stands in a stream, whatever its fields are.

    Raises `ValueError` where it is no entry of a stream at all.
    """
    try:
        id, listed = entry
        sequence = sequence_in(id)
        fields = dict(zip(listed[::2], listed[1::2], strict=False))
    except (TypeError, AttributeError) as error:
        raise ValueError("not an entry of a stream") from error
    tried = int(attempts) if isinstance(attempts, bytes) and attempts.isdigit() else 0
    name = fields.get(b"n", b"").decode("utf-8", "replace")
    kind = fields.get(b"k", b"")
    if not all(field in fields for field in _FIELDS) or not kind.isdigit() or int(kind) > _MAX_KIND:
        raw = b"\0".join(listed)
        return Record(
            sequence, name, b"", Kind.PUT, raw, bytes(TOKEN_BYTES), tried, ms_of(sequence)
        )
    return Record(
        sequence,
        name,
        fields[b"i"],
        kind_of(int(kind)),
        fields[b"p"],
        fields[b"t"],
        tried,
        ms_of(sequence),
    )


def packed(record: Record, reason: str) -> bytes:
    """Return a dead letter as it is kept, but for the time at its front, which the server sets."""
    parts = [record.name.encode(), record.id, record.payload, record.token, reason.encode()]
    attempts = min(record.attempts, _MAX_ATTEMPTS)
    sizes = map(len, parts)
    head = _LETTER.pack(0, _LETTER_FORMAT, int(record.kind), attempts, *sizes)
    return b"".join((head[_DIED:], *parts))


def letter_in(sequence: int, data: bytes, superseded: bool = False) -> DeadLetter:
    """Return the dead letter that is kept. Raises nothing, whatever the bytes are."""
    lost = Record(sequence, "", b"", Kind.PUT, data, bytes(TOKEN_BYTES), 0, ms_of(sequence))
    unread = DeadLetter(lost, "the letter cannot be read", 0, superseded)
    if len(data) < _LETTER.size:
        return unread
    died_ms, version, kind, attempts, *sizes = _LETTER.unpack_from(data)
    if version != _LETTER_FORMAT or _LETTER.size + sum(sizes) != len(data):
        return unread
    parts, at = [], _LETTER.size
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    name, id, payload, token, reason = parts
    record = Record(
        sequence,
        name.decode("utf-8", "replace"),
        id,
        Kind(kind),
        payload,
        token,
        attempts,
        ms_of(sequence),
    )
    return DeadLetter(record, reason.decode("utf-8", "replace"), died_ms, superseded)


def is_superseded(sequence: int, mark: bytes | None) -> bool:
    """Tell whether a dead letter is, from what `deadkeys` holds for its name."""
    return mark is None or mark[:20] > sequence_text(sequence)
