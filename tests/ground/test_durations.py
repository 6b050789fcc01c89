"""Durations: what people may write, and what is refused by name."""

from __future__ import annotations

import contextlib
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.errors import ConfigurationError
from freshwell.ground.durations import duration_ns, format_ns

SECOND = 1_000_000_000
MAX_NS = 2**62


@pytest.mark.parametrize(
    ("given_value", "expected_ns"),
    [
        pytest.param(1, SECOND, id="int"),
        pytest.param(0.25, SECOND // 4, id="float"),
        pytest.param(timedelta(minutes=5), 300 * SECOND, id="timedelta"),
        pytest.param(timedelta(days=1, seconds=1), 86_401 * SECOND, id="timedelta with days"),
        pytest.param(timedelta(microseconds=1), 1_000, id="microsecond"),
        pytest.param("300", 300 * SECOND, id="bare number"),
        pytest.param("0.5", SECOND // 2, id="bare fraction"),
        pytest.param("5m", 300 * SECOND, id="minutes"),
        pytest.param("1h30m", 5_400 * SECOND, id="hours and minutes"),
        pytest.param("250ms", SECOND // 4, id="milliseconds"),
        pytest.param("7us", 7_000, id="microseconds"),
        pytest.param("1.5h", 5_400 * SECOND, id="fraction of an hour"),
        pytest.param("2d", 172_800 * SECOND, id="days"),
        pytest.param("1w", 604_800 * SECOND, id="weeks"),
        pytest.param("1m1ms", 60_001_000_000, id="m is not the m of ms"),
        pytest.param(" 5s ", 5 * SECOND, id="blanks around"),
    ],
)
def test_a_duration_is_read(given_value: Any, expected_ns: int) -> None:
    assert duration_ns(given_value, name="ttl") == expected_ns


NO_DURATIONS: dict[str, Any] = {
    **{
        repr(value): value
        for value in (None, True, False, b"5m", 1j, math.nan, math.inf, -math.inf, -1, -0.5)
    },
    **{
        f"text {text!r}": text
        for text in (
            *("", " ", "m", "5x", "5 m", "1h 30m", "-5m", "+5", "five", "1e3", "1.s", ".5", "5m3"),
            *("inf", "nan", "5M", "5m\n5m"),
        )
    },
    "a list": [5],
    "a mapping": {},
    "a negative timedelta": timedelta(seconds=-1),
    "too many seconds": 2**63,
    "a float too long": 1e30,
    "a float whose nanoseconds overflow": 1e308,
    "a text too long": "9999999w",
    "a text that no float can hold": "9" * 400,
    "a text with unit that no float can hold": "9" * 400 + "d",
    "the longest timedelta": timedelta.max,
}


@pytest.mark.parametrize("bad", NO_DURATIONS.values(), ids=list(NO_DURATIONS))
def test_what_is_no_duration_is_refused_by_the_name_of_its_option(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^some_option is "):
        duration_ns(bad, name="some_option", allow_zero=True)


@pytest.mark.parametrize("zero", [0, 0.0, "0", "0s", timedelta(0), 1e-12], ids=repr)
def test_zero_is_a_duration_only_where_it_is_allowed(zero: Any) -> None:
    assert duration_ns(zero, name="drain", allow_zero=True) == 0
    with pytest.raises(ConfigurationError, match=r"^drain is .*longer than nothing"):
        duration_ns(zero, name="drain")


def test_the_longest_duration_is_accepted_and_one_more_is_not() -> None:
    longest_us = MAX_NS // 1_000
    assert duration_ns(timedelta(microseconds=longest_us), name="x") == longest_us * 1_000
    with pytest.raises(ConfigurationError):
        duration_ns(timedelta(microseconds=longest_us + 1), name="x")


@given(st.integers(0, MAX_NS // 1_000))
def test_formatted_durations_are_read_back(microseconds: int) -> None:
    nanoseconds = microseconds * 1_000
    assert duration_ns(format_ns(nanoseconds), name="x", allow_zero=True) == nanoseconds


@given(st.integers(0, MAX_NS))
def test_formatting_drops_less_than_a_microsecond(nanoseconds: int) -> None:
    read = duration_ns(format_ns(nanoseconds), name="x", allow_zero=True)
    assert 0 <= nanoseconds - read < 1_000


@given(st.timedeltas(timedelta(0), timedelta(days=50_000)))
def test_a_timedelta_is_taken_to_the_microsecond(span: timedelta) -> None:
    found = duration_ns(span, name="x", allow_zero=True)
    assert timedelta(microseconds=found // 1_000) == span
    assert found % 1_000 == 0


@given(st.text(max_size=12) | st.from_regex(r"[0-9.]{1,5}[wdhmsu]{0,2}[0-9]?[ms]?", fullmatch=True))
def test_text_is_a_duration_or_a_configuration_error(text: str) -> None:
    # Any other exception fails the test.
    with contextlib.suppress(ConfigurationError):
        assert 0 <= duration_ns(text, name="x", allow_zero=True) <= MAX_NS


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (5_400 * SECOND, "1h30m"),
        (SECOND // 4, "250ms"),
        (694_861 * SECOND, "1w1d1h1m1s"),
    ],
)
def test_durations_are_written_short(nanoseconds: int, text: str) -> None:
    assert format_ns(nanoseconds) == text
