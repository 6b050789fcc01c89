"""Faults in the parts of a cache, by rule: late, failing, or done and never answered."""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
import time
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any, Final, Literal, NamedTuple, TypeVar

from freshwell import (
    AsyncCache,
    Cache,
    CodecError,
    ConfigurationError,
    JournalUnavailable,
    StoreUnavailable,
)
from freshwell._kit.link_errors import LinkLost

__all__ = ["Chaos", "Fault", "InjectedFault"]

T = TypeVar("T")
Error = BaseException | Callable[[], BaseException]
Effect = Literal["delay", "fail", "drop reply", "half-open"]

_ERRORS: Final[dict[str, Callable[[str], Exception]]] = {
    "store": StoreUnavailable,
    "feed": LinkLost,
    "journal": JournalUnavailable,
    "codec": CodecError,
}
_NEVER: Final = frozenset({"aclose", "close", "interrupt", "server_ms", "shard_of"})
"""They reach nobody, and nobody expects them to fail."""


class InjectedFault(Exception):
    """What a part raises where no error was named, and it has none of its own."""


class Fault:
    """One rule: which calls it strikes, and how. Made by the methods of `Chaos`.

    ``struck`` counts; a test that expects a fault to matter should look at it.
    """

    def __init__(
        self,
        effect: Effect,
        where: str,
        seconds: float,
        error: Error | None,
        times: int | None,
        rate: float,
        chance: random.Random,
    ) -> None:
        self.effect = effect
        self.where = where
        self.seconds = seconds
        self.struck = 0
        self._error = error
        self._times = times
        self._rate = rate
        self._chance = chance
        self._healed = False

    def __repr__(self) -> str:
        return f"<Fault {self.effect} {self.where!r} struck={self.struck}>"

    def heal(self) -> None:
        """Strike no more."""
        self._healed = True

    def _strikes(self, name: str) -> bool:
        """Decide about a call. The n-th that it might strike is decided alike for a seed."""
        if not (name.startswith(f"{self.where}.") or fnmatchcase(name, self.where)):
            return False
        chosen = self._chance.random() < self._rate
        if not chosen or self._healed or (self._times is not None and self.struck >= self._times):
            return False
        self.struck += 1
        return True

    def _raise(self, name: str) -> None:
        error = self._error
        if error is None:
            known = _ERRORS.get(name.partition(".")[0], InjectedFault)
            raise known(f"{name}: {self.effect}, on purpose")
        raise error if isinstance(error, BaseException) else error()


class _Plan(NamedTuple):
    """What befalls one call."""

    wait_s: float
    before: Fault | None
    after: Fault | None


class Chaos:
    """Faults for the parts of a cache, the same ones for the same seed and order of calls.

    `into` puts them around the store, the feed and the journals of a cache; `wrap` around
    anything that is handed to one: a codec, a loader, a source. Then rules say what befalls
    which calls, by names such as ``"store.fetch"``, ``"feed.ping"``, ``"journal.accept"``,
    ``"codec.decode"``: globs work, and a first word alone stands for all of its methods.

    ::

        chaos = Chaos(seed=7)
        cache = Cache("redis://localhost", codec=chaos.wrap("codec", JsonCodec()))
        chaos.into(cache)
        lost = chaos.drop_reply("store.invalidate", times=1)

    Each rule takes `times` (how often at the most; None: always) and `rate` (the share of calls
    that it strikes, by chance). Several may strike one call; delays add up. What is raised where
    no `error` (an exception, or what makes one) is given: `StoreUnavailable` for the store and
    the feed, `JournalUnavailable`, `CodecError`, and `InjectedFault` for all else. Networks are
    broken by `FaultProxy`, whose faults are the real ones. One call of a cache may be several
    of a part (an entry that cannot be decoded is decoded twice): look at `calls`. Safe for tasks
    and threads.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.calls: Counter[str] = Counter()
        """How often each method of what is wrapped was called."""
        self._mutex = Lock()
        self._faults: list[Fault] = []

    def fail(
        self,
        where: str,
        error: Error | None = None,
        *,
        times: int | None = None,
        rate: float = 1.0,
    ) -> Fault:
        """Raise instead of calling: nothing is done."""
        return self._add("fail", where, 0.0, error, times, rate)

    def delay(
        self, where: str, seconds: float, *, times: int | None = None, rate: float = 1.0
    ) -> Fault:
        """Call that much later. Real seconds: a `FakeClock` does not shorten them."""
        return self._add("delay", where, seconds, None, times, rate)

    def drop_reply(
        self,
        where: str,
        error: Error | None = None,
        *,
        times: int | None = None,
        rate: float = 1.0,
    ) -> Fault:
        """Call, and raise instead of returning: it is done, and the caller does not know."""
        return self._add("drop reply", where, 0.0, error, times, rate)

    def half_open(
        self,
        where: str,
        seconds: float,
        error: Error | None = None,
        *,
        times: int | None = None,
        rate: float = 1.0,
    ) -> Fault:
        """Do nothing, and raise after so many seconds, as when a peer's time limit is reached."""
        return self._add("half-open", where, seconds, error, times, rate)

    def heal(self) -> None:
        """End every rule."""
        with self._mutex:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.heal()

    def into(self, cache: AsyncCache | Cache) -> None:
        """Put this around the store, the feed and the journals of a cache.

        Raises `ConfigurationError` where the cache has been used already, or has another's.
        """
        core = cache._core
        if core.opened is not None or core.closed or core.seams.wrapper is not None:
            raise ConfigurationError(
                f"{cache!r} has been used already, or has chaos in it: put it in once, right "
                "after building the cache"
            )
        core.seams.wrapper = self._around

    def wrap(self, where: str, part: T) -> T:
        """Return `part` with faults around its methods, or around itself where it is a function.

        The methods of a codec are those of what its ``bind`` returns. Methods whose names begin
        with an underscore are left alone.
        """
        if not where or "." in where:
            raise ConfigurationError(f"a part is called {where!r}: use one word, such as 'source'")
        wrapped: Any = self._function(where, part) if callable(part) else _Part(self, where, part)
        return wrapped  # type: ignore[no-any-return]

    # -- inside ------------------------------------------------------------------------------

    def _around(self, where: str, part: Any) -> Any:
        return part if where == "store" and not part.shared else self.wrap(where, part)

    def _add(
        self,
        effect: Effect,
        where: str,
        seconds: float,
        error: Error | None,
        times: int | None,
        rate: float,
    ) -> Fault:
        if not where or seconds < 0 or not 0 < rate <= 1 or (times is not None and times < 1):
            raise ConfigurationError(
                f"{effect} of {where!r}: seconds is {seconds!r} (use 0 or more), rate {rate!r} "
                f"(above 0, up to 1), times {times!r} (1 or more, or None)"
            )
        with self._mutex:
            # A chance of its own: what one rule meets does not depend on the others.
            chance = random.Random(f"{self.seed}:{len(self._faults)}:{where}")  # noqa: S311
            fault = Fault(effect, where, seconds, error, times, rate, chance)
            self._faults.append(fault)
        return fault

    def _plan(self, name: str) -> _Plan:
        with self._mutex:
            self.calls[name] += 1
            struck = [fault for fault in self._faults if fault._strikes(name)]
        before = [fault for fault in struck if fault.effect in ("fail", "half-open")]
        after = [fault for fault in struck if fault.effect == "drop reply"]
        waits = [f for f in struck if f.effect == "delay"] + before[:1]
        wait_s = sum(fault.seconds for fault in waits)
        return _Plan(wait_s, *(next(iter(faults), None) for faults in (before, after)))

    def _function(self, name: str, function: Any) -> Any:
        """Return a function with faults, of the colour of the one given."""
        if not _is_async(function):
            return functools.update_wrapper(
                functools.partial(self._call, name, function), _named(function), updated=()
            )

        @functools.wraps(_named(function), updated=())
        async def call(*args: Any, **kwargs: Any) -> Any:
            plan = self._plan(name)
            if plan.wait_s:
                await asyncio.sleep(plan.wait_s)
            if plan.before is not None:
                plan.before._raise(name)
            result = await function(*args, **kwargs)
            if plan.after is not None:
                plan.after._raise(name)
            return result

        return call

    def _call(self, name: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        plan = self._plan(name)
        if plan.wait_s:
            time.sleep(plan.wait_s)
        if plan.before is not None:
            plan.before._raise(name)
        result = function(*args, **kwargs)
        if plan.after is not None:
            plan.after._raise(name)
        return result


class _Part:
    """A part with faults around its methods. What it has, it has."""

    def __init__(self, chaos: Chaos, where: str, part: Any) -> None:
        self._chaos = chaos
        self._where = where
        self._part = part

    def __repr__(self) -> str:
        return f"<{self._where} with chaos: {self._part!r}>"

    def __str__(self) -> str:
        return str(self._part)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if name.startswith("_") or name in _NEVER or not callable(value):
            return value
        if name == "bind":
            return lambda *args: _Part(self._chaos, self._where, value(*args))
        return self._chaos._function(f"{self._where}.{name}", value)


def _is_async(function: Any) -> bool:
    called = getattr(type(function), "__call__", None)  # noqa: B004 - what is called is meant
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _named(function: Any) -> Any:
    return function if hasattr(function, "__name__") else type(function)
