"""Every option, validated in one place, at the moment it is given.

Public durations are seconds, `timedelta` or text such as ``"5m"``; they become integers here
(``_ns``, ``_ms``) and stay so below.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Never

from freshwell.errors import ConfigurationError
from freshwell.ground.durations import duration_ns, format_ns
from freshwell.ground.failing import serves_by_default, stale_test
from freshwell.ground.keys import check_namespace, check_version
from freshwell.ground.plan import ReadLevel
from freshwell.ground.spooling import spool_path
from freshwell.typing import StaleOn

__all__ = [
    "PRESETS",
    "CacheOptions",
    "Duration",
    "EntryPolicy",
    "as_bool",
    "as_read_level",
    "bounded_int",
    "check_clock",
    "ttl_ns",
]

Duration = float | int | str | timedelta
"""Seconds, a `timedelta`, or text: ``300``, ``timedelta(minutes=5)``, ``"5m"``, ``"1h30m"``."""

PRESETS: Final = {"default": "1h", "volatile": "5m"}
"""TTLs that can be given by name."""

_NS_PER_MS = 1_000_000
_UNSAID: Any = object()
"""What an option is that was not given, where None says something."""
_THROTTLE_NS = 5_000_000_000
_LEAST_INTENT_MS = 3_000
_MOST_INTENT_MS = 600_000
_LIMITS_PER_READ = 2
_LEAST_PAUSE_NS = 10 * _NS_PER_MS
_MOST_PAUSE_NS = 1_000 * _NS_PER_MS
"""A third of the shortest `intent`: announcements are prolonged in time when L2 is back."""


@dataclass(frozen=True, slots=True)
class EntryPolicy:
    """How long entries live. One for each cache, narrowed by decorators and calls."""

    ttl_ns: int
    max_ttl_ns: int
    stale_ns: int = 0
    negative_ns: int | None = None
    jitter: float = 0.05
    beta: float = 1.0
    stale_first: bool = True
    """Whether an entry past its TTL is served at once, or only where its load fails."""
    stale_on: Callable[[Exception], bool] = serves_by_default
    throttle_ns: int = _THROTTLE_NS
    soft_ns: int | None = None
    limit_ns: int | None = None

    def narrowed(
        self,
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        stale_serve: str | None = None,
        stale_on: StaleOn | None = None,
        stale_throttle: Duration | None = None,
        load_soft_timeout: Duration | None = _UNSAID,
        load_timeout: Duration | None = _UNSAID,
        **unknown: Never,
    ) -> EntryPolicy:
        """Return this policy with the options given (None: as it is; of a time limit: none).

        Raises `ConfigurationError` for a value out of bounds, and `TypeError` for an option that
        does not exist, in words that name none of ours.
        """
        if unknown:
            raise TypeError(_unknown_option(*unknown))
        changes: dict[str, Any] = {}
        if ttl is not None:
            changes["ttl_ns"] = ttl_ns(ttl, name="ttl", max_ns=self.max_ttl_ns)
        if stale_ttl is not None:
            changes["stale_ns"] = _bounded_ns(stale_ttl, "stale_ttl", self.max_ttl_ns)
        if negative_ttl is not None:
            changes["negative_ns"] = _bounded_ns(negative_ttl, "negative_ttl", self.max_ttl_ns)
        if jitter is not None:
            changes["jitter"] = _share(jitter, "jitter")
        if beta is not None:
            changes["beta"] = _not_negative(beta, "beta")
        if stale_serve is not None:
            changes["stale_first"] = _stale_first(stale_serve)
        if stale_on is not None:
            changes["stale_on"] = stale_test(stale_on)
        if stale_throttle is not None:
            changes["throttle_ns"] = _bounded_ns(stale_throttle, "stale_throttle", self.max_ttl_ns)
        if load_soft_timeout is not _UNSAID:
            changes["soft_ns"] = _limit_ns(load_soft_timeout, "load_soft_timeout")
        if load_timeout is not _UNSAID:
            changes["limit_ns"] = _limit_ns(load_timeout, "load_timeout")
        return dataclasses.replace(self, **changes) if changes else self

    def __post_init__(self) -> None:
        if self.soft_ns is not None and self.limit_ns is not None and self.soft_ns >= self.limit_ns:
            raise ConfigurationError(
                f"load_soft_timeout is {format_ns(self.soft_ns)}, and load_timeout, which is "
                f"{format_ns(self.limit_ns)}, ends the load before that: make it shorter"
            )

    def lifetime_ns(self, *, negative: bool) -> int:
        """Return the TTL before jitter. 0 means: do not store."""
        if negative and self.negative_ns is not None:
            return self.negative_ns
        return self.ttl_ns


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """What a cache is built with, checked and in inner units."""

    namespace: str
    version: str
    """Empty: none."""
    policy: EntryPolicy
    read: ReadLevel
    max_staleness_ns: int
    max_entries: int
    max_bytes: int
    max_loads: int
    load_wait_ns: int
    lease_ms: int
    intent_ms: int
    min_replicas: int
    max_key_bytes: int
    max_value_bytes: int
    max_refreshes: int
    connect_timeout_ns: int
    command_timeout_ns: int
    l2_timeout_ns: int
    breaker_failures: int
    breaker_pause_ns: int
    gutter_ns: int
    drain_ns: int
    spool_path: str | None
    """Empty: in memory; None: there is no spool."""
    max_spool: int

    @classmethod
    def checked(
        cls,
        *,
        namespace: str,
        version: str | int | None,
        ttl: Duration,
        max_ttl: Duration,
        stale_ttl: Duration,
        stale_serve: str,
        stale_on: StaleOn | None,
        stale_throttle: Duration,
        load_soft_timeout: Duration | None,
        load_timeout: Duration | None,
        negative_ttl: Duration | None,
        jitter: float,
        beta: float,
        read: str | ReadLevel,
        max_staleness: Duration,
        max_entries: int,
        max_bytes: int,
        max_loads: int,
        load_wait: Duration,
        lease: Duration,
        intent: Duration,
        min_replicas: int,
        max_key_bytes: int,
        max_value_bytes: int,
        max_refreshes: int,
        connect_timeout: Duration,
        command_timeout: Duration,
        l2_timeout: Duration | None,
        breaker_failures: int,
        breaker_pause: Duration,
        gutter_ttl: Duration,
        drain: Duration,
        spool: str | None,
        max_spool: int,
    ) -> CacheOptions:
        """Check every option. Raises `ConfigurationError` naming the first that is wrong."""
        check_namespace(namespace)
        max_ttl_ns = duration_ns(max_ttl, name="max_ttl")
        connect_ns = duration_ns(connect_timeout, name="connect_timeout")
        command_ns = duration_ns(command_timeout, name="command_timeout")
        base = EntryPolicy(ttl_ns(ttl, name="ttl", max_ns=max_ttl_ns), max_ttl_ns)
        return cls(
            namespace=namespace,
            version=check_version(version),
            policy=base.narrowed(
                stale_ttl=stale_ttl,
                stale_serve=stale_serve,
                stale_on=stale_on,
                stale_throttle=stale_throttle,
                load_soft_timeout=load_soft_timeout,
                load_timeout=load_timeout,
                negative_ttl=negative_ttl,
                jitter=jitter,
                beta=beta,
            ),
            read=as_read_level(read),
            max_staleness_ns=duration_ns(max_staleness, name="max_staleness"),
            max_entries=bounded_int(max_entries, "max_entries", 1),
            max_bytes=bounded_int(max_bytes, "max_bytes", 1),
            max_loads=bounded_int(max_loads, "max_loads", 1),
            load_wait_ns=duration_ns(load_wait, name="load_wait", allow_zero=True),
            lease_ms=max(1, duration_ns(lease, name="lease") // _NS_PER_MS),
            intent_ms=_intent_ms(intent),
            min_replicas=bounded_int(min_replicas, "min_replicas", 0),
            max_key_bytes=bounded_int(max_key_bytes, "max_key_bytes", 1),
            max_value_bytes=bounded_int(max_value_bytes, "max_value_bytes", 1),
            max_refreshes=bounded_int(max_refreshes, "max_refreshes", 1),
            connect_timeout_ns=connect_ns,
            command_timeout_ns=command_ns,
            l2_timeout_ns=(
                _LIMITS_PER_READ * (connect_ns + command_ns)
                if l2_timeout is None
                else duration_ns(l2_timeout, name="l2_timeout")
            ),
            breaker_failures=bounded_int(breaker_failures, "breaker_failures", 1),
            breaker_pause_ns=_pause_ns(breaker_pause),
            gutter_ns=_bounded_ns(gutter_ttl, "gutter_ttl", max_ttl_ns),
            drain_ns=duration_ns(drain, name="drain", allow_zero=True),
            spool_path=spool_path(spool),
            max_spool=bounded_int(max_spool, "max_spool", 1),
        )


def _unknown_option(name: str, *_: str) -> str:
    known = ", ".join(EntryPolicy.narrowed.__kwdefaults__ or ())
    return f"there is no option {name!r}: entries and their loads have {known}"


def ttl_ns(value: Duration, *, name: str, max_ns: int) -> int:
    """Return a TTL in nanoseconds. Presets are known by name; there is no "for ever".

    Raises `ConfigurationError` for zero, for more than `max_ns`, and for what is no duration.
    """
    if value is None:
        raise ConfigurationError(
            f"{name} is None: every entry has a TTL. Leave the option out for the default, "
            f'or give seconds, a timedelta or text such as "5m"'
        )
    given = PRESETS.get(value, value) if isinstance(value, str) else value
    return _at_most(duration_ns(given, name=name), name, max_ns)


def as_read_level(value: str | ReadLevel) -> ReadLevel:
    """Return the read level of that name. Raises `ConfigurationError` for any other."""
    try:
        return ReadLevel(value)
    except ValueError:
        names = ", ".join(repr(level.value) for level in ReadLevel)
        raise ConfigurationError(f"read is {value!r}: use one of {names}") from None


def as_bool(value: bool, name: str) -> bool:
    """Return `value` if it is True or False, else raise `ConfigurationError`."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}: use True or False")
    return value


def bounded_int(value: int, name: str, least: int) -> int:
    """Return `value` if it is an integer of at least `least`, else raise `ConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name} is {value!r}: use a whole number of {least} or more")
    return value


def check_clock(clock: Callable[[], int]) -> Callable[[], int]:
    """Return `clock` if it tells nanoseconds, else raise `ConfigurationError`."""
    told: object = clock() if callable(clock) else None
    if isinstance(told, bool) or not isinstance(told, int):
        raise ConfigurationError(
            f"clock is {clock!r}: give what returns whole nanoseconds and never goes back, such as "
            "freshwell.testing.FakeClock(), or leave it out"
        )
    return clock


def _intent_ms(value: Duration) -> int:
    """Return the lifetime of a writer's announcement: what loads may rely on has a floor."""
    given_ms = duration_ns(value, name="intent") // _NS_PER_MS
    if not _LEAST_INTENT_MS <= given_ms <= _MOST_INTENT_MS:
        raise ConfigurationError(f"intent is {value!r}: use 3 seconds to 10 minutes")
    return given_ms


def _stale_first(value: str) -> bool:
    if value not in ("refresh", "error"):
        raise ConfigurationError(
            f'stale_serve is {value!r}: use "refresh" (serve what is stale while it is loaded '
            'anew) or "error" (only where that fails)'
        )
    return value == "refresh"


def _limit_ns(value: Duration | None, name: str) -> int | None:
    return None if value is None else duration_ns(value, name=name)


def _pause_ns(value: Duration) -> int:
    """Return the longest pause between probes."""
    given_ns = duration_ns(value, name="breaker_pause")
    if not _LEAST_PAUSE_NS <= given_ns <= _MOST_PAUSE_NS:
        raise ConfigurationError(f"breaker_pause is {value!r}: use 10 milliseconds to 1 second")
    return given_ns


def _bounded_ns(value: Duration, name: str, max_ns: int) -> int:
    return _at_most(duration_ns(value, name=name, allow_zero=True), name, max_ns)


def _at_most(given_ns: int, name: str, max_ns: int) -> int:
    if given_ns > max_ns:
        raise ConfigurationError(
            f"{name} is {format_ns(given_ns)}, more than max_ttl ({format_ns(max_ns)}): "
            f"shorten it, or raise max_ttl where the cache is built"
        )
    return given_ns


def _share(value: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigurationError(f"{name} is {value!r}: use a share of the TTL from 0 to below 1")
    return float(value)


def _not_negative(value: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ConfigurationError(f"{name} is {value!r}: use 0 (never) or a number up to 999,999")
    return float(value)
