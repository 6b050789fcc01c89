"""Write-through: the source is written by way of the cache, which then has the new value."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from freshwell._sync.coordination.saving import Change
from freshwell._sync.strategies.calls import Host
from freshwell._sync.strategies.read_through import ReadThrough, Source
from freshwell._kit.threads import check_writer, each, resolve
from freshwell.engines.results import check_mapping, checked_saved, storable
from freshwell.engines.shelf import Terms
from freshwell.errors import ConfigurationError
from freshwell.ground.saved import Saved
from freshwell.ground.tags import Computed

__all__ = ["WritableSource", "WriteThrough", "present"]

K_contra = TypeVar("K_contra", contravariant=True)
V = TypeVar("V")

_MANY_AT_ONCE = 16


class WritableSource(Source[K_contra, V], Protocol[K_contra, V]):
    """A source that values can be written to.

    It may also have

    - ``save_many(values)``, with a mapping from ids to values; without it values are saved one
      by one, a few at a time;
    - ``delete(id)``, without which nothing can be deleted through the cache;
    - ``load_many(ids)``, as any source.

    ``save`` may return a `Saved`, and ``save_many`` a mapping from ids to them: the value as the
    source has it, where that is not what was given, and its version, by which writers who overlap
    leave the value of the highest. What else these return is not looked at.

    An exception of theirs says that the outcome is unknown. Where the source may still be at it,
    let that be an `OSError`, which `TimeoutError` and `ConnectionError` are.
    """

    def save(self, id: K_contra, value: V, /) -> Any:
        """Make `value` the value of `id`. When it returns, every `load` that begins sees it."""


class WriteThrough(ReadThrough[V]):
    """A reader that writes too. Built by `write_through`; shares its cache's connections.

    Reading is as with `read_through`. Writing announces the change, saves, and leaves the value
    in the cache: so the entry is never older than the source after a call has returned, and two
    writers of one key leave what the source has, or nothing. Where the source tells versions
    (`Saved`), they leave what it has.
    """

    def __init__(
        self,
        host: Host,
        source: WritableSource[Any, V],
        template: str,
        terms: Terms,
        tags: tuple[tuple[str, ...], tuple[Computed, ...]] = ((), ()),
    ) -> None:
        self._save, self._save_many, self._delete = _writers(source)
        self._source_name = type(source).__name__
        super().__init__(host, source, template, terms, tags)

    def put(self, id: Any, value: V) -> None:
        """Write `value` to the source, and leave it in the cache.

        When it returns, this process reads it or what is newer, and others do under the rule
        of their read level. Between announcing and the end the entry is absent, and readers go
        to the source. It is absent afterwards too where writers of the key overlapped, unless
        the source told a version to each (see `Saved`) and none is an unknown outcome; where
        one of its tags was being changed, or where it is too large for the cache. With L2, two
        round trips besides the source's, and one more where a tag's version is not known here.

        Raises:
            Exception: What the source raises, as it is. The outcome is unknown, and the entry
                absent; after a time-out, a lost connection or a cancellation for `intent`.
            InvalidationError: Before the source was called: L2 may not have taken the
                announcement, and nothing was changed. After it: the source *has* the value,
                which the message says, and the entry is absent for `intent`.
            CodecError: The value cannot be written to L2. The source was not called.
            ConfigurationError: `value` is None, which stands for "there is none": see `delete`.
                Or the source has returned a `Saved` that cannot be: it *has* the value then, and
                the entry is absent. So it is after a `CodecError` for the value in a `Saved`.
            KeyRejected: `id` is no id.
        """
        values = {id: present(value)}
        self._run(values, partial(self._save_one, id, value), values, self._one_said)

    def put_many(self, values: Mapping[Any, V]) -> None:
        """Write many values, by their ids, as `put` writes one; announced and ended together.

        The source is called once where it has ``save_many``. What it raises says nothing of the
        single values: all entries are absent then, for `intent`. It may return a mapping from
        ids to `Saved`; those it leaves out have no version.
        """
        check_mapping(values, "put_many")
        given = {id: present(value) for id, value in values.items()}
        if not given:
            return
        if self._save_many is None:
            saves = [partial(self._save_one, id, value) for id, value in given.items()]
            self._run(given, partial(each, saves, _MANY_AT_ONCE), given, self._each_said)
        else:
            act = partial(self._save_all, self._save_many, given)
            self._run(given, act, given, self._all_said)

    def delete(self, *ids: Any) -> None:
        """Delete from the source. The entries are absent afterwards.

        Raises as `put` does, and `ConfigurationError` where the source has no ``delete``.
        """
        if self._delete is None:
            raise ConfigurationError(
                f"{self._source_name} has no delete(id), which deletes from the source: add it, "
                "or delete it yourself in a block of cache.writing(key)"
            )
        unique = list(dict.fromkeys(self._checked(ids)))
        if unique:
            deletes = [partial(self._delete_one, self._delete, id) for id in unique]
            act = deletes[0] if len(deletes) == 1 else partial(each, deletes, _MANY_AT_ONCE)
            self._run(unique, act, {}, _nothing_said)

    def _run(
        self,
        ids: Collection[Any],
        act: Callable[[], Any],
        values: Mapping[Any, V],
        said: Callable[[Any, Collection[Any]], Mapping[Any, Saved[Any]]],
    ) -> None:
        """Change the source by `act`, as to `ids`, and leave `values`.

        `said` makes of what `act` returned what the source says of single ids.
        """
        id_of, taggings = self._entries(ids)
        new = {name: values[id] for name, id in id_of.items() if id in values}

        def hear(answer: Any) -> Mapping[str, Saved[Any]]:
            told = said(answer, list(id_of.values()))
            return {name: told[id] for name, id in id_of.items() if id in told}

        change = Change(list(id_of), new, self._call.terms, taggings.__getitem__, hear)
        self._call.engine.saves.run(change, act)

    def _one_said(self, answer: Any, ids: Collection[Any]) -> dict[Any, Saved[Any]]:
        return self._each_said([answer], ids)

    def _each_said(self, answers: Sequence[Any], ids: Collection[Any]) -> dict[Any, Saved[Any]]:
        told = zip(ids, answers, strict=True)
        method = f"{self._source_name}.save"
        return {id: checked_saved(one, method) for id, one in told if isinstance(one, Saved)}

    def _all_said(self, answer: Any, ids: Collection[Any]) -> dict[Any, Saved[Any]]:
        method = f"{self._source_name}.save_many"
        if isinstance(answer, Saved):
            raise ConfigurationError(
                f"{method} returned one Saved for many values: return a mapping from ids to them"
            )
        if not isinstance(answer, Mapping):
            return {}
        told = ((id, answer.get(id)) for id in ids)
        return {id: checked_saved(one, method) for id, one in told if isinstance(one, Saved)}

    def _save_one(self, id: Any, value: Any) -> Any:
        return resolve(self._save(id, value))

    @staticmethod
    def _save_all(save_many: Callable[[Any], Any], values: Mapping[Any, Any]) -> Any:
        return resolve(save_many(values))

    @staticmethod
    def _delete_one(delete: Callable[[Any], Any], id: Any) -> None:
        resolve(delete(id))


def present(value: V) -> V:
    """Return a value that can be put. Raises `ConfigurationError` for None, and as `storable`."""
    if value is None:
        raise ConfigurationError(
            "put was given None, which stands for an id that does not exist: "
            "call delete(id), or put a value that says what you mean"
        )
    return storable(value)


def _nothing_said(answer: Any, ids: Collection[Any]) -> dict[Any, Saved[Any]]:
    return {}


def _writers(
    source: Any,
) -> tuple[Callable[..., Any], Callable[..., Any] | None, Callable[..., Any] | None]:
    """Return the source's ``save``, and ``save_many`` and ``delete`` where it has them."""
    if inspect.isclass(source):
        raise ConfigurationError(
            f"the source is the class {source.__name__}: give an object of it, {source.__name__}()"
        )
    if not callable(getattr(source, "load", None)) or not callable(getattr(source, "save", None)):
        raise ConfigurationError(
            f"{type(source).__name__} cannot be written through: a source has methods load(id) and "
            "save(id, value), and may have load_many(ids), save_many(values) and delete(id)"
        )
    for name in ("save", "save_many", "delete"):
        method = getattr(source, name, None)
        if method is not None:
            check_writer(method, f"{type(source).__name__}.{name}")
    return source.save, getattr(source, "save_many", None), getattr(source, "delete", None)
