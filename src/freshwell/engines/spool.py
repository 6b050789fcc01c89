"""Which invalidations L2 has missed, and what this process must not serve until it has them.

An entry is *withheld* while it, or one of its tags, waits here: this process neither serves it
nor stores it. A hit never asks: what is withheld is dropped from L1 and not filled again, so only
who looks beyond L1 asks.

Who adds drops from L1 afterwards; who has told L2 drops once more before it removes. So whoever
has asked L2 before it was told either sees afterwards that the entry is withheld, or that it was
dropped meanwhile (``drops``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from freshwell.engines.tokens import Tokens
from freshwell.ground.names import Names
from freshwell.ground.spooling import Act, Missed, Row

if TYPE_CHECKING:  # it brings SQLite, which most have no use for
    from freshwell.engines.spool_file import SpoolFile

__all__ = ["Held", "Spool"]

K = TypeVar("K", str, bytes)

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_MARK_BYTES = 8


class Held(NamedTuple):
    """What was added under a mark. `before`: the mark that it had, where it waited already."""

    missed: Missed
    mark: bytes
    before: bytes | None = None


class Spool:
    """The invalidations of one cache that wait, each once. Thread-safe; readers take no lock.

    - `limit`: how many may wait; 0: there is no spool. Those that an earlier process left come
      in all the same, and take up room.
    - `file`: where they are durable. None: nowhere.
    """

    def __init__(self, names: Names, limit: int, file: SpoolFile | None = None) -> None:
        self.limit = limit
        self.file = file
        self._names = names
        self._mutex = Lock()
        self._new_mark = Tokens(_MARK_BYTES)
        self._waiting: OrderedDict[Missed, tuple[bytes, int]] = OrderedDict()
        self._entries: dict[str, int] = {}
        self._tags: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    # -- what is withheld: no lock -----------------------------------------------------------

    def withholds(self, name: str, digests: Sequence[bytes] = ()) -> bool:
        """Tell whether an entry is withheld, by itself or by one of these tags."""
        if not self._waiting:
            return False
        return name in self._entries or any(digest in self._tags for digest in digests)

    def withholds_tag(self, digest: bytes) -> bool:
        """Tell whether the entries of a tag are withheld."""
        return digest in self._tags

    # -- what waits --------------------------------------------------------------------------

    def take_over(self, rows: Sequence[Row], now_ns: int, now_ms: int) -> None:
        """Let what an earlier process left wait here."""
        with self._mutex:
            for missed, mark, since_ms in rows:
                age_ns = max(0, now_ms - since_ms) * _NS_PER_MS
                self._put(missed, mark, now_ns - age_ns)

    def add(self, missed: Sequence[Missed], now_ns: int) -> list[Held] | None:
        """Let these wait, behind the others, and withhold what they name. None: no room."""
        with self._mutex:
            wanted = dict.fromkeys(missed)
            more = sum(one not in self._waiting for one in wanted)
            if len(self._waiting) + more > self.limit:
                return None
            return [self._put(one, self._new_mark(), now_ns) for one in wanted]

    def take_back(self, held: Sequence[Held]) -> None:
        """Let it be as if these had not been added."""
        with self._mutex:
            for missed, mark, before in held:
                known = self._waiting.get(missed)
                if known is None or known[0] != mark:
                    continue
                if before is None:
                    self._drop(missed)
                else:
                    self._waiting[missed] = before, known[1]

    def oldest(self, limit: int, names: Collection[str] | None = None) -> list[Held]:
        """Return what has waited for longest. `names`: of these entries and tags only."""
        with self._mutex:
            found: list[Held] = []
            for missed, (mark, _) in self._waiting.items():
                if len(found) == limit:
                    break
                if names is None or missed.name in names:
                    found.append(Held(missed, mark))
            return found

    def remove(self, told: Sequence[Held]) -> int:
        """Let go of what L2 has taken, but for what was added anew since. Return how many went."""
        gone = 0
        with self._mutex:
            for missed, mark, _ in told:
                known = self._waiting.get(missed)
                if known is not None and known[0] == mark:
                    self._drop(missed)
                    gone += 1
        return gone

    def age_s(self, now_ns: int) -> float:
        """Return for how long the one that waits longest has waited. 0.0: none does."""
        with self._mutex:
            since_ns = min((since for _, since in self._waiting.values()), default=now_ns)
        return max(0, now_ns - since_ns) / _NS_PER_S

    def check(self) -> None:
        """Raise `AssertionError` where what is withheld is not what waits."""
        with self._mutex:
            entries = [one.name for one in self._waiting if one.act is not Act.VOID]
            tags = [self._names.digest(m.name) for m in self._waiting if m.act is Act.VOID]
            assert self._entries == {name: entries.count(name) for name in entries}
            assert self._tags == {digest: tags.count(digest) for digest in tags}

    # -- inside sections ---------------------------------------------------------------------

    def _put(self, missed: Missed, mark: bytes, since_ns: int) -> Held:
        known = self._waiting.get(missed)
        if known is None:
            self._waiting[missed] = mark, since_ns
            if missed.act is Act.VOID:
                digest = self._names.digest(missed.name)
                self._tags[digest] = self._tags.get(digest, 0) + 1
            else:
                self._entries[missed.name] = self._entries.get(missed.name, 0) + 1
            return Held(missed, mark)
        self._waiting[missed] = mark, known[1]
        self._waiting.move_to_end(missed)
        return Held(missed, mark, known[0])

    def _drop(self, missed: Missed) -> None:
        del self._waiting[missed]
        if missed.act is Act.VOID:
            _release(self._tags, self._names.digest(missed.name))
        else:
            _release(self._entries, missed.name)


def _release(counts: dict[K, int], key: K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
