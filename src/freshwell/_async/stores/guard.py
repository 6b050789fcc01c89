"""Leave a server alone that is down, and find out in the background whether it is back.

Without this, every caller would pay a time limit of its own while L2 is down. Here the first
who has to pay *opens the breaker* for all: from then on calls are refused at once, and cost
nothing. One probe at a time, on the way of all commands, asks whether the server serves again;
no caller pays for it, and it needs no callers to go on.

A caller whose calls are refused does what it does when L2 fails: reads go on to the loader,
writes say that they were not taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from threading import Lock
from typing import Any, Literal, TypeVar

from freshwell._async.stores.redis import Commands
from freshwell._async.stores.waited import Waits
from freshwell._kit.aio import Signal
from freshwell._kit.link_errors import LeftAlone, ServerReplied, is_outage
from freshwell._kit.resp import Argument, Reply
from freshwell.engines.breaker import Breaker, Passage
from freshwell.errors import StoreUnavailable

__all__ = [
    "BreakerState",
    "Guard",
    "GuardOf",
    "GuardedLink",
    "GuardedWaits",
    "Guards",
    "Probe",
    "outage_in",
    "unguarded",
    "worst_of",
]

_NS_PER_S = 1_000_000_000
_MAX_GUARDS = 1_024

BreakerState = Literal["closed", "open", "half-open"]
Probe = Callable[[Any], Awaitable[object]]
"""Asks the server of this name for something small, as callers would."""

T = TypeVar("T")


def worst_of(states: Sequence[BreakerState]) -> BreakerState:
    """Return the state of several servers in one word."""
    return min(states, key=("open", "half-open", "closed").index, default="closed")


def _no_fault(answer: object) -> None:
    return None


def outage_in(replies: Sequence[Reply]) -> ServerReplied | None:
    """Return the first of some replies that says that the server serves nobody, or None."""
    for reply in replies:
        if isinstance(reply, ServerReplied) and is_outage(reply):
            return reply
    return None


class Guard:
    """The breaker of one server, and the probes while it is open. Any task or thread may use it.

    Callers ask `refusal` before they call, unless it is `calm`, and tell what came of it by
    `failed` or `answered`. `calm`: no call has failed since the last that was answered.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[object]],
        *,
        breaker: Breaker,
        spawn: Callable[[str, Callable[[], Awaitable[None]]], bool],
        now_ns: Callable[[], int],
        uniform: Callable[[], float],
        on_open: Callable[[StoreUnavailable], object],
        on_return: Callable[[int], object],
    ) -> None:
        self._probe = probe
        self._breaker = breaker
        self._spawn = spawn
        self._now_ns = now_ns
        self._uniform = uniform
        self._on_open = on_open
        self._on_return = on_return
        self._mutex = Lock()
        self._wake = Signal()
        self._stopping = False
        self._watching = False
        self._opened_ns = 0
        self.calm = True

    @property
    def state(self) -> BreakerState:
        """How the breaker stands."""
        if not self._breaker.is_open:
            return "closed"
        return "half-open" if self._breaker.is_probing else "open"

    def refusal(self) -> LeftAlone | None:
        """Return the error for a caller who is not to call now, or None."""
        if self.calm or not self._breaker.is_open:
            return None
        if not self._watching:
            self._watch()
        return LeftAlone("it has failed, and is left alone until a probe is answered")

    def failed(self, error: StoreUnavailable, *, repeated: bool = True) -> None:
        """Tell that a call has failed. What is no sign of an outage counts as an answer."""
        if self._stopping or isinstance(error, LeftAlone):
            return
        if not is_outage(error, repeated=repeated):
            if isinstance(error, ServerReplied):
                self.answered()
            return
        with self._mutex:
            before = self._breaker.is_open
            self._breaker.failed(self._now_ns(), self._uniform())
            self.calm = False
            opens = self._breaker.is_open and not before
            if opens:
                self._opened_ns = self._now_ns()
        if opens:
            self._on_open(error)
            self._watch()

    def answered(self) -> None:
        """Tell that a call was answered."""
        if self.calm:
            return
        with self._mutex:
            before = self._breaker.is_open
            self._breaker.succeeded()
            self.calm = True
        if before:
            self._on_return(self._now_ns() - self._opened_ns)

    async def carry(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        repeated: bool = True,
        fault_in: Callable[[T], ServerReplied | None] = _no_fault,
    ) -> T:
        """Make a call unless it is refused, and learn from what comes of it.

        `fault_in` finds the sign of an outage in an answer that holds errors.
        """
        calm = self.calm
        if not calm and (refusal := self.refusal()) is not None:
            raise refusal
        try:
            answer = await call()
        except StoreUnavailable as error:
            self.failed(error, repeated=repeated)
            raise
        fault = fault_in(answer)
        if fault is not None:
            self.failed(fault)
        elif not calm:
            self.answered()
        return answer

    def hurry(self) -> None:
        """Probe now, if it is open: there is a sign that the server is back."""
        if not self.calm:
            self._breaker.hurry(self._now_ns())
            self._wake.notify()

    def stop(self) -> None:
        """End the background work soon."""
        self._stopping = True
        self._wake.notify()

    # -- probes ------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Probe in the background, if that is not being done."""
        with self._mutex:
            if self._watching or self._stopping:
                return
            self._watching = True
        if not self._spawn("probe", self._probe_until_back):
            self._end_watch()  # the next caller who is refused tries again

    async def _probe_until_back(self) -> None:
        try:
            while self._breaker.is_open and not self._stopping:
                pause_ns = self._breaker.opens_until_ns - self._now_ns()
                await self._wake.wait(max(0.001, pause_ns / _NS_PER_S))
                if not self._stopping and self._breaker.allows(self._now_ns()) is Passage.PROBE:
                    await self._probe_once()
        finally:
            self._end_watch()

    def _end_watch(self) -> None:
        with self._mutex:
            self._watching = False

    async def _probe_once(self) -> None:
        try:
            await self._probe()
        except StoreUnavailable as error:
            if is_outage(error, repeated=True):
                with self._mutex:
                    self._breaker.failed(self._now_ns(), self._uniform())
                return
        except BaseException:
            self._breaker.gave_up()
            raise
        self.answered()


class _Unguarded(Guard):
    """Lets everybody pass, whatever happens."""

    def __init__(self) -> None:
        self.calm = True

    @property
    def state(self) -> BreakerState:
        return "closed"

    def failed(self, error: StoreUnavailable, *, repeated: bool = True) -> None:
        return None

    def stop(self) -> None:
        return None


GuardOf = Callable[[Hashable, Probe], Guard]
"""Returns the guard of a server by its name, made where there is none."""


def unguarded(name: Hashable, probe: Probe) -> Guard:
    """Return a guard that lets everybody pass: for those who must not be refused."""
    return _UNGUARDED


_UNGUARDED = _Unguarded()


class Guards:
    """The guards of one open cache, by the names of servers."""

    def __init__(self, new_guard: Callable[[Callable[[], Awaitable[object]]], Guard]) -> None:
        self._new_guard = new_guard
        self._mutex = Lock()
        self._guards: dict[Hashable, Guard] = {}

    def of(self, name: Hashable, probe: Probe) -> Guard:
        """Return the guard of a server, which `probe` asks where it is new."""
        guard = self._guards.get(name)
        if guard is not None:
            return guard
        with self._mutex:
            if len(self._guards) >= _MAX_GUARDS:
                # Those of servers that have gone; one that is calm knows nothing.
                self._guards = {n: guard for n, guard in self._guards.items() if not guard.calm}
            return self._guards.setdefault(name, self._new_guard(partial(probe, name)))

    def states(self) -> list[BreakerState]:
        """Return how each breaker stands."""
        with self._mutex:
            return [guard.state for guard in self._guards.values()]

    def hurry(self) -> None:
        """Probe now what is left alone."""
        with self._mutex:
            for guard in self._guards.values():
                guard.hurry()

    def stop(self) -> None:
        """End the background work soon."""
        with self._mutex:
            for guard in self._guards.values():
                guard.stop()


class GuardedLink:
    """A link behind a guard, with the face of a link."""

    def __init__(self, link: Commands, guard: Guard) -> None:
        self._link = link
        self._guard = guard
        self.in_order = link.in_order
        self.server_ms = link.server_ms

    async def get(self, key: bytes) -> bytes | None:
        """GET. Where all is calm it costs no more than looking whether it is."""
        guard = self._guard
        if not guard.calm:
            return await guard.carry(partial(self._link.get, key))
        try:
            return await self._link.get(key)
        except StoreUnavailable as error:
            guard.failed(error)
            raise

    async def get_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        """GET `key` and each of those `beside` it."""
        guard = self._guard
        if not guard.calm:
            return await guard.carry(partial(self._link.get_beside, key, beside))
        try:
            return await self._link.get_beside(key, beside)
        except StoreUnavailable as error:
            guard.failed(error)
            raise

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """GET each of the keys."""
        return await self._guard.carry(partial(self._link.get_many, keys))

    async def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands in one write. Errors stand in their place."""
        return await self._guard.carry(
            partial(self._link.batch, commands, repeat=repeat),
            repeated=repeat,
            fault_in=outage_in,
        )

    async def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        """Return some keys that match, and the place to go on from. None: that is all."""
        return await self._guard.carry(partial(self._link.scan, pattern, place))

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self._link.aclose()


class GuardedWaits:
    """Writes that wait for replicas, behind the guard of their server."""

    def __init__(self, waits: Waits, guard: Guard) -> None:
        self._waits = waits
        self._guard = guard

    async def batch_waited(
        self,
        commands: Sequence[Sequence[Argument]],
        min_replicas: int,
        wait_ms: int,
        *,
        repeat: bool = True,
    ) -> tuple[list[Reply], int]:
        """Send writes, and wait until replicas have them: see `Waits`."""
        send = self._waits.batch_waited
        return await self._guard.carry(
            partial(send, commands, min_replicas, wait_ms, repeat=repeat),
            repeated=repeat,
            fault_in=lambda answer: outage_in(answer[0]),
        )

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self._waits.aclose()
