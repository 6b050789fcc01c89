"""The journal that a user has named: checked when the strategy is built, opened on first use."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from freshwell._async.core import Core
from freshwell._async.stores.journal import Journal
from freshwell._async.stores.journal_places import open_journal
from freshwell._async.stores.redis_journal import Layout
from freshwell._async.strategies.delivering import Delivery
from freshwell._kit.aio import ASYNCHRONOUS
from freshwell._kit.places import place_of
from freshwell.codecs.base import BoundCodec, Codec, flags_of
from freshwell.codecs.plain import PlainJsonCodec
from freshwell.codecs.sensitive import bind_checked
from freshwell.errors import ConfigurationError
from freshwell.ground.frame import GUARDED, Flag
from freshwell.ground.journaling import BehindOptions, JournalKind, JournalSpec
from freshwell.ground.records import Durability

if TYPE_CHECKING:  # it brings SQLite, which most have no use for
    from freshwell._async.stores.local_journal import LocalJournal

__all__ = ["delivery_to", "journal_opener"]

_METHODS = (
    *("check", "accept", "latest", "own", "release", "take", "settle"),
    *("backlog", "oldest", "newest", "aclose"),
)


def delivery_to(
    core: Core,
    source: Any,
    codec: str | Codec | None,
    type: Any,
    is_down: Callable[[BaseException], bool],
    spec: JournalSpec,
) -> Delivery:
    """Return the way from a journal to a source, for values of a type.

    `codec` None: as to L2. Raises `ConfigurationError` for a source that cannot be written behind
    to, and for a codec that would tell what the cache hides.
    """
    bound = _payload_codec(core, codec, type)
    hides_ids = _hides_ids(core, bound, spec)
    return Delivery(source, bound, is_down, namespace=core.options.namespace, hides_ids=hides_ids)


def journal_opener(
    core: Core, spec: JournalSpec, options: BehindOptions, *, namespace: str, name: str, owner: str
) -> Callable[[], Journal]:
    """Return what opens the journal in the caller's home. Connects on first use, not here.

    `owner` is the template of the keys that it is for: no other strategy may write to it. Raises
    `ConfigurationError` for a place that cannot be.
    """
    wrap: Callable[[Journal], Journal] = partial(core.seams.wrap, "journal")
    if spec.kind is JournalKind.GIVEN:
        given = _checked(spec.place)
        return lambda: wrap(given)
    if spec.is_local:  # its file has one writer
        local = _Once(lambda: _local(spec.place, options, owner))
        return lambda: wrap(local())
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


class _Once:
    """Opens a journal that is the same one in every home, until its strategy closes it."""

    def __init__(self, make: Callable[[], LocalJournal]) -> None:
        self._make = make
        self._mutex = Lock()
        self._opened: LocalJournal | None = None

    def __call__(self) -> Journal:
        with self._mutex:
            if self._opened is None or self._opened.is_closed:
                self._opened = self._make()
            return self._opened


def _local(path: str | None, options: BehindOptions, owner: str) -> LocalJournal:
    # Those who use it need sqlite3, which is slow to import.
    from freshwell._async.stores.local_journal import LocalJournal

    return LocalJournal(
        path,
        owner=owner,
        max_records=options.max_backlog,
        max_bytes=options.max_backlog_bytes,
        max_dead=options.max_dead,
    )


def _payload_codec(core: Core, codec: str | Codec | None, type: Any) -> BoundCodec:
    """Return how values are written to a journal: as to L2, unless said otherwise.

    Without L2 and with nothing installed, as plain JSON. Raises `ConfigurationError` where the
    cache seals or signs, and the journal would not.
    """
    if codec is None and core.place is not None:
        return core.bound(type)
    spec = core.given_codec if codec is None else codec
    if spec == "json" and core.place is None and find_spec("msgspec") is None:
        return PlainJsonCodec().bind(type)
    chosen = core.resolved(spec)
    missing = flags_of(core.given_codec) & GUARDED & ~flags_of(chosen)
    if missing:
        raise ConfigurationError(
            f"the cache's codec is {'sealed' if missing & Flag.SEALED else 'signed'}, and codec= "
            "would write what waits for the source without that: leave it out, or give one that "
            "does the same"
        )
    return bind_checked(chosen, type)


def _hides_ids(core: Core, codec: BoundCodec, spec: JournalSpec) -> bool:
    """Tell whether ids are to be sealed in a journal: names that are hashed would tell no less.

    Raises `ConfigurationError` where the codec does not seal.
    """
    if core.names.hiding is None or spec.kind is JournalKind.MEMORY:
        return False
    if not flags_of(codec) & Flag.SEALED:
        raise ConfigurationError(
            "this cache has hash_keys, and a journal needs the ids themselves, to give them to the "
            'source: give the cache codec=Sealed("json", keyring), so that they are sealed'
        )
    return True
