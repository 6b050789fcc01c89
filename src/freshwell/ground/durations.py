"""Durations as people write them, turned into nanoseconds once, at the edge."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

from freshwell.errors import ConfigurationError

__all__ = ["duration_ns", "format_ns"]

_UNIT_NS: Final = {
    "w": 604_800_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
}
_NS_PER_S: Final = 1_000_000_000
_MAX_NS: Final = 2**62
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|[wdhms])")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


def duration_ns(value: float | str | timedelta, *, name: str, allow_zero: bool = False) -> int:
    """Return a duration in nanoseconds.

    Accepts seconds as int or float, a `timedelta`, and text: ``"300"``, ``"5m"``, ``"1h30m"``,
    ``"250ms"``. `name` is the option that errors speak of.

    Raises:
        ConfigurationError: It is no duration, negative, not finite, or zero without `allow_zero`.
    """
    try:
        found_ns = _parsed(value)
    except OverflowError:  # a number that no float can hold
        found_ns = None
    if found_ns is None or not 0 <= found_ns <= _MAX_NS:
        raise ConfigurationError(
            f'{name} is {value!r}: give seconds, a timedelta, or text such as "5m" or "1h30m"'
        )
    if found_ns == 0 and not allow_zero:
        raise ConfigurationError(f"{name} is {value!r}: it must be longer than nothing")
    return found_ns


def format_ns(duration: int) -> str:
    """Return a duration as short text that `duration_ns` reads back: ``1h30m``."""
    parts: list[str] = []
    rest = duration
    for unit, unit_ns in _UNIT_NS.items():
        count, rest = divmod(rest, unit_ns)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _parsed(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value * _NS_PER_S
    if isinstance(value, float):
        return round(value * _NS_PER_S) if math.isfinite(value) else None
    if isinstance(value, timedelta):
        return (value // timedelta(microseconds=1)) * 1_000
    return _from_text(value.strip()) if isinstance(value, str) else None


def _from_text(text: str) -> int | None:
    if _NUMBER.fullmatch(text):
        return round(float(text) * _NS_PER_S)
    if not _WHOLE.fullmatch(text):
        return None
    return sum(round(float(count) * _UNIT_NS[unit]) for count, unit in _PART.findall(text))
