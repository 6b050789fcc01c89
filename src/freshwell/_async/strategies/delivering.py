"""Give a source the writes that were accepted earlier, and make out what became of each."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from freshwell._async.strategies.read_through import Source
from freshwell._kit.aio import check_writer, each, resolve
from freshwell.codecs.base import BoundCodec
from freshwell.codecs.paper import Paper
from freshwell.engines.window import Handout
from freshwell.errors import CodecError, ConfigurationError
from freshwell.ground.batches import STORED, Batch, Outcome, Write
from freshwell.ground.records import Record

__all__ = ["BatchSource", "Delivery"]

K = TypeVar("K")
V = TypeVar("V")

_MANY_AT_ONCE = 16


class BatchSource(Source[K, V], Protocol[K, V]):
    """A source that takes batches. For write-behind.

    It may also have ``delete_many(batch)`` or ``delete(id)``, without which nothing can be
    deleted, and ``load_many(ids)``, as any source.
    """

    def save_many(self, batch: Batch[K, V], /) -> Awaitable[Any]:
        """Make the batch's values those of its ids. When it returns, every ``load`` sees them.

        May return a mapping from ids to `Outcome` that says what became of each; anything else
        says that all are stored. An exception says that none need be: they are given again, all
        at once or apart. So a batch may come twice, after a later one too when a flusher was
        thought dead: a source that must not go back compares `Write.sequence`.
        """


class Delivery:
    """The way from a journal's records to one source. Safe for any number of tasks or threads."""

    def __init__(
        self,
        source: Any,
        codec: BoundCodec,
        is_down: Callable[[BaseException], bool],
        *,
        namespace: str = "",
        hides_ids: bool = False,
    ) -> None:
        _check(source)
        self._source_name = type(source).__name__
        self._save = getattr(source, "save", None)
        self._save_many = getattr(source, "save_many", None)
        self._delete = getattr(source, "delete", None)
        self._delete_many = getattr(source, "delete_many", None)
        self._paper = Paper(codec, namespace, hides_ids=hides_ids)
        self.written = self._paper.written
        """Returns the id, the kind and the payload of a record: see `Paper.written`."""
        self.is_down = is_down

    def check_deletes(self) -> None:
        """Raise `ConfigurationError` where the source cannot delete."""
        if self._delete is None and self._delete_many is None:
            raise ConfigurationError(
                f"{self._source_name} cannot delete: give it a method delete(id), or "
                "delete_many(batch)"
            )

    async def deliver(self, handouts: Sequence[Handout]) -> list[Outcome]:
        """Write records to the source, no two of one key, and return what became of each.

        Raises what the source raises for all of them at once.
        """
        outcomes: dict[int, Outcome] = {}
        puts: list[Write[Any, Any]] = []
        deletes: list[Write[Any, Any]] = []
        records = [handout.record for handout in handouts]
        for record in records:
            write = self._read(record)
            if isinstance(write, Outcome):
                outcomes[record.sequence] = write
            else:
                (deletes if write.deleted else puts).append(write)
        outcomes |= await self._run(puts, self._save_many, self._save_one)
        outcomes |= await self._run(deletes, self._delete_many, self._delete_one)
        return [outcomes[record.sequence] for record in records]

    def value(self, record: Record) -> Any:
        """Return the value that a record gives its entry. None: it is deleted.

        Raises `CodecError` where this program cannot read it.
        """
        return self._paper.read(record)[1]

    def payload_at(self, codec: BoundCodec) -> int | None:
        """Return where in a payload begins what an entry has for one. None: see `Paper`."""
        return self._paper.payload_at(codec)

    def _read(self, record: Record) -> Write[Any, Any] | Outcome:
        try:
            id, value = self._paper.read(record)
        except CodecError:
            return Outcome.reject("it cannot be read by this program")
        deleted = record.is_delete
        attempt = record.attempts + 1
        return Write(id, value, record.sequence, record.token.hex(), attempt, deleted)

    async def _run(
        self,
        writes: Sequence[Write[Any, Any]],
        many: Callable[[Any], Any] | None,
        one: Callable[[Write[Any, Any]], Awaitable[Any]],
    ) -> dict[int, Outcome]:
        if not writes:
            return {}
        if many is not None:
            answer = await _called(many, Batch(writes))
            return {w.sequence: Outcome.in_answer(answer, w.id) for w in writes}
        said = await each([partial(self._alone, one, write) for write in writes], _MANY_AT_ONCE)
        return {write.sequence: outcome for write, outcome in zip(writes, said, strict=True)}

    async def _alone(
        self, one: Callable[[Write[Any, Any]], Awaitable[Any]], write: Write[Any, Any]
    ) -> Outcome:
        try:
            await one(write)
        except Exception as error:
            if self.is_down(error):
                raise
            return Outcome.retry(type(error).__qualname__)
        return STORED

    async def _save_one(self, write: Write[Any, Any]) -> None:
        assert self._save is not None
        await resolve(self._save(write.id, write.value))

    async def _delete_one(self, write: Write[Any, Any]) -> None:
        if self._delete is None:  # accepted by a program whose source could
            raise LookupError(f"{self._source_name} has no delete(id)")
        await resolve(self._delete(write.id))


async def _called(many: Callable[[Any], Any], batch: Batch[Any, Any]) -> Any:
    return await resolve(many(batch))


def _check(source: Any) -> None:
    """Refuse what cannot be written behind to. Raises `ConfigurationError`."""
    if inspect.isclass(source):
        raise ConfigurationError(
            f"the source is the class {source.__name__}: give an object of it, {source.__name__}()"
        )
    name = type(source).__name__
    saves = (getattr(source, method, None) for method in ("save", "save_many"))
    if not callable(getattr(source, "load", None)) or not any(map(callable, saves)):
        raise ConfigurationError(
            f"{name} cannot be written behind to: a source has methods load(id), and "
            "save_many(batch) or save(id, value), and may have load_many(ids), delete(id) and "
            "delete_many(batch)"
        )
    for method in ("save", "save_many", "delete", "delete_many"):
        function = getattr(source, method, None)
        if function is not None:
            check_writer(function, f"{name}.{method}")
