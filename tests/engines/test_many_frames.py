"""Frames that are read together are read as each is by itself."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell.codecs.json import JsonCodec
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.shelf import UNREAD, Shelf, Terms
from freshwell.ground.frame import Flag, State, encode
from freshwell.ground.keys import digest8
from freshwell.ground.options import EntryPolicy
from freshwell.ground.plan import ReadLevel

_KEY, _OTHER = b"fw:e:shop:a", b"fw:e:shop:b"
_NOW_MS = 1_000_000
_STAMPS = ((b"digest-1", b"stamp--1"), (b"digest-2", b"stamp--2"))
_MOST_BYTES = 10_000


def _frame(key: bytes = _KEY, payload: bytes = b'{"a":[1]}', **given: Any) -> bytes:
    fields: dict[str, Any] = {
        "state": State.VALUE,
        "codec": 1,
        "fresh_until_ms": _NOW_MS + 10_000,
    } | given
    return encode(digest=digest8(key), payload=payload, **fields)


_FRESH, _TAGGED = _frame(), _frame(stamps=_STAMPS)
_BLOBS = {
    "fresh": _FRESH,
    "tagged": _TAGGED,
    "large": _frame(payload=b'"%s"' % (b"x" * 5_000)),
    "large and tagged": _frame(payload=b'"%s"' % (b"x" * 5_000), stamps=_STAMPS),
    "too large": _frame(payload=b'"%s"' % (b"x" * _MOST_BYTES)),
    "empty": _frame(payload=b""),
    "cheap": _frame(cost_us=1, fresh_until_ms=_NOW_MS + 1_000),
    "to be refreshed early": _frame(cost_us=2**31),
    "at its end": _frame(fresh_until_ms=_NOW_MS),
    "just before its end": _frame(fresh_until_ms=_NOW_MS + 1),
    "expired": _frame(fresh_until_ms=1),
    "of another key": _frame(_OTHER),
    "of another codec": _frame(codec=2),
    "negative": _frame(payload=b"", codec=0, flags=Flag.NEGATIVE),
    "compressed": _frame(flags=Flag.COMPRESSED),
    "at rest": _FRESH[:7] + b"\1" + _FRESH[8:],
    "tagged, at rest": _TAGGED[:7] + b"\1" + _TAGGED[8:],
    "a lease": _frame(state=State.LEASE),
    "a tombstone": _frame(state=State.TOMBSTONE),
    "torn": _FRESH[:-1],
    "torn in its tags": _TAGGED[:60],
    "more tags than bytes": _FRESH[:6] + b"\xff" + _FRESH[7:],
    "a head alone": _FRESH[:56],
    "shorter than a head": _FRESH[:55],
    "no bytes": b"",
    "newer": b"fw\2" + _FRESH[3:],
    "foreign": b'{"a": 1}',
    "no JSON": _frame(payload=b"{"),
}


def _digests(keys: list[bytes]) -> tuple[bytes, ...]:
    return tuple(map(digest8, keys))


def _shelf() -> Shelf:
    return Shelf(Incidents(Counters(), "shop", now_ns=lambda: 1), max_value_bytes=_MOST_BYTES)


def _terms(beta: float) -> Terms:
    return Terms(EntryPolicy(10**9, 10**9, beta=beta), JsonCodec().bind(Any), ReadLevel.EVENTUAL)


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("server_ms", [_NOW_MS, 0])
def test_together_they_are_read_as_one_by_one(server_ms: int, beta: float) -> None:
    shelf, terms = _shelf(), _terms(beta)
    blobs = [*_BLOBS.values()]
    keys = [_KEY] * len(blobs)
    calm = shelf.calm_frames(_digests(keys), blobs, terms, [server_ms] * len(blobs))
    values = shelf.values(keys, calm, terms)
    alone = [shelf.calm(_KEY, blob, terms, server_ms) for blob in blobs]
    assert values == [found[0] if found else UNREAD for found in alone]
    stamps = [found[1][3] if found else b"" for found in alone]
    assert [
        b"" if value is UNREAD else found
        for value, found in zip(values, calm.stamps(), strict=True)
    ] == stamps
    assert calm.is_tagged == any(stamps) == (server_ms > 0)


@pytest.mark.parametrize("odd", [name for name in _BLOBS if name != "fresh"])
def test_one_among_many_does_not_change_the_others(odd: str) -> None:
    shelf, terms = _shelf(), _terms(1.0)
    keys, blobs = [_KEY] * 3, [_FRESH, _BLOBS[odd], _FRESH]
    values = shelf.values(
        keys, shelf.calm_frames(_digests(keys), blobs, terms, [_NOW_MS] * 3), terms
    )
    assert values[::2] == [{"a": [1]}] * 2


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("server_ms", [_NOW_MS, 0])
@pytest.mark.parametrize("kind", _BLOBS)
def test_where_all_are_alike_they_are_read_as_one(kind: str, server_ms: int, beta: float) -> None:
    shelf, terms = _shelf(), _terms(beta)
    keys, blobs = [_KEY] * 3, [_BLOBS[kind]] * 3
    calm = shelf.calm_frames(_digests(keys), blobs, terms, [server_ms] * 3)
    alone = shelf.calm(_KEY, _BLOBS[kind], terms, server_ms)
    assert shelf.values(keys, calm, terms) == [alone[0] if alone else UNREAD] * 3
    assert calm.is_whole == (alone is not None)


def test_each_is_judged_by_the_clock_of_its_server() -> None:
    shelf, terms = _shelf(), _terms(0.0)
    keys, blobs, ends_ms = [_KEY] * 3, [_FRESH] * 3, _NOW_MS + 10_000
    calm = shelf.calm_frames(_digests(keys), blobs, terms, [_NOW_MS, ends_ms, 0])
    assert shelf.values(keys, calm, terms) == [{"a": [1]}, UNREAD, UNREAD]


def test_of_what_cannot_be_decoded_something_is_to_be_decided() -> None:
    shelf, terms = _shelf(), _terms(1.0)
    keys, blobs = [_KEY] * 2, [_FRESH, _BLOBS["no JSON"]]
    calm = shelf.calm_frames(_digests(keys), blobs, terms, [_NOW_MS] * 2)
    assert calm.is_whole
    assert shelf.values(keys, calm, terms) == [{"a": [1]}, UNREAD]
    assert calm.begins == [0, -1]


def test_what_does_not_stand_is_left_out() -> None:
    shelf, terms = _shelf(), _terms(1.0)
    keys, blobs = [_KEY] * 3, [_FRESH, _TAGGED, b""]
    calm = shelf.calm_frames(_digests(keys), blobs, terms, [_NOW_MS] * 3)
    calm.leave_out([True, False, True])
    assert shelf.values(keys, calm, terms) == [{"a": [1]}, UNREAD, UNREAD]
    assert calm.stamps() == [b"", None, None]
