"""Snapshots are read back as they were written, and nothing else is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.snapshots import JournalState, Snapshot, packed, unpacked

COUNTS = st.integers(0, 2**63)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50)
SNAPSHOT = Snapshot("shop", "host.1.abc", 2_000, 5, {"loads": 3}, "feed")


@given(
    st.builds(
        Snapshot,
        namespace=TEXTS,
        process=TEXTS,
        every_ms=COUNTS,
        up_ms=COUNTS,
        counts=st.dictionaries(TEXTS, COUNTS, max_size=5),
        coherence=TEXTS,
        load_counts=st.lists(COUNTS, max_size=15).map(tuple),
        hot=st.lists(st.tuples(TEXTS, COUNTS), max_size=5).map(tuple),
        journals=st.lists(
            st.builds(JournalState, TEXTS, COUNTS, COUNTS, COUNTS, st.just(1.5), st.booleans()),
            max_size=3,
        ).map(tuple),
    )
)
def test_a_snapshot_is_read_back_as_it_was(snapshot: Snapshot) -> None:
    assert unpacked(packed(snapshot)) == snapshot


@given(st.binary(max_size=200))
def test_any_bytes_are_a_snapshot_or_none(data: bytes) -> None:
    assert unpacked(data) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("form", 2),
        ("namespace", 7),
        ("every_ms", "soon"),
        ("up_ms", -1),
        ("up_ms", True),
        ("counts", ["loads"]),
        ("counts", {"loads": 1.5}),
        ("load_counts", None),
        ("hot", [["key"]]),
        ("journals", [{}]),
    ],
    ids=repr,
)
def test_what_has_another_form_is_none(field: str, value: object) -> None:
    data = json.loads(packed(SNAPSHOT))
    assert unpacked(json.dumps(data).encode()) == SNAPSHOT
    assert unpacked(json.dumps({**data, field: value}).encode()) is None


def test_absent_huge_and_deep_bytes_are_none() -> None:
    assert unpacked(None) is None
    assert unpacked(b'{"form":1' + b" " * 100_000 + b"}") is None
    assert unpacked(b"[" * 60_000) is None


def test_text_that_would_steer_a_terminal_is_made_harmless() -> None:
    data = json.loads(packed(SNAPSHOT))
    seen = unpacked(json.dumps({**data, "process": "a\x1b[2Jb\n\x9bc"}).encode())
    assert seen is not None
    assert seen.process == "a\ufffd[2Jb\ufffd\ufffdc"
