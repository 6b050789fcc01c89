"""Options: each is checked at once, by name, and no entry can be given an endless life."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import timedelta
from typing import Any

import pytest

from freshwell.errors import ConfigurationError
from freshwell.ground.options import (
    PRESETS,
    CacheOptions,
    EntryPolicy,
    as_read_level,
    bounded_int,
    check_clock,
    ttl_ns,
)
from freshwell.ground.plan import ReadLevel

MS = 1_000_000
SECOND = 1_000 * MS
DAY = 86_400 * SECOND

GOOD: dict[str, Any] = {
    "namespace": "app",
    "version": 7,
    "ttl": "1h",
    "max_ttl": "7d",
    "stale_ttl": 0,
    "stale_serve": "error",
    "stale_on": (OSError,),
    "stale_throttle": "10s",
    "load_soft_timeout": "100ms",
    "load_timeout": 2,
    "negative_ttl": None,
    "jitter": 0.05,
    "beta": 1.0,
    "read": "eventual",
    "max_staleness": 2,
    "max_entries": 10_000,
    "max_bytes": 1 << 20,
    "max_loads": 16,
    "load_wait": "2s",
    "lease": "10s",
    "intent": 5,
    "min_replicas": 1,
    "max_key_bytes": 512,
    "max_value_bytes": 1 << 20,
    "max_refreshes": 8,
    "connect_timeout": "250ms",
    "command_timeout": 0.05,
    "l2_timeout": "300ms",
    "breaker_failures": 3,
    "breaker_pause": "0.5s",
    "gutter_ttl": "10s",
    "drain": "1s",
    "spool": "sqlite:///spool.db",
    "max_spool": 100,
}


def options(**changes: Any) -> CacheOptions:
    return CacheOptions.checked(**(GOOD | changes))


def test_good_options_become_integers() -> None:
    good = options()
    assert good == CacheOptions(
        namespace="app",
        version="7",
        policy=EntryPolicy(
            3_600 * SECOND,
            7 * DAY,
            0,
            None,
            0.05,
            1.0,
            stale_first=False,
            stale_on=good.policy.stale_on,
            throttle_ns=10 * SECOND,
            soft_ns=100 * MS,
            limit_ns=2 * SECOND,
        ),
        read=ReadLevel.EVENTUAL,
        max_staleness_ns=2 * SECOND,
        max_entries=10_000,
        max_bytes=1 << 20,
        max_loads=16,
        load_wait_ns=2 * SECOND,
        lease_ms=10_000,
        intent_ms=5_000,
        min_replicas=1,
        max_key_bytes=512,
        max_value_bytes=1 << 20,
        max_refreshes=8,
        connect_timeout_ns=250 * MS,
        command_timeout_ns=50 * MS,
        l2_timeout_ns=300 * MS,
        breaker_failures=3,
        breaker_pause_ns=500 * MS,
        gutter_ns=10 * SECOND,
        drain_ns=SECOND,
        spool_path="spool.db",
        max_spool=100,
    )


@pytest.mark.parametrize(
    ("spool", "path"),
    [(None, None), ("memory", ""), ("sqlite:////var/spool.db", "/var/spool.db")],
)
def test_a_spool_is_nowhere_in_memory_or_in_a_file(spool: str | None, path: str | None) -> None:
    assert options(spool=spool).spool_path == path


NO_DURATION: list[Any] = [math.inf, math.nan, -1, "-1s", "", "soon", True, [], timedelta(-1)]
NO_EXCEPTIONS: list[Any] = [5, "OSError", [OSError], (OSError, 5), int, BaseException]
NO_COUNT: list[Any] = [0, -1, 1.5, "5", None, True, math.inf, math.nan]
BAD: dict[str, list[Any]] = {
    "namespace": ["", "a:b", "a b", "x" * 65, None, 5],
    "version": ["", "a:b", "x" * 33, True, 1.5],
    "ttl": [None, 0, "0s", "8d", 10**9, "forever", *NO_DURATION],
    "max_ttl": [None, 0, "0s", 10**12, *NO_DURATION],
    "stale_ttl": ["8d", *NO_DURATION],
    "stale_serve": ["", "ERROR", True, 1, []],
    "stale_on": [*NO_EXCEPTIONS, asyncio.sleep],
    "stale_throttle": ["8d", *NO_DURATION],
    "load_soft_timeout": [0, "2s", "3s", *NO_DURATION],
    "load_timeout": [0, *NO_DURATION],
    "negative_ttl": ["8d", *NO_DURATION],
    "jitter": [-0.1, 1, 1.0, 1.5, math.nan, math.inf, "0.1", True],
    "beta": [-0.1, 1e6, math.nan, math.inf, "1", True],
    "read": ["", "EVENTUAL", "stale", None, 1, []],
    "max_staleness": [None, 0, *NO_DURATION],
    "max_entries": NO_COUNT,
    "max_bytes": NO_COUNT,
    "max_loads": NO_COUNT,
    "load_wait": [None, *NO_DURATION],
    "lease": [None, 0, *NO_DURATION],
    "intent": [None, 0, 2.9, "11m", *NO_DURATION],
    "min_replicas": [-1, 1.5, "1", None, True],
    "max_key_bytes": NO_COUNT,
    "max_value_bytes": NO_COUNT,
    "max_refreshes": NO_COUNT,
    "connect_timeout": [None, 0, *NO_DURATION],
    "command_timeout": [None, 0, *NO_DURATION],
    "l2_timeout": [0, *NO_DURATION],
    "breaker_failures": NO_COUNT,
    "breaker_pause": [None, 0, "9ms", "1.1s", *NO_DURATION],
    "gutter_ttl": [None, "8d", *NO_DURATION],
    "drain": [None, *NO_DURATION],
    "spool": ["", "redis", "sqlite:", "sqlite:///", "sqlite:///:memory:", "spool.db", True, 1, []],
    "max_spool": NO_COUNT,
}


def test_every_option_has_its_bad_values_here() -> None:
    assert set(BAD) == set(GOOD)


def shown(bad: object) -> str:
    """Return how a value is called: alike in every process."""
    return str(getattr(bad, "__name__", repr(bad)))[:50]


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, bad, id=f"{name}={shown(bad)}") for name in BAD for bad in BAD[name]],
)
def test_a_bad_option_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} is "):
        options(**{name: value})


@pytest.mark.parametrize(
    "name", ["stale_ttl", "gutter_ttl", "load_wait", "drain", "negative_ttl", "jitter", "beta"]
)
def test_these_options_may_be_zero(name: str) -> None:
    assert isinstance(options(**{name: 0}), CacheOptions)


def test_l2_has_twice_the_limits_of_a_command_for_a_load_unless_said_otherwise() -> None:
    assert options(l2_timeout=None).l2_timeout_ns == 2 * (250 + 50) * MS


def test_a_lease_lasts_a_millisecond_at_least() -> None:
    assert options(lease="1us").lease_ms == 1


@pytest.mark.parametrize("level", ReadLevel, ids=lambda level: level.value)
def test_a_read_level_is_given_by_name_or_itself(level: ReadLevel) -> None:
    assert as_read_level(level.value) is level
    assert as_read_level(level) is level


def test_an_unknown_read_level_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="'eventual', 'fresh', 'source'"):
        as_read_level("strong")


def test_whole_numbers_are_bounded_from_below() -> None:
    assert bounded_int(3, "n", 3) == 3
    with pytest.raises(ConfigurationError, match="n is 2: use a whole number of 3 or more"):
        bounded_int(2, "n", 3)


# -- lives of entries -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endless", [None, 0, 0.0, "0", math.inf, math.nan, -1, "7d1us", 2**70], ids=repr
)
def test_no_entry_can_be_given_an_endless_life(endless: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^ttl is "):
        ttl_ns(endless, name="ttl", max_ns=7 * DAY)


def test_the_longest_ttl_is_max_ttl_itself() -> None:
    assert ttl_ns("7d", name="ttl", max_ns=7 * DAY) == 7 * DAY


def test_too_long_a_ttl_is_told_beside_its_bound() -> None:
    with pytest.raises(ConfigurationError, match=r"^ttl is 1w1d, more than max_ttl \(1w\)"):
        ttl_ns("8d", name="ttl", max_ns=7 * DAY)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_ttls_by_name(preset: str) -> None:
    found = ttl_ns(preset, name="ttl", max_ns=7 * DAY)
    assert found == ttl_ns(PRESETS[preset], name="ttl", max_ns=7 * DAY)
    assert found > 0


def test_a_preset_is_bounded_too() -> None:
    with pytest.raises(ConfigurationError, match="max_ttl"):
        ttl_ns("default", name="ttl", max_ns=SECOND)


POLICY = EntryPolicy(3_600 * SECOND, 7 * DAY, stale_ns=5 * SECOND, negative_ns=SECOND)


def test_a_policy_narrowed_by_nothing_is_itself() -> None:
    assert POLICY.narrowed() is POLICY


@pytest.mark.parametrize(
    ("option", "value", "field", "becomes"),
    [
        ("ttl", "5m", "ttl_ns", 300 * SECOND),
        ("ttl", "volatile", "ttl_ns", 300 * SECOND),
        ("stale_ttl", 0, "stale_ns", 0),
        ("stale_ttl", "7d", "stale_ns", 7 * DAY),
        ("negative_ttl", 0, "negative_ns", 0),
        ("negative_ttl", 30, "negative_ns", 30 * SECOND),
        ("jitter", 0, "jitter", 0.0),
        ("beta", 2, "beta", 2.0),
    ],
)
def test_narrowing_changes_what_is_given_and_nothing_else(
    option: str, value: Any, field: str, becomes: Any
) -> None:
    found = POLICY.narrowed(**{option: value})
    changed = {
        name for name in EntryPolicy.__slots__ if getattr(found, name) != getattr(POLICY, name)
    }
    assert changed == {field}
    assert getattr(found, field) == becomes


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("ttl", bad) for bad in BAD["ttl"] if bad is not None),
        *(("stale_ttl", bad) for bad in BAD["stale_ttl"]),
        *(("negative_ttl", bad) for bad in BAD["negative_ttl"]),
        *(("jitter", bad) for bad in BAD["jitter"]),
        *(("beta", bad) for bad in BAD["beta"]),
    ],
    ids=repr,
)
def test_a_policy_cannot_be_narrowed_out_of_bounds(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{option} is "):
        POLICY.narrowed(**{option: value})


def test_what_there_is_not_lives_as_long_as_values_unless_said_otherwise() -> None:
    plain = EntryPolicy(60 * SECOND, DAY)
    assert plain.lifetime_ns(negative=False) == plain.lifetime_ns(negative=True) == 60 * SECOND
    assert POLICY.lifetime_ns(negative=True) == SECOND
    assert POLICY.lifetime_ns(negative=False) == 3_600 * SECOND
    assert POLICY.narrowed(negative_ttl=0).lifetime_ns(negative=True) == 0


@pytest.mark.parametrize(
    "clock",
    [0, "now", time.monotonic, lambda: True, lambda: None],
    ids=["0", "text", "seconds", "a bool", "nothing"],
)
def test_a_clock_that_tells_no_nanoseconds_is_refused(clock: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"clock is .*FakeClock\(\)"):
        check_clock(clock)


def test_a_clock_that_tells_nanoseconds_is_taken() -> None:
    assert check_clock(time.monotonic_ns) is time.monotonic_ns


def test_an_option_that_does_not_exist_is_named_with_those_that_do() -> None:
    options: Any = {"expire": 5}
    with pytest.raises(TypeError, match=r"no option 'expire': .* have ttl, stale_ttl, .*timeout$"):
        EntryPolicy(SECOND, DAY).narrowed(**options)
