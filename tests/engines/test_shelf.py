"""The short way to read a frame: what it says is what the long way says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freshwell.codecs.json import JsonCodec
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.shelf import Shelf, Terms
from freshwell.ground.frame import State, encode
from freshwell.ground.keys import digest8
from freshwell.ground.options import EntryPolicy
from freshwell.ground.plan import L2Word, ReadLevel

KEY = b"fw:e:default:a"
NOW_MS = 1_000_000
SHELF = Shelf(Incidents(Counters(), "default", lambda: 1), max_value_bytes=40)
TERMS = Terms(EntryPolicy(ttl_ns=1, max_ttl_ns=1), JsonCodec().bind(Any), ReadLevel.EVENTUAL)
STAMPS = st.lists(st.tuples(*[st.binary(min_size=8, max_size=8)] * 2), max_size=3).map(tuple)


@given(
    state=st.sampled_from(State),
    flags=st.sampled_from([0, 0, 0, 1, 2]),
    codec=st.sampled_from([1, 1, 1, 2]),
    left_ms=st.integers(-100, 20_000),
    cost_us=st.sampled_from([0, 1_000, 1_000_000]),
    stamps=STAMPS,
    payload=st.sampled_from([b"1", b'"text"', b"torn{", b'"' + b"x" * 60 + b'"']),
    digest=st.sampled_from([digest8(KEY), digest8(KEY), bytes(8)]),
    server_ms=st.sampled_from([NOW_MS, NOW_MS, 0]),
    timed=st.booleans(),
)
def test_what_is_read_the_short_way_is_read_alike_the_long_way(
    left_ms: int, server_ms: int, timed: bool, cost_us: int, **fields: Any
) -> None:
    blob = encode(fresh_until_ms=NOW_MS + left_ms, born_ms=NOW_MS - 5, cost_us=cost_us, **fields)
    calm = SHELF.calm(KEY, blob, TERMS, server_ms)
    long = SHELF.read(KEY, blob, TERMS, now_ns=7, server_ms=server_ms, u=0.5)
    if calm is not None:
        short = SHELF.read_calm(calm, TERMS, now_ns=7, server_ms=server_ms, timed=timed)
        assert short == (long if timed else long._replace(times=None))
        assert long.word is L2Word.FRESH
    elif long.word is L2Word.FRESH:
        assert long.negative or left_ms <= 10 * cost_us / 1_000, "nothing was to be decided"
