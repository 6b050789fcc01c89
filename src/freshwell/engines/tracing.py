"""Say what answered each read within a block: where it came from, how old it is, and why.

Who reads must know of the trace without paying for it when there is none. So the wrappers of
cached functions, whose hits look at nothing but the entry, are told to find nothing while any
trace of their cache is open, and every read goes the long way, which asks a context variable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from types import FunctionType
from typing import Any, Literal, NamedTuple
from weakref import WeakSet

from freshwell.ground.keys import short_digest

__all__ = ["Served", "Trace", "Traces"]

_FIND = "_fw_find"
_FIND_ALWAYS = "_fw_find_always"
_MAX_SERVED = 10_000


class Served(NamedTuple):
    """What answered one read of one key. Its repr names the key by a digest.

    - `source`: ``"l1"`` (this process), ``"l2"`` (Redis or Valkey), ``"loader"``, or None where
      there was nothing, and nothing to load it with.
    - `state`: ``"fresh"``; ``"early"``, fresh and about to be refreshed; ``"stale"``;
      ``"absent"``.
    - `age_s`, `ttl_left_s`: seconds since it was loaded, and until its TTL ends. None: unknown.
    - `reason`: one word on why, as `lookup` has it.
    """

    key: str
    source: Literal["l1", "l2", "loader"] | None
    state: str
    age_s: float | None
    ttl_left_s: float | None
    reason: str

    def __repr__(self) -> str:
        return (
            f"Served(key=<{short_digest(self.key)}>, source={self.source!r}, "
            f"state={self.state!r}, age_s={self.age_s}, ttl_left_s={self.ttl_left_s}, "
            f"reason={self.reason!r})"
        )


class Trace:
    """What served the reads within a block, in order. Thread-safe; at most 10,000 are kept."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._mutex = Lock()
        self._served: list[Served] = []
        self.left_out = 0

    @property
    def served(self) -> tuple[Served, ...]:
        """The reads so far."""
        with self._mutex:
            return tuple(self._served)

    def add(self, served: Served) -> None:
        """Note a read."""
        with self._mutex:
            if len(self._served) < _MAX_SERVED:
                self._served.append(served)
            else:
                self.left_out += 1

    def __repr__(self) -> str:
        return f"<Trace of {self._name!r}: {self._detail(self.served) or 'nothing read'}>"

    def header(self) -> str:
        """Return the value of a ``Cache-Status`` header (RFC 9211) that sums the reads up.

        Empty where nothing was read. It names no key. ``hit``: no loader was called. ``ttl``: the
        least of the seconds left, negative where something was stale.
        """
        served = self.served
        if not served:
            return ""
        missed = any(one.source in ("loader", None) for one in served)
        parts = [self._name, "fwd=miss" if missed else "hit"]
        left_s = [one.ttl_left_s for one in served if one.ttl_left_s is not None]
        if left_s and not missed:
            parts.append(f"ttl={math.floor(min(left_s))}")
        parts.append(f'detail="{self._detail(served)}"')
        return "; ".join(parts)

    @staticmethod
    def _detail(served: tuple[Served, ...]) -> str:
        counts: dict[str, int] = {}
        for one in served:
            source = one.source or "nothing"
            label = f"stale {source}" if one.state == "stale" else source
            counts[label] = counts.get(label, 0) + 1
        return ", ".join(f"{count} {label}" for label, count in counts.items())


_open: ContextVar[tuple[tuple[Traces, Trace], ...]] = ContextVar("freshwell_traces", default=())


class Traces:
    """The traces of one cache, and the wrappers that answer hits by themselves without any.

    `running`: how many are open, here or elsewhere.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._wrappers: WeakSet[FunctionType] = WeakSet()
        self.running = 0

    def divert(self, wrapper: Callable[..., Any]) -> None:
        """Take a wrapper of a cached function: it has to go the long way while a trace is open."""
        if not isinstance(wrapper, FunctionType):
            return
        names = wrapper.__globals__
        names[_FIND_ALWAYS] = names[_FIND]
        with self._mutex:
            self._wrappers.add(wrapper)
            if self.running:
                names[_FIND] = _find_nothing

    @contextmanager
    def run(self, name: str) -> Iterator[Trace]:
        """Trace the reads of this cache within the block, and in the tasks that it starts."""
        trace = Trace(name)
        self._count(1)
        token = _open.set((*_open.get(), (self, trace)))
        try:
            yield trace
        finally:
            _open.reset(token)
            self._count(-1)

    def here(self) -> list[Trace]:
        """Return the traces that a read made here is to be noted in."""
        opened = _open.get()
        return [trace for owner, trace in opened if owner is self] if opened else []

    def _count(self, change: int) -> None:
        with self._mutex:
            before, self.running = self.running, self.running + change
            if bool(before) != bool(self.running):
                for wrapper in self._wrappers:
                    names = wrapper.__globals__
                    names[_FIND] = _find_nothing if self.running else names[_FIND_ALWAYS]


def _find_nothing(alias: object) -> None:
    return None
