"""A namespace of a cache: keys of its own, which can be forgotten all at once."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from freshwell._sync.core import Core
from freshwell._sync.scope import Scope
from freshwell.ground.keys import check_namespace

__all__ = ["Namespace"]


class Namespace(Scope):
    """Entries with keys of their own, that `clear` makes absent all at once.

    Has the verbs of the cache that it belongs to, shares its connections, its L1 and its tags, and
    is closed with it. Costs nothing to make: ``cache.namespace("reports")`` twice names the
    same entries. Safe for as many tasks (in the twin: threads) as the cache.
    """

    def __init__(self, core: Core, path: str) -> None:
        super().__init__(core, path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._namespace!r} of {self._core.shown}>"

    def namespace(self, name: str) -> Namespace:
        """Return a namespace in this one, which this one's `clear` clears too."""
        return Namespace(self._core, f"{self._namespace}/{check_namespace(name)}")

    def clear(self) -> None:
        """Make all entries of this namespace absent, in every tier and process.

        One write, whatever their number, and one round trip; loads under way are void. The ack
        means what it means of `invalidate`, and so does `InvalidationError`.
        """
        own = self._implied[-1:]
        self._core.engine().writes.invalidate_tags(own, pulse=False)
