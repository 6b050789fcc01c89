"""The ways of reading and writing that the lab compares, behind one small interface.

With tags (`Plan.tags`) each product is of one of so many categories, and a write ends what is
cached of its whole category.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from freshwell.cli.lab.baselines import GetOrSet, GetOrSetRedis, NoCache
from freshwell.cli.lab.database import Database
from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.plan import Plan
from freshwell.cli.lab.products import Product
from freshwell.cli.lab.strategies import CacheAside, ReadThrough, WriteBehind, WriteThrough

__all__ = ["CONTENDERS", "PUTTING", "STRATEGIES", "USUAL", "Contender", "chosen", "make"]


class Contender(Protocol):
    """One way of reading products, and of writing them."""

    async def read(self, id: int) -> Product: ...

    async def write(self, id: int) -> int:
        """Change a product and return its new version.

        On return readers get it, and it is in the source, or will be after `finish`.
        """

    async def finish(self) -> None:
        """Wait until the source has everything that was written."""

    def figures(self) -> dict[str, float]:
        """Return counts of its own, for the JSON report."""

    async def aclose(self) -> None: ...


CONTENDERS: Final[Mapping[str, Callable[[Plan, Database], Contender]]] = {
    "no cache": NoCache,
    "get-or-set": GetOrSet,
    "cache-aside": CacheAside,
    "read-through": ReadThrough,
    "write-through": WriteThrough,
    "write-behind": WriteBehind,
}

USUAL: Final = ("no cache", "get-or-set", "cache-aside", "read-through")
"""Who runs where nobody is named: ways of reading."""

STRATEGIES: Final = ("cache-aside", "read-through", "write-through", "write-behind")
"""Who runs where strategies are compared: all of freshwell's."""

PUTTING: Final = frozenset({"write-through", "write-behind"})
"""Who is given the new product: of each product, one process has to make all the writes."""

_NONE: Final = "none"
"""What the contender without a cache is called where names are typed."""


def chosen(names: Sequence[str], usual: Sequence[str] = USUAL) -> tuple[str, ...]:
    """Return the contenders of these names, or of lists of names; `usual` where none is given.

    In the order of `CONTENDERS`. Raises `LabInputError` for a name that is not known.
    """
    typed = {_NONE if name == "no cache" else name: name for name in CONTENDERS}
    wanted = {name.strip() for text in names for name in text.split(",")}
    unknown = sorted(wanted - set(typed))
    if unknown:
        raise LabInputError(f"--strategy: there is no {unknown[0]!r}: use {', '.join(typed)}")
    return tuple(name for typed_as, name in typed.items() if typed_as in wanted) or tuple(usual)


def make(plan: Plan, database: Database) -> Contender:
    """Return the contender that `plan` names, ready to be used in this event loop."""
    if plan.contender == "get-or-set" and plan.redis is not None:
        return GetOrSetRedis(plan, database)
    return CONTENDERS[plan.contender](plan, database)
