"""``writing``: the block around a change of the source."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from freshwell._sync.coordination.writing import Intent, Intents
from freshwell.errors import ConfigurationError, InvalidationError

__all__ = ["Writing"]


class Engine(Protocol):
    """An open cache, as far as a block needs it."""

    @property
    def intents(self) -> Intents: ...


class Writing:
    """A block in which the source is changed: ``with cache.writing(...)``. Runs once."""

    def __init__(
        self, engine: Callable[[], Engine], names: Sequence[str], tags: Sequence[str]
    ) -> None:
        self._engine = engine
        self._names = names
        self._tags = tags
        self._pulse = bool(tags)
        self._intent: Intent | None = None
        self._intents: Intents | None = None

    def __enter__(self) -> None:
        if self._intents is not None:
            raise ConfigurationError("a writing block runs once: make one for each change")
        self._intents = self._engine().intents
        self._intent = self._intents.announce(self._names, self._tags, pulse=self._pulse)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._intents is not None
        assert self._intent is not None
        try:
            self._intents.settle(self._intent, pulse=self._pulse)
        except InvalidationError as failed:
            if error is None:
                raise
            error.add_note(f"freshwell: {failed}")
