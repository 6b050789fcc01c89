"""Loaders that count their calls, and how many ran at once."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

from freshwell._kit.aio import resolve
from freshwell.errors import ConfigurationError

__all__ = ["AsyncCountingLoader", "CountingLoader"]

V = TypeVar("V")

_LONGEST_HOLD_S = 20.0


class _Counting(Generic[V]):
    """What both colours count."""

    def __init__(self) -> None:
        self.calls: Counter[Any] = Counter()
        """How often each id was loaded."""
        self.running = 0
        """How many loads run now."""
        self.most_at_once = 0
        """How many have run at once at the most."""
        self._mutex = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} total={self.total} most_at_once={self.most_at_once}>"

    @property
    def total(self) -> int:
        """How many loads there were."""
        return self.calls.total()

    def reset(self) -> None:
        """Count from nothing again. Loads that run go on."""
        with self._mutex:
            self.calls.clear()
            self.most_at_once = self.running

    def assert_calls(self, expected: Mapping[Any, int]) -> None:
        """Raise `AssertionError` unless these ids, and no others, were loaded so often."""
        counted = {id: calls for id, calls in self.calls.items() if calls}
        wanted = {id: calls for id, calls in expected.items() if calls}
        if counted != wanted:
            raise AssertionError(f"loads by id were {counted}, and {wanted} were expected")

    def assert_once_each(self, *ids: Any) -> None:
        """Raise `AssertionError` unless these ids, and no others, were loaded once."""
        self.assert_calls(dict.fromkeys(ids, 1))

    @contextmanager
    def _counted(self, id: Any) -> Iterator[None]:
        with self._mutex:
            self.calls[id] += 1
            self.running += 1
            self.most_at_once = max(self.most_at_once, self.running)
        try:
            yield
        finally:
            with self._mutex:
                self.running -= 1


class CountingLoader(_Counting[V]):
    """A loader that counts: ``cache.read_through(loads, key=...)``, or ``loads.of(id)``.

    `source` is a mapping from ids to values (what it lacks does not exist: None), or a function
    of the id. ``calls`` counts by id; ``total``, ``running`` and ``most_at_once`` say the rest.
    Safe for threads.
    """

    def __init__(self, source: Mapping[Any, V] | Callable[[Any], V | None]) -> None:
        super().__init__()
        self._load: Callable[[Any], V | None] = _loader(source)
        self._open = threading.Event()
        self._open.set()

    def __call__(self, id: Any) -> V | None:
        with self._counted(id):
            if not self._open.wait(_LONGEST_HOLD_S):
                raise TimeoutError(f"the loads were held for {_LONGEST_HOLD_S:g} s")
            return self._load(id)

    def of(self, id: Any) -> Callable[[], V | None]:
        """Return a loader of one id, for `get_or_load`."""
        return partial(self, id)

    def hold(self) -> None:
        """Let loads that begin from now on wait for `let_go`, 20 seconds at the most."""
        self._open.clear()

    def let_go(self) -> None:
        """Let the loads that wait, and later ones, go on."""
        self._open.set()


class AsyncCountingLoader(_Counting[V]):
    """`CountingLoader` for `AsyncCache`: all that is said of it holds. For tasks of one loop.

    `source` may be an async function too.
    """

    def __init__(
        self,
        source: Mapping[Any, V] | Callable[[Any], V | None] | Callable[[Any], Awaitable[V | None]],
    ) -> None:
        super().__init__()
        self._load: Callable[[Any], Any] = _loader(source)
        self._open = asyncio.Event()
        self._open.set()

    async def __call__(self, id: Any) -> V | None:
        with self._counted(id):
            async with asyncio.timeout(_LONGEST_HOLD_S):
                await self._open.wait()
            value: V | None = await resolve(self._load(id))
            return value

    def of(self, id: Any) -> Callable[[], Awaitable[V | None]]:
        """Return a loader of one id, for `get_or_load`."""
        return partial(self, id)

    def hold(self) -> None:
        """Let loads that begin from now on wait for `let_go`, 20 seconds at the most."""
        self._open.clear()

    def let_go(self) -> None:
        """Let the loads that wait, and later ones, go on."""
        self._open.set()


def _loader(source: Any) -> Callable[[Any], Any]:
    load = source.get if isinstance(source, Mapping) else source
    if not callable(load):
        raise ConfigurationError(
            f"a loader that counts was given an object of type {type(source).__name__}: give a "
            "mapping from ids to values, or a function of the id"
        )
    return load
