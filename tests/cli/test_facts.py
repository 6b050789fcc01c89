"""What bytes say of an entry, at which instant, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell._sync.inspecting import Inspected
from freshwell._sync.stores.base import Peeked
from freshwell.cli.facts import Facts, TagFacts, facts_of, rows
from freshwell.cli.target import visible
from freshwell.ground.frame import State, decode, encode
from freshwell.ground.keys import digest8

KEY = b"fw:e:shop:a"
NOW_MS = 1_000_000


def seen(data: bytes | None, *, left_ms: int = 5_000, kind: str = "string") -> Inspected:
    frame = None if data is None else decode(data, digest8(KEY))
    return Inspected(KEY, Peeked(data, left_ms, kind), frame, NOW_MS, {}, {})


def of(**frame: Any) -> Facts:
    return facts_of("a", seen(encode(digest=digest8(KEY), **frame)))


@pytest.mark.parametrize(
    ("fresh_until_ms", "state", "left_ms"),
    [(NOW_MS + 1, "fresh", 1), (NOW_MS, "stale", 0), (0, "stale", 0)],
)
def test_freshness_ends_when_its_time_has_come(
    fresh_until_ms: int, state: str, left_ms: int
) -> None:
    facts = of(state=State.VALUE, fresh_until_ms=fresh_until_ms, born_ms=NOW_MS - 7)
    assert (facts.state, facts.ttl_left_ms, facts.age_ms) == (state, left_ms, 7)


def test_an_entry_from_the_future_has_no_age() -> None:
    assert of(state=State.VALUE, born_ms=NOW_MS + 5).age_ms == 0


def test_a_lease_that_has_run_out_does_not_stand() -> None:
    assert of(state=State.LEASE, lease_until_ms=NOW_MS).lease_left_ms is None
    assert of(state=State.LEASE, lease_until_ms=NOW_MS + 1).lease_left_ms == 1


def test_a_source_that_is_left_alone_is_no_lease() -> None:
    data = bytearray(
        encode(state=State.VALUE, digest=digest8(KEY), lease_until_ms=NOW_MS + 4_000, born_ms=1)
    )
    leased = facts_of("a", seen(bytes(data)))
    assert (leased.lease_left_ms, leased.rest_left_ms) == (4_000, None), "the control"
    data[7] = 1
    rests = facts_of("a", seen(bytes(data)))
    assert (rests.lease_left_ms, rests.rest_left_ms) == (None, 4_000)
    assert ("rest", "for 4.0 s: a load has failed, and the source is left alone") in rows(rests)


def test_writers_whose_announcement_has_run_out_are_not_counted() -> None:
    ends = (NOW_MS - 1, NOW_MS, NOW_MS + 1, NOW_MS + 500)
    listed = b"".join(bytes(8) + end.to_bytes(8) for end in ends)
    for payload, writers in ((listed, 2), (listed[:-1], 1), (b"", 0), (b"x" * 15, 0)):
        assert of(state=State.INTENT, payload=payload).writers == writers


def test_a_key_that_went_in_between_is_shown_as_it_was_read() -> None:
    data = encode(state=State.VALUE, digest=digest8(KEY), fresh_until_ms=NOW_MS + 1)
    facts = facts_of("a", seen(data, left_ms=-2, kind="none"))
    assert (facts.state, facts.kept_ms) == ("fresh", None)


def test_rows_leave_out_what_does_not_apply() -> None:
    assert rows(Facts("a", "fw:e:shop:a", "absent")) == [
        ("key", "a"),
        ("key in Redis", "fw:e:shop:a"),
        ("state", "absent (nothing is stored under this key)"),
    ]


def test_rows_say_spans_in_their_two_largest_units() -> None:
    for span_ms, text in {
        0: "0 ms",
        999: "999 ms",
        1_000: "1.0 s",
        59_940: "59.9 s",
        60_000: "1 min 0 s",
        3_725_000: "1 h 2 min",
        90_000_000: "1 d 1 h",
    }.items():
        assert ("age", text) in rows(Facts("a", "k", "fresh", age_ms=span_ms))


def test_rows_name_tags_by_what_is_known_of_them() -> None:
    tags = (
        TagFacts("tag", "users", "00ff", "current"),
        TagFacts("namespace", "n/m", "00fe", "changed"),
        TagFacts("tag", None, "00fd", "lost"),
    )
    shown = [text for label, text in rows(Facts("a", "k", "outdated", tags=tags)) if label == "tag"]
    assert shown == ["users (current)", "namespace: n/m (changed)", "digest 00fd (lost)"]


def test_what_would_move_a_terminal_is_escaped() -> None:
    assert visible("a\x1b[2J\r\n\x9b\u202e\udc80é[b]") == r"a\x1b[2J\r\n\x9b\u202e\udc80é[b]"
