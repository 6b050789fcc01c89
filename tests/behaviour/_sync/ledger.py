"""A source for write-behind: rows fenced by sequence, whose calls can be held and can fail."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from typing import Any

from freshwell import Batch, Outcome
from tests.support.threads import Latch

__all__ = ["Ledger"]


class Ledger:
    """Keeps rows and all it was told. `gate` holds its writes while it is closed."""

    def __init__(self, **rows: Any) -> None:
        self.rows: dict[Any, Any] = rows
        self.fences: dict[Any, int] = {}
        self.batches: list[Batch[Any, Any]] = []
        self.loads = 0
        self.begun = Latch()
        self.gate = Latch()
        self.gate.open()
        self.answer: Callable[[Batch[Any, Any]], dict[Any, Outcome] | None] = lambda batch: None
        """Says what became of a batch, or raises."""

    def load(self, id: Any, /) -> Any:
        self.loads += 1
        return self.rows.get(id)

    def load_many(self, ids: Sequence[Any], /) -> dict[Any, Any]:
        self.loads += 1
        return {id: self.rows[id] for id in ids if id in self.rows}

    def save_many(self, batch: Batch[Any, Any], /) -> Any:
        return self._take(batch)

    def delete_many(self, batch: Batch[Any, Any], /) -> Any:
        return self._take(batch)

    def _take(self, batch: Batch[Any, Any]) -> Any:
        self.begun.open()
        self.gate.passed()
        self.batches.append(batch)
        said = self.answer(batch)
        for write in batch.writes:
            outcome = None if said is None else said.get(write.id)
            refused = outcome is not None and outcome.kind != "stored"
            if refused or self.fences.get(write.id, 0) >= write.sequence:
                continue
            self.fences[write.id] = write.sequence
            if write.deleted:
                self.rows.pop(write.id, None)
            else:
                self.rows[write.id] = write.value
        return said
