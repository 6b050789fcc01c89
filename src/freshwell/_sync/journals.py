"""The journal that a user has named: checked when the strategy is built, opened on first use."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import inspect
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from threading import Lock
from typing import Any

from freshwell._sync.core import Core
from freshwell._sync.stores.journal import Journal
from freshwell._sync.stores.journal_places import open_journal
from freshwell._sync.stores.redis_journal import Layout
from freshwell._kit.threads import ASYNCHRONOUS
from freshwell._kit.places import place_of
from freshwell.codecs.base import BoundCodec, Codec, resolve_codec
from freshwell.codecs.plain import PlainJsonCodec
from freshwell.errors import ConfigurationError
from freshwell.ground.journaling import BehindOptions, JournalKind, JournalSpec
from freshwell.ground.records import Durability

__all__ = ["journal_opener", "payload_codec"]

_METHODS = (
    *("check", "accept", "latest", "own", "release", "take", "settle"),
    *("backlog", "oldest", "newest", "close"),
)


def payload_codec(core: Core, codec: str | Codec | None, type: Any) -> BoundCodec:
    """Return how values are written to a journal: as to L2, unless said otherwise.

    Without L2 and with nothing installed, as plain JSON.
    """
    if codec is None and core.place is not None:
        return core.bound(type)
    if codec in (None, "json") and find_spec("msgspec") is None:
        return PlainJsonCodec().bind(type)
    return resolve_codec("json" if codec is None else codec).bind(type)


def journal_opener(
    core: Core, spec: JournalSpec, options: BehindOptions, *, namespace: str, name: str, owner: str
) -> Callable[[], Journal]:
    """Return what opens the journal in the caller's home. Connects on first use, not here.

    `owner` is the template of the keys that it is for: no other strategy may write to it. Raises
    `ConfigurationError` for a place that cannot be.
    """
    if spec.kind is JournalKind.GIVEN:
        return _Given(_checked(spec.place), partial(core.seams.wrap, "journal"))
    wrap: Callable[[Journal], Journal] = partial(core.seams.wrap, "journal")
    if spec.is_local:
        return _Local(spec.place, options, owner, wrap)
    place = core.place if spec.kind is JournalKind.BESIDE else place_of(spec.place)
    assert place is not None
    path = core.options.namespace + (f"/{namespace}" if namespace else "")
    layout = Layout(
        path,
        name,
        owner,
        options.shards,
        options.max_backlog,
        options.max_backlog_bytes,
        options.max_dead,
    )
    return lambda: wrap(
        open_journal(
            place,
            layout,
            min_replicas=options.replicas if spec.durability is Durability.REDIS_WAIT else 0,
            together=spec.kind is JournalKind.BESIDE,
            assume_durable=options.assume_durable,
        )
    )


def _checked(journal: Any) -> Journal:
    """Return a journal that was given as an object, if it has all that one needs."""
    name = type(journal).__name__
    missing = [one for one in _METHODS if not callable(getattr(journal, one, None))]
    if missing:
        raise ConfigurationError(
            f"the journal {name} lacks {', '.join(missing)}: see freshwell.journals, and run "
            "freshwell.testing.conformance over it"
        )
    if inspect.iscoroutinefunction(journal.accept) is not ASYNCHRONOUS:
        raise ConfigurationError(
            f"the journal {name} is of the other colour: an AsyncCache wants one whose methods "
            "are async functions, a Cache one whose methods are plain"
        )
    checked: Journal = journal
    return checked


class _Given:
    """Opens a journal that is there: the same one in every home, closed with its strategy."""

    def __init__(self, journal: Journal, wrap: Callable[[Journal], Journal]) -> None:
        self._journal = journal
        self._wrap = wrap
        self._mutex = Lock()
        self._opened: Journal | None = None

    def __call__(self) -> Journal:
        with self._mutex:
            if self._opened is None:
                self._opened = self._wrap(self._journal)
            return self._opened


class _Local:
    """Opens a local journal: the same one in every home, for its file has one writer."""

    def __init__(
        self,
        path: str | None,
        options: BehindOptions,
        owner: str,
        wrap: Callable[[Journal], Journal],
    ) -> None:
        self._path = path
        self._options = options
        self._owner = owner
        self._wrap = wrap
        self._mutex = Lock()
        self._opened: Journal | None = None

    def __call__(self) -> Journal:
        # Those who use it need sqlite3, which is slow to import.
        from freshwell._sync.stores.local_journal import LocalJournal

        with self._mutex:
            if self._opened is None:
                journal = LocalJournal(
                    self._path,
                    owner=self._owner,
                    max_records=self._options.max_backlog,
                    max_bytes=self._options.max_backlog_bytes,
                    max_dead=self._options.max_dead,
                )
                self._opened = self._wrap(journal)
            return self._opened
