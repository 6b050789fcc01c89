"""Requests to replay: recorded ones from files, and made ones that are hard in a known way."""

from __future__ import annotations

import lzma
import random
import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

__all__ = ["Trace", "read_folder", "sampled", "synthetic"]

_ORACLE = struct.Struct("<IQIq")


@dataclass(frozen=True)
class Trace:
    """A name and its requests.

    `sizes`: bytes of each request's value, where they are known. `capacities`: entries of the
    tables to replay it through (empty: shares of the distinct keys). `distinct`: how many
    different keys there are, in what was cut off too.
    """

    name: str
    keys: Sequence[int]
    distinct: int
    sizes: Sequence[int] | None = None
    capacities: tuple[int, ...] = ()


def read_folder(folder: Path, limit: int) -> Iterator[Trace]:
    """Read the traces of a folder in order of their names, up to `limit` requests (0: all).

    Known are ``*.trace`` (big-endian unsigned 32-bit keys) and ``*.oracleGeneral`` (records of
    24 bytes with sizes, as libCacheSim has them), either with ``.xz`` behind.
    """
    for path in sorted(folder.iterdir()):
        suffixes = [suffix for suffix in path.suffixes if suffix != ".xz"]
        read = _READERS.get(suffixes[-1]) if suffixes else None
        if read is not None:
            data = path.read_bytes()
            keys, sizes = read(lzma.decompress(data) if path.suffix == ".xz" else data)
            cut = slice(limit or None)
            yield Trace(
                path.name.partition(".")[0],
                keys[cut],
                len(set(keys)),
                sizes[cut] if sizes is not None else None,
            )


def _read_words(data: bytes) -> tuple[list[int], None]:
    keys = array("I", data)
    if sys.byteorder == "little":
        keys.byteswap()
    return keys.tolist(), None


def _read_oracle(data: bytes) -> tuple[list[int], list[int]]:
    records = list(_ORACLE.iter_unpack(data))
    return [record[1] for record in records], [record[2] for record in records]


_READERS: dict[str, Callable[[bytes], tuple[list[int], list[int] | None]]] = {
    ".trace": _read_words,
    ".oracleGeneral": _read_oracle,
}


def sampled(trace: Trace, most: int) -> Trace:
    """Return about `most` requests of a trace: all those of some of its keys, chosen by hash.

    A table of the same share of the distinct keys then sees about what it sees of the whole
    (Waldspurger and others, 2015), which the first requests of a trace do not give.
    """
    parts = -(-len(trace.keys) // most)
    if parts <= 1:
        return trace
    chosen = [at for at, key in enumerate(trace.keys) if _scattered(key) % parts == 0]
    keys = [trace.keys[at] for at in chosen]
    sizes = None if trace.sizes is None else [trace.sizes[at] for at in chosen]
    return replace(trace, keys=keys, distinct=len(set(keys)), sizes=sizes)


def _scattered(key: int) -> int:
    return (key * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 40


def synthetic(count: int) -> list[Trace]:
    """Return made traces of about `count` requests each, the same ones every time."""
    chance = random.Random(20)
    zipf = _zipf(chance, 10_000, 1.0)
    flat = _zipf(chance, 10_000, 0.8)
    made = [
        ("loop, 1.05 x table", [i % 210 for i in range(count)], (200,)),
        ("loop, 1.25 x table", [i % 250 for i in range(count)], (200,)),
        ("loop, 2 x table", [i % 400 for i in range(count)], (200,)),
        ("Zipf", [zipf() for _ in range(count)], (10, 30, 100, 1_000)),
        ("Zipf, shifting", _shifting(flat, count, 10_000), (10, 100, 1_000)),
        ("Zipf, shifting fast", _shifting(flat, count, 2_000), (10, 100, 1_000, 3_000)),
        ("scans over Zipf", _scans(zipf, count), (10, 100, 1_000)),
        ("one-hit wonders", _wonders(chance, zipf, count), (10, 100, 1_000)),
        ("recency", _recency(chance, count), (10, 30, 100, 300)),
    ]
    traces = [Trace(name, keys, len(set(keys)), None, sizes) for name, keys, sizes in made]
    weights = [int(64 * chance.paretovariate(0.9)) for _ in range(10_000)]
    keys = [zipf() for _ in range(count)]
    sizes = [min(weights[key], 1_000_000) for key in keys]
    return [*traces, Trace("Zipf with sizes", keys, len(set(keys)), sizes)]


def _zipf(chance: random.Random, many: int, skew: float) -> Callable[[], int]:
    keys = range(many)
    weights = list(accumulate((rank + 1) ** -skew for rank in keys))
    return lambda: chance.choices(keys, cum_weights=weights)[0]


def _shifting(zipf: Callable[[], int], count: int, every: int) -> list[int]:
    """Every so many requests the hot keys give way to others that were cold before."""
    return [zipf() + i // every * 1_500 for i in range(count)]


def _scans(zipf: Callable[[], int], count: int) -> list[int]:
    """Half of the time a pass over keys that do not come back."""
    return [zipf() if i % 3_000 < 1_500 else 1_000_000 + i for i in range(count)]


def _wonders(chance: random.Random, zipf: Callable[[], int], count: int) -> list[int]:
    """Two of five requests are for a key that never comes back."""
    return [1_000_000 + i if chance.random() < 0.4 else zipf() for i in range(count)]


def _recency(chance: random.Random, count: int) -> list[int]:
    """What was asked for lately is asked for again, and nothing else counts: LRU's own."""
    requests: list[int] = []
    for i in range(count):
        back = int(2_000 ** chance.random())
        again = len(requests) >= back and chance.random() < 0.7
        requests.append(requests[-back] if again else i)
    return requests
