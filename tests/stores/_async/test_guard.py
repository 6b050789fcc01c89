"""A server that is down is left alone by all, and asked in the background whether it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import pytest

from freshwell._async.stores.guard import (
    Guard,
    GuardedLink,
    GuardedWaits,
    Guards,
    unguarded,
    worst_of,
)
from freshwell._kit.aio import Owner
from freshwell._kit.link_errors import (
    LeftAlone,
    LinkLost,
    LinkTimeout,
    ServerReplied,
    Unreachable,
)
from freshwell.engines.breaker import Breaker
from freshwell.errors import StoreUnavailable
from tests.support.aio import until
from tests.support.clock import ManualClock

MS = 1_000_000
TIMEOUT = LinkTimeout("late")


def replied(code: str) -> ServerReplied:
    return ServerReplied("no", code=code)


class Server:
    """Answers what it is told to, and counts who asks. It is its own probe."""

    in_order = True

    def __init__(self) -> None:
        self.error: StoreUnavailable | None = None
        self.replies: list[Any] = [b"1"]
        self.asked = self.probed = 0

    def server_ms(self, key: bytes = b"") -> int:
        return 5

    async def probe(self) -> None:
        self.probed += 1
        if self.error is not None:
            raise self.error

    async def get(self, key: bytes) -> bytes:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return b"value"

    async def get_beside(self, key: bytes, beside: list[bytes]) -> tuple[bytes, list[bytes]]:
        return await self.get(key), [b"beside" for _ in beside]

    async def get_many(self, keys: list[bytes]) -> list[bytes]:
        return [await self.get(key) for key in keys]

    async def batch(self, commands: object, *, repeat: bool = False) -> list[Any]:
        await self.get(b"")
        return self.replies

    async def batch_waited(
        self, commands: object, replicas: int, wait_ms: int, *, repeat: bool = True
    ) -> tuple[list[Any], int]:
        return await self.batch(commands), 1

    async def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        return None, [await self.get(b"")]

    async def aclose(self) -> None:
        return None


class Watched:
    """A guarded server, on a clock that stands still, and what was told of it."""

    def __init__(self, clock: ManualClock, *, failures: int = 1) -> None:
        self.server, self.clock = Server(), clock
        self.opened: list[StoreUnavailable] = []
        self.back_after_ns: list[int] = []
        self.owner = Owner("test", 4)
        self.guard = Guard(
            self.server.probe,
            breaker=Breaker(base_ns=100 * MS, most_ns=1_000 * MS, threshold=failures),
            spawn=self.owner.spawn,
            now_ns=clock,
            uniform=lambda: 0.0,
            on_open=self.opened.append,
            on_return=self.back_after_ns.append,
        )
        given: Any = self.server
        self.link = GuardedLink(given, self.guard)
        self.waits = GuardedWaits(given, self.guard)

    async def fails(self, error: StoreUnavailable) -> None:
        """Let one call fail so."""
        self.server.error = error
        with pytest.raises(type(error)):
            await self.link.get(b"k")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.guard.stop()
        await self.owner.aclose(1)


OUTAGES = [
    TIMEOUT,
    Unreachable("refused"),
    LinkLost("lost, and lost again"),
    *map(replied, ["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH"]),
]
NO_OUTAGES = list(map(replied, ["READONLY", "OOM", "MISCONF", "NOREPLICAS", "NOPERM", "ERR"]))


def name(error: StoreUnavailable) -> str:
    return getattr(error, "code", "") or type(error).__name__


@pytest.mark.parametrize("error", OUTAGES, ids=name)
async def test_who_is_refused_costs_the_server_nothing(
    error: StoreUnavailable, clock: ManualClock
) -> None:
    async with Watched(clock) as own:
        await own.fails(error)
        assert own.opened == [error]
        calls: list[Callable[[], Any]] = [
            partial(own.link.get, b"k"),
            partial(own.link.get_beside, b"k", [b"t"]),
            partial(own.link.get_many, [b"k"]),
            partial(own.link.batch, [(b"GET", b"k")]),
            partial(own.link.scan, b"*"),
            partial(own.waits.batch_waited, [], 1, 5),
        ]
        for call in calls:
            with pytest.raises(LeftAlone) as caught:
                await call()
            assert not caught.value.was_asked
        assert own.server.asked == 1
        assert own.guard.state == "open"


@pytest.mark.parametrize("error", OUTAGES, ids=name)
async def test_every_way_of_reading_finds_out_that_a_server_is_down(
    error: StoreUnavailable, clock: ManualClock
) -> None:
    async with Watched(clock) as own:
        reads: list[Callable[[], Any]] = [
            partial(own.link.get, b"k"),
            partial(own.link.get_beside, b"k", [b"t"]),
            partial(own.link.get_many, [b"k"]),
        ]
        for number, read in enumerate(reads, 1):
            own.server.error = error
            with pytest.raises(type(error)):
                await read()
            assert own.guard.state == "open"
            assert len(own.opened) == number
            own.server.error = None
            own.guard.answered()


@pytest.mark.parametrize("error", NO_OUTAGES, ids=name)
async def test_a_server_that_refuses_one_thing_is_asked_for_others(
    error: StoreUnavailable, clock: ManualClock
) -> None:
    async with Watched(clock) as own:
        for _ in range(3):
            await own.fails(error)
        assert own.server.asked == 3
        assert own.guard.state == "closed"


async def test_errors_in_a_batch_are_judged_too(clock: ManualClock) -> None:
    async with Watched(clock) as own:
        own.server.replies = [b"1", replied("OOM")]
        assert await own.link.batch([]) == own.server.replies
        assert own.guard.calm
        own.server.replies = [b"1", replied("LOADING")]
        assert await own.link.batch([]) == own.server.replies
        assert own.guard.state == "open"


async def test_a_connection_that_was_lost_once_says_nothing(clock: ManualClock) -> None:
    async with Watched(clock) as own:
        own.server.error = LinkLost("lost")
        with pytest.raises(LinkLost):
            await own.link.batch([], repeat=False)
        assert own.guard.calm
        with pytest.raises(LinkLost):
            await own.link.batch([], repeat=True)
        assert own.guard.state == "open"


async def test_one_probe_at_a_time_finds_out_that_it_is_back(clock: ManualClock) -> None:
    async with Watched(clock) as own:
        await own.fails(TIMEOUT)
        assert own.server.probed == 0
        clock.advance(ms=100)
        own.guard.hurry()  # the pause is measured by the clock of the machine
        await until(lambda: own.server.probed == 1, "it is probed")
        await until(lambda: own.guard.state == "open", "the probe has failed")
        own.server.error = None
        clock.advance(ms=200)
        own.guard.hurry()
        await until(lambda: own.guard.state == "closed", "the next has not")
        assert own.back_after_ns == [300 * MS]
        assert await own.link.get(b"k") == b"value"
        assert own.server.asked == 2, "no caller has paid for a probe"
        assert len(own.opened) == 1


async def test_without_callers_it_is_probed_all_the_same() -> None:
    async with Watched(ManualClock()) as own:
        own.guard._now_ns = time.monotonic_ns
        await own.fails(TIMEOUT)
        own.server.error = None
        await until(lambda: own.guard.state == "closed", "it is back")
        assert own.server.asked == 1


async def test_a_few_failures_in_a_row_may_be_borne(clock: ManualClock) -> None:
    async with Watched(clock, failures=3) as own:
        for _ in range(2):
            await own.fails(TIMEOUT)
        own.server.error = None
        assert await own.link.get(b"k") == b"value", "which begins the count anew"
        for _ in range(3):
            await own.fails(TIMEOUT)
        with pytest.raises(LeftAlone):
            await own.link.get(b"k")
        assert own.server.asked == 6


async def test_a_probe_that_could_not_start_is_started_for_the_next_who_is_refused(
    clock: ManualClock,
) -> None:
    async with Watched(clock) as own:
        full = Owner("full", 0)
        own.guard._spawn = full.spawn
        await own.fails(TIMEOUT)
        own.server.error = None
        own.guard._spawn = own.owner.spawn
        clock.advance(ms=100)
        with pytest.raises(LeftAlone):
            await own.link.get(b"k")
        await until(lambda: own.guard.state == "closed", "it is back")


async def test_a_guard_that_has_ended_learns_nothing(clock: ManualClock) -> None:
    async with Watched(clock) as own:
        own.guard.stop()
        await own.fails(TIMEOUT)
        assert own.opened == []


async def test_the_unguarded_are_never_refused() -> None:
    probe: Any = print
    guard = unguarded("any", probe)
    guard.failed(TIMEOUT)
    assert (guard.calm, guard.refusal(), guard.state) == (True, None, "closed")


async def test_servers_have_guards_by_their_names(clock: ManualClock) -> None:
    made: list[Watched] = []

    def new_guard(probe: object) -> Guard:
        made.append(Watched(clock))
        return made[-1].guard

    guards = Guards(new_guard)
    probe: Any = print
    one, other = guards.of("one", probe), guards.of("other", probe)
    assert guards.of("one", probe) is one is not other
    one.failed(TIMEOUT)
    assert guards.states() == ["open", "closed"]
    guards.stop()
    for watched in made:
        await watched.owner.aclose(1)


async def test_guards_of_servers_that_have_gone_are_forgotten(clock: ManualClock) -> None:
    own = Watched(clock)
    guards = Guards(lambda probe: own.guard)
    probe: Any = print
    for number in range(3_000):
        guards.of(number, probe)
    assert len(guards.states()) <= 1_024


def test_several_servers_are_as_bad_as_the_worst() -> None:
    assert worst_of([]) == "closed"
    assert worst_of(["closed", "half-open"]) == "half-open"
    assert worst_of(["closed", "half-open", "open"]) == "open"
