"""What a journal of one's own is made of, to be given to ``write_behind(journal=...)``.

It has the methods of `Journal` (`AsyncJournal` for an `AsyncCache`), and three attributes:

- ``durability``: a `Durability`. ``MEMORY`` and ``LOCAL`` say that this process alone sees it,
  the others that every process of the service does, which decides how readers find what waits.
- ``shards``: how many there are, at least one.
- ``together``: False.

`freshwell.testing.conformance` has the suite that says whether it does what is relied on. The
command line does not know such a journal.
"""

from __future__ import annotations

from freshwell._async.stores.journal import Journal as AsyncJournal
from freshwell._sync.stores.journal import Journal
from freshwell.ground.records import (
    Draft,
    Durability,
    Kind,
    Record,
    Settled,
    ShardLost,
    sequence_of,
)

__all__ = [
    "AsyncJournal",
    "Draft",
    "Durability",
    "Journal",
    "Kind",
    "Record",
    "Settled",
    "ShardLost",
    "sequence_of",
]
