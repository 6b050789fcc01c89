"""The tags of entries: those that a caller gives, and those that entries have by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from freshwell.errors import KeyRejected
from freshwell.ground.names import Names, key_tag, user_tag
from freshwell.ground.tags import MAX_TAGS, UNTAGGED, Computed, Tagging, check_tag

__all__ = ["Taggings"]

_MAX_KNOWN = 2_000
"""How many lists of tags are remembered as checked."""


class Taggings:
    """The tags of the entries of one namespace, all of which have the `implied`. Thread-safe.

    `is_bare`: its entries have no tags but those that are given. `are_alike`: with the same tags
    given, all of them have the same.
    """

    def __init__(self, names: Names, implied: tuple[str, ...]) -> None:
        self._names = names
        self._implied = implied
        self._known: dict[tuple[str, ...], Tagging] = {}
        self._words: dict[str, str] = {}
        self.is_bare = not implied and not names.versioned
        self.are_alike = not names.versioned

    def of(
        self, name: str, texts: Sequence[str] = (), functions: tuple[Computed, ...] = ()
    ) -> Tagging:
        """Return the tags of an entry by its inner name. Raises `KeyRejected`."""
        plain, spelled = self.are_alike and not functions, tuple(texts)
        if plain and (tagging := self._known.get(spelled)) is not None:
            return tagging
        given = [self._words.get(text) or self._word(text) for text in texts]
        own = (key_tag(name),) if self._names.versioned else ()
        known = (*self._implied, *own, *dict.fromkeys(given))
        if len(known) > MAX_TAGS:
            raise KeyRejected(f"an entry has at most {MAX_TAGS} tags, and not {len(known)}")
        if not known and not functions:
            return UNTAGGED
        tagging = Tagging(known, tuple(map(self._names.digest, known)), functions)
        if plain:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[spelled] = tagging
        return tagging

    def _word(self, text: str) -> str:
        """Return the inner name of a tag of the user's. Raises `KeyRejected`."""
        word = user_tag(check_tag(text))
        if len(self._words) >= _MAX_KNOWN:
            self._words.clear()
        self._words[text] = word
        return word
