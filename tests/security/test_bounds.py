"""Bounds that are nobody else's subject."""

from __future__ import annotations

import time

from freshwell import Cache, CodecError, Compressed, Outcome
from freshwell.ground.globs import glob_of


def test_a_long_reason_is_cut() -> None:
    assert Outcome.reject("x" * 10_000).reason == "x" * 1_000
    assert Outcome.retry("busy").reason == "busy"


def test_a_glob_takes_time_in_proportion_to_its_length() -> None:
    glob, text = "*a" * 500 + "b", "a" * 1_024
    spent = time.process_time()
    assert not glob_of(glob).fullmatch(text)
    assert glob_of("*a" * 500 + "*").fullmatch(text)
    # Trying all the ways in which the stars can be placed would take longer than the universe.
    assert time.process_time() - spent < 10


def test_a_cache_gives_its_bound_to_its_codec() -> None:
    with Cache(
        "redis://127.0.0.1:1", codec=Compressed("json", threshold_bytes=0), max_value_bytes=500
    ) as cache:
        bound = cache._core.bound(str)
        data = Compressed("json", threshold_bytes=0).bind(str).encode("a" * 600, b"k")
        try:
            bound.decode(data, b"k")
        except CodecError as error:
            told = error.reason
        assert told == "too large"
