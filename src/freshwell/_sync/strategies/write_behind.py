"""Write-behind: writes are acknowledged by a journal, and reach the source in batches later."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from freshwell._sync.coordination.accepting import Accepting
from freshwell._sync.coordination.errands import Taggings, alike
from freshwell._sync.coordination.flushing import Flusher
from freshwell._sync.coordination.settling import Settling
from freshwell._sync.stores.journal import Journal
from freshwell._sync.strategies.calls import Engine, Host
from freshwell._sync.strategies.delivering import Delivery
from freshwell._sync.strategies.read_through import ReadThrough
from freshwell._sync.strategies.write_through import present
from freshwell._kit.threads import resolve, sleep
from freshwell.engines.results import by_name, check_mapping
from freshwell.engines.shelf import Terms
from freshwell.engines.tokens import Tokens
from freshwell.errors import (
    BacklogFull,
    BacklogLeft,
    CacheClosed,
    CodecError,
    FreshwellError,
    KeyRejected,
)
from freshwell.ground.batches import Ack
from freshwell.ground.durations import duration_ns
from freshwell.ground.journaling import BehindOptions
from freshwell.ground.keys import short_digest
from freshwell.ground.options import Duration
from freshwell.ground.records import TOKEN_BYTES, Backlog, Draft
from freshwell.ground.tags import Computed
from freshwell.typing import DurabilityName

__all__ = ["WriteBehind"]

V = TypeVar("V")

_NS_PER_S = 1_000_000_000
_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.1


class _Parts(NamedTuple):
    """What is open in one home."""

    engine: Engine
    journal: Journal
    durability: DurabilityName
    accepting: Accepting
    flusher: Flusher


class WriteBehind(ReadThrough[V]):
    """A reader whose writes are acknowledged by a journal. Built by `write_behind`.

    Reading is as with `read_through`, but for writes that the source does not have yet: readers
    are given the latest that was accepted, even where it has gone from the cache. A journal that
    does not answer makes what is not in the cache unreadable (`JournalUnavailable`), for nobody
    could tell whether the source's value is the latest.

    Writing returns when the journal has the write, at the durability that the `Ack` names. A
    background flusher gives batches to the source: each write at least once, those of one key in
    order. Use it as a context manager, or close the cache at the end: both flush up to `drain`.

    Safe for any number of tasks (in the twin: threads).
    """

    # `hides_from_l2`: others do not see the journal, and may put into L2 what the source has. So
    # what waits is looked for in the journal first.

    def __init__(
        self,
        host: Host,
        source: Any,
        template: str,
        terms: Terms,
        tags: tuple[tuple[str, ...], tuple[Computed, ...]],
        *,
        delivery: Delivery,
        open_journal: Callable[[], Journal],
        journal_name: str,
        options: BehindOptions,
        hides_from_l2: bool,
    ) -> None:
        super().__init__(host, _PendingFirst(self, source), template, terms, tags)
        self._hides_from_l2 = hides_from_l2
        self._delivery = delivery
        self._written = delivery.written
        self._engine = host.engine
        self._open_journal = open_journal
        self.journal_name = journal_name
        self._options = options
        self._new_token = Tokens(TOKEN_BYTES)
        self._mutex = Lock()
        self._parts: _Parts | None = None
        self._closed = False

    # -- writing -----------------------------------------------------------------------------

    def put(self, id: Any, value: V) -> Ack:
        """Accept `value` as the value of `id`, and return when the journal has it.

        From then on this process reads it, or what is newer; others do where the journal is on
        Redis. Where the journal is a file and the cache has Redis too, others read it for as long
        as its entry is there, and otherwise once it is flushed.

        Raises:
            BacklogFull: The journal has no room, and none came within `full_wait`. Nothing was
                accepted.
            JournalUnavailable: It did not answer, or could not write. The write is not
                acknowledged; it may have been accepted all the same.
            JournalUnfit: It would lose what it accepts. Nothing was accepted.
            StoreUnavailable: L2 did not answer before anything was accepted.
            InvalidationError: The write *is* accepted, as the message says, and L2 may serve what
                was there before until it is flushed.
            CodecError: The value cannot be written, or is larger than may be.
            ConfigurationError: `value` is None, which stands for "there is none": see `delete`.
            KeyRejected: `id` is no id, or of a type that a journal cannot keep.
        """
        present(value)
        if id.__class__ is not int and id.__class__ is not str:
            self._check_id(id)
        name, tagging = self._call.entry(id)
        draft = self._draft(name, id, value)
        parts = self._open()
        sequence = parts.accepting.accept_one(draft, value, tagging)
        if not sequence:
            (sequence,) = self._when_there_is_room(
                parts, (draft,), {name: value}, alike(tagging), [0]
            )
        return Ack(parts.durability, sequence, draft.token.hex())

    def put_many(self, values: Mapping[Any, V]) -> dict[Any, Ack]:
        """Accept many values, by their ids, as `put` accepts one.

        In one step with a file or memory. With Redis one round trip, and not all or nothing: where
        it raises, some may have been accepted.
        """
        check_mapping(values, "put_many")
        return self._write({id: present(value) for id, value in values.items()})

    def delete(self, *ids: Any) -> dict[Any, Ack]:
        """Accept that the source is to delete. Readers find nothing from now on.

        Raises as `put` does, and `ConfigurationError` where the source cannot delete.
        """
        self._delivery.check_deletes()
        return self._write(dict.fromkeys(self._checked(ids)))

    def _write(self, values: Mapping[Any, V | None]) -> dict[Any, Ack]:
        """Accept values; None: deleted."""
        if not values:
            return {}
        id_of, taggings = self._entries(values)
        drafts = [self._draft(name, id, values[id]) for name, id in id_of.items()]
        left = {name: values[id] for name, id in id_of.items() if values[id] is not None}
        parts, tags_of = self._open(), taggings.__getitem__
        given = parts.accepting.accept(drafts, left, tags_of)
        if not all(given):
            given = self._when_there_is_room(parts, drafts, left, tags_of, given)
        return {
            id: Ack(parts.durability, sequence, draft.token.hex())
            for id, sequence, draft in zip(id_of.values(), given, drafts, strict=True)
        }

    def _draft(self, name: str, id: Any, value: V | None) -> Draft:
        its_id, kind, payload = self._written(name, id, value)
        if len(payload) > self._options.max_backlog_bytes:
            raise CodecError(
                f"the value for key {short_digest(name)} is larger than max_backlog_bytes, all "
                "that the journal may hold: nothing was accepted"
            )
        # What `Draft(...)` makes, in half of the time.
        return tuple.__new__(Draft, (name, its_id, kind, payload, self._new_token()))

    def _when_there_is_room(
        self,
        parts: _Parts,
        drafts: Sequence[Draft],
        values: Mapping[str, Any],
        taggings: Taggings,
        given: list[int],
    ) -> list[int]:
        """Accept those that were refused, waiting for room where that is wanted."""
        until_ns = time.monotonic_ns() + self._options.full_wait_ns
        sequences = dict(zip((draft.name for draft in drafts), given, strict=True))
        pause_s = _FIRST_PAUSE_S
        while refused := [name for name, sequence in sequences.items() if not sequence]:
            if not self._options.blocks or time.monotonic_ns() >= until_ns:
                raise _full(len(sequences) - len(refused), len(sequences))
            drafts = [draft for draft in drafts if draft.name in refused]
            values = {name: values[name] for name in refused if name in values}
            if parts.flusher.begun:
                parts.flusher.flush_now()
            sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            given = parts.accepting.accept(drafts, values, taggings)
            sequences.update(zip(refused, given, strict=True))
        return list(sequences.values())

    # -- reading -----------------------------------------------------------------------------

    def get(self, id: Any) -> V | None:
        """Return the value of `id`: the latest accepted, from a tier or from the source.

        None: there is none. Raises `JournalUnavailable` where it is not in the cache and the
        journal does not answer, and `CodecError` where a write that waits cannot be read by this
        program.
        """
        if self._hides_from_l2 and (waiting := self.pending([id])):
            return waiting[id]
        value: V | None = self._call.run(id)
        return value

    def get_many(self, ids: Sequence[Any]) -> dict[Any, V]:
        """Return the values of those `ids` that exist, asking the source once for the missing."""
        if isinstance(ids, str):
            raise KeyRejected("the ids are one text: give a list of ids")
        waiting = self.pending(ids) if self._hides_from_l2 else {}
        found = super().get_many([id for id in ids if id not in waiting])
        return found | {id: value for id, value in waiting.items() if value is not None}

    def pending(self, ids: Sequence[Any]) -> dict[Any, V | None]:
        """Return the values of those `ids` that wait to be flushed. None: to be deleted."""
        id_of = {self._call.entry(id)[0]: id for id in ids}
        records = self._open().journal.latest(list(id_of))
        return {
            id: self._delivery.value(record)
            for id, record in zip(id_of.values(), records, strict=True)
            if record is not None
        }

    # -- flushing ----------------------------------------------------------------------------

    def start(self, *, flush: bool | None = None) -> None:
        """Open the journal, see whether it is fit, and begin to flush what it holds.

        Needed where nothing is read or written at first, to flush what an earlier process left.
        `flush`: whether this process flushes, whatever `flusher` said.

        Raises `JournalUnfit`, `JournalUnavailable` and `ConfigurationError`.
        """
        parts = self._open()
        parts.journal.check()
        if flush or (flush is None and self._options.flusher):
            parts.flusher.start()

    def flush(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - it says what is left
        """Wait until all that was accepted before is in the source, or a dead letter.

        At most `timeout` seconds; raises `BacklogLeft` then. Goes on in the background.
        """
        parts = self._open()
        if not parts.flusher.settled(timeout):
            left = self.backlog()
            raise BacklogLeft(
                f"{left.records:,} writes are not flushed yet after {timeout:g} s: flushing goes "
                f"on{', and waits for the source' if left.source_down else ''}",
                left.records,
                left.dead,
            )

    def backlog(self) -> Backlog:
        """Return what the journal holds. One round trip with Redis."""
        parts = self._open()
        held = parts.journal.backlog()
        flusher = parts.flusher
        held = dataclasses.replace(held, parked=flusher.parked, source_down=flusher.source_down)
        parts.engine.tiers.observing.journals[self.journal_name] = held
        return held

    def __enter__(self) -> Self:
        with self._mutex:
            self._closed = False
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self, *, drain: Duration | None = None) -> Backlog | None:
        """Flush for up to `drain`, close the journal, and return what is left in it.

        `drain` None: what `write_behind` was given. Returns None where the journal did not answer,
        or was not open. What is left is flushed by the next process that opens the journal; of
        one in memory it is lost. Idempotent; other uses afterwards raise `CacheClosed`, until it is
        entered again (``with``).
        """
        drain_ns = self._options.drain_ns
        if drain is not None:
            drain_ns = duration_ns(drain, name="drain", allow_zero=True)
        with self._mutex:
            parts, self._parts, self._closed = self._parts, None, True
        if parts is None:
            return None
        try:
            return _ended(parts, drain_ns / _NS_PER_S)
        finally:  # nobody looks any more: who watches must not take the last look for the present
            parts.engine.tiers.observing.journals.pop(self.journal_name, None)

    def _open(self) -> _Parts:
        """Return what is open in the caller's home; open it on first use."""
        engine, parts = self._engine(), self._parts
        if parts is not None and parts.engine is engine:
            return parts
        with self._mutex:
            if self._closed:
                raise CacheClosed(
                    f"{self!r} was used after its close, or that of its cache: enter it again in "
                    "a with block, or build a new one"
                )
            if self._parts is None or self._parts.engine is not engine:
                self._parts = self._opened(engine)
            return self._parts

    def _opened(self, engine: Engine) -> _Parts:
        journal = self._open_journal()
        tiers, writes, saves = engine.tiers, engine.writes, engine.saves
        payload_at = self._delivery.payload_at(self._call.terms.codec)
        terms = self._call.terms
        accepting = Accepting(journal, tiers, writes, saves, terms, payload_at=payload_at)
        settling = Settling(journal, tiers, writes, saves, terms, accepting.doubts)
        flusher = Flusher(
            journal,
            self._delivery.deliver,
            settling.settle,
            options=self._options.flush_options,
            counters=tiers.counters,
            incidents=tiers.incidents,
            is_down=self._delivery.is_down,
            look=self.backlog,
        )
        parts = _Parts(engine, journal, journal.durability.value, accepting, flusher)
        engine.attach(self)
        if self._options.flusher:
            flusher.start()
        return parts


class _PendingFirst:
    """A source, but for writes that it does not have yet: those are in the journal.

    It is asked when the load has its lease: a write accepted since then voids the load, so what
    is stored is never older than the journal.
    """

    def __init__(self, behind: WriteBehind[Any], source: Any) -> None:
        self._behind = behind
        self._source = source
        many = callable(getattr(source, "load_many", None))
        self.load_many = self._load_many if many else None

    def load(self, id: Any) -> Any:
        waiting = self._behind.pending([id])
        return waiting[id] if waiting else resolve(self._source.load(id))

    def _load_many(self, ids: Sequence[Any]) -> Mapping[Any, Any]:
        waiting = self._behind.pending(ids)
        missing = [id for id in ids if id not in waiting]
        found: Mapping[Any, Any] = {}
        if missing:
            found = by_name(resolve(self._source.load_many(missing)), missing)
        return {**found, **{id: value for id, value in waiting.items() if value is not None}}


def _full(accepted: int, wanted: int) -> BacklogFull:
    of = f": {accepted} of {wanted} writes were accepted" if accepted else ", and none came free"
    return BacklogFull(
        f"the journal has no room{of}. The source is slower than the writers, or down: see "
        "backlog(); max_backlog and full_wait say how much is kept and waited for",
        accepted,
    )


def _ended(parts: _Parts, drain_s: float) -> Backlog | None:
    """Flush for a while, close, and return what is left. None: the journal does not answer."""
    left: Backlog | None = None
    try:
        parts.flusher.close(drain_s)
        left = parts.journal.backlog()
    except FreshwellError as error:
        parts.engine.tiers.incidents.flush_failed(error)
    finally:
        parts.journal.close()
    if left is not None and left.records:
        parts.engine.tiers.incidents.writes_left(left.records, left.durability)
    return left
