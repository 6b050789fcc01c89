"""What is fuzzed: functions of any bytes, which raise where a promise is broken.

Each is given to hypothesis for a moment (``test_targets``) and to atheris for as long as one
likes (``make fuzz``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pydantic

from freshwell import Compressed, Keyring, Sealed, Signed
from freshwell._kit.places import place_of
from freshwell.cli.facts import Facts, rows
from freshwell.cli.letters import exported, letter_facts, letter_line, letter_rows
from freshwell.cli.target import visible
from freshwell.codecs.base import flags_of
from freshwell.codecs.guards import heading
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.msgpack import MsgpackCodec
from freshwell.codecs.paper import Paper, marked
from freshwell.codecs.pickle import PickleCodec
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.shelf import UNREAD, Shelf, Terms
from freshwell.errors import CodecError, ConfigurationError, KeyRejected
from freshwell.ground.frame import GUARDED as GUARDING
from freshwell.ground.frame import (
    Frame,
    State,
    decode,
    encode,
    plain_parts,
    plain_start,
    stamp_of,
)
from freshwell.ground.globs import check_glob, glob_of, is_broad
from freshwell.ground.ids import decode_id, encode_id
from freshwell.ground.keys import check_key, digest8
from freshwell.ground.names import Names, named, split
from freshwell.ground.options import EntryPolicy
from freshwell.ground.plan import ReadLevel
from freshwell.ground.records import DeadLetter, Record
from freshwell.ground.streams import letter_in, record_in
from freshwell.ground.templates import compile_template

__all__ = ["HINTS", "TARGETS"]

KEY: Final = b"fw:e:shop:user:1"
DIGEST: Final = digest8(KEY)
KEYS: Final = Keyring({"k": bytes(range(32))})
PASSWORD: Final = "hush-word"
MAX_BYTES: Final = 100_000


@dataclass
class User:
    name: str
    tags: set[str]
    parent: User | None = None


class Model(pydantic.BaseModel):
    name: str
    of: dict[str, list[int]] = {}


PLAIN: Final[list[Any]] = [JsonCodec(), MsgpackCodec()]
GUARDED: Final[list[Any]] = [
    Sealed("json", KEYS),
    Signed("msgpack", KEYS),
    PickleCodec("0123456789abcdef"),
    Sealed(Compressed("json"), KEYS, allow_compressed=True),
]
PRESSED: Final = Compressed("json", max_bytes=MAX_BYTES)
CODECS: Final = [*PLAIN, *GUARDED, PRESSED]
TYPES: Final[list[Any]] = [Any, User, Model, dict[str, float], list[tuple[int, str]], bytes]
SHELF: Final = Shelf(Incidents(Counters(), "fuzz", now_ns=lambda: 1), max_value_bytes=MAX_BYTES)
TERMS: Final = [
    Terms(EntryPolicy(10**9, 10**9), codec.bind(Any), ReadLevel.EVENTUAL) for codec in CODECS
]
NAMES: Final = [Names("shop"), Names("shop", "2")]


def frames(data: bytes) -> None:
    """Bytes of L2 are a frame of this key, or none; reading them raises nothing."""
    found = decode(data, DIGEST)
    if isinstance(found, Frame):
        assert data[44:52] == DIGEST
        fields = found._asdict() | {"payload": bytes(found.payload)}
        again = decode(encode(**fields), DIGEST)
        assert isinstance(again, Frame)
        assert again[:-1] == found[:-1]
    for codec in (0, 1, 255):
        plain_parts(data, plain_start(codec), DIGEST)
    stamp_of(data, KEY)
    payload = data[1:]
    whole = encode(
        state=State.VALUE,
        flags=data[0] & 15 if data else 0,
        codec=data[0] >> 4 if data else 0,
        digest=DIGEST,
        fresh_until_ms=10**6,
        payload=payload,
    )
    for blob in (data, whole):
        for terms in TERMS:
            calm = SHELF.calm(KEY, blob, terms, 1)
            (quick,) = SHELF.values([KEY], SHELF.calm_frames((DIGEST,), [blob], terms, [1]), terms)
            reading = SHELF.read(KEY, blob, terms, now_ns=1, server_ms=1, u=0.5)
            if calm is not None:
                short = SHELF.read_calm(calm, terms, now_ns=1, server_ms=1, timed=True)
                assert repr(short) == repr(reading), "the short way is the long way"
            if flags_of(terms.codec) & GUARDING:
                assert quick is UNREAD
                assert reading.value is None
                assert not reading.negative


def codecs(data: bytes) -> None:
    """Any bytes are a value of the type, or a `CodecError`; guarded ones are never a value."""
    if len(data) < 2:
        return
    codec, type_ = CODECS[data[0] % len(CODECS)], TYPES[data[1] % len(TYPES)]
    bound = codec.bind(type_) if type_ is not bytes or codec in PLAIN else codec.bind(Any)
    for body in (data[2:], heading(b"k") + data[2:], b"\1" + data[2:]):
        with contextlib.suppress(CodecError):
            bound.decode(memoryview(body), KEY)
            assert codec not in GUARDED


def records(data: bytes) -> None:
    """Whatever stands in a journal can be shown, and is never written to the source by accident."""
    parts = (data.split(b"\xff") + [b""] * 5)[:5]
    for entry in ([b"7-1", parts], [parts[0], parts[1:]], [b"7-1", [b"n", *parts]], parts, None):
        with contextlib.suppress(ValueError):
            _shown(record_in(entry, parts[-1]))
    fields = [b"n", parts[0], b"i", parts[1], b"k", b"%d" % len(parts[2]), b"p", parts[3]]
    record = record_in([b"7-1", [*fields, b"t", bytes(16)]])
    _shown(record)
    _shown(letter_in(7, data))
    marked(data)
    with contextlib.suppress(ValueError):
        assert decode_id(encode_id(decode_id(data))) == decode_id(data)
    for paper in PAPERS:
        with contextlib.suppress(CodecError):
            paper.read(record)
            assert paper not in PAPERS[1:]


def _shown(found: Record | DeadLetter) -> None:
    letter_facts(found)
    exported(found)
    letter_line(found, 10**12)
    letter_rows(found, 10**12, with_value=True)


def urls(data: bytes) -> None:
    """A URL can be used, or is refused; neither tells its password."""
    text = data[1:].decode("utf-8", "surrogateescape")
    schemes = ("redis", "rediss", "unix", "redis+cluster", "redis+sentinel", text[:6])
    scheme = schemes[data[0] % len(schemes)] if data else ""
    for url in (f"{scheme}://user:{PASSWORD}@{text}", f"{scheme}://:{text}{PASSWORD}@h:1/0"):
        try:
            said = repr(place_of(url))
        except ConfigurationError as error:
            said = f"{error} {error!r} {error.__cause__!r}"
        assert PASSWORD not in said, url


def names(data: bytes) -> None:
    """Keys, templates and globs are taken or refused, and what is taken is told apart."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(ConfigurationError, KeyRejected):
        template = compile_template(text, ["a", "b"])
        template.render([text] * len(template.sources))
    with contextlib.suppress(KeyRejected):
        check_key(text, 1_024)
        for each in NAMES:
            for place in ("", "x/y"):
                name = named(place, text)
                assert split(name) == (place, text)
                assert each.name_of(each.entry(name)) == name
    with contextlib.suppress(KeyRejected):
        check_glob(text)
        is_broad(text)
        glob_of(text).fullmatch(text * 3)
        assert glob_of(text + "*").fullmatch(text) or not text.isalnum()
    assert visible(text).isprintable()
    rows(Facts(text, text, "absent"))


PAPERS: Final = [
    Paper(JsonCodec().bind(Any), "shop", hides_ids=False),
    Paper(Sealed("json", KEYS).bind(Any), "shop", hides_ids=False),
    Paper(Sealed("json", KEYS).bind(Any), "shop", hides_ids=True),
]
TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "frames": frames,
    "codecs": codecs,
    "records": records,
    "urls": urls,
    "names": names,
}
"""By the names that ``make fuzz`` takes."""

ELSEWHERE: Final = b"fw:e:shop:user:2"
HINTS: Final[dict[str, list[bytes]]] = {
    "frames": [
        b"fw\1",
        encode(state=State.VALUE, digest=DIGEST, codec=1, payload=b"[1]"),
        encode(state=State.VALUE, digest=DIGEST, flags=5, codec=1, stamps=((bytes(8), bytes(8)),)),
    ],
    "codecs": [
        *(bytes([n, 0]) + c.bind(Any).encode([1], ELSEWHERE) for n, c in enumerate(CODECS)),
        *(
            bytes([n, 1]) + c.bind(Any).encode({"name": "a", "tags": ["b"]}, ELSEWHERE)
            for n, c in enumerate(CODECS)
        ),
    ],
    "records": [b"\xff1\xffi\xff\1[1]", b"\1[1]", b"\0\4\1", b'{"u": "', bytes(40)],
    "urls": [b"\0h:1/0", b"\3h:1,i:2", b"\4h:1,i:2/main/0", b"\1h?db=1", b"\0[::1]:7/"],
    "names": [b"a:{a}:{b.c}", b"*[^a-z]?\\*", b"{a}" * 9, b"\x1fx/y:a"],
}
"""Bytes from which it is not far to what a target is about. What is guarded is another key's."""
