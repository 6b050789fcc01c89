"""The tags of entries: those that a caller gives, and those that entries have by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from freshwell.errors import KeyRejected
from freshwell.ground.memo import Memo
from freshwell.ground.names import Names, key_tag, user_tag
from freshwell.ground.tags import MAX_TAGS, UNTAGGED, Computed, Tagging, check_tag
from freshwell.ground.templates import TagPlan

__all__ = ["Taggings", "TagsOfCalls"]

_MAX_KNOWN = 2_000
"""How many lists of tags are remembered as checked."""


TagsOfCalls = Callable[[str, Sequence[Any]], Tagging]
"""Gives an entry of this inner name, whose call has these values, its tags."""


class Taggings:
    """The tags of the entries of one namespace, all of which have the `implied`. Thread-safe.

    `is_bare`: its entries have no tags but those that are given. `are_alike`: with the same tags
    given, all of them have the same.
    """

    def __init__(self, names: Names, implied: tuple[str, ...]) -> None:
        self._names = names
        self._implied = implied
        self._known = Memo[tuple[str, ...], Tagging](_MAX_KNOWN)
        self._words = Memo[str, str](_MAX_KNOWN)
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
        return self._known.keep(spelled, tagging) if plain else tagging

    def planned(self, plan: TagPlan) -> TagsOfCalls:
        """Return what gives calls their tags. What is the same for all of them is made once.

        Tags that follow from the call are mostly another call's no more: they are not remembered.
        """
        parts, functions = plan.parts, plan.functions
        if not parts or not self.are_alike:
            return lambda name, values: self.of(name, plan.render(values), functions)
        begin, digest = len(self._implied), self._names.digest
        own = {at for at, _, _ in parts}

        @cache  # at the first call, which is told where one of them is no tag
        def fixed() -> tuple[tuple[str, ...], tuple[bytes, ...]]:
            words = ["" if at in own else self._word(t) for at, t in enumerate(plan.texts)]
            usual = (*self._implied, *words)
            return usual, tuple([digest(word) for word in usual])

        def of(name: str, values: Sequence[Any]) -> Tagging:
            usual, its = fixed()
            known, digests = [*usual], [*its]
            for at, render, pick in parts:
                known[begin + at] = word = user_tag(check_tag(render(pick(values))))
                digests[begin + at] = digest(word)
            if len({*known}) < len(known) or len(known) > MAX_TAGS:
                return self.of(name, plan.render(values), functions)
            return Tagging(tuple(known), tuple(digests), functions)

        return of

    def _word(self, text: str) -> str:
        """Return the inner name of a tag of the user's. Raises `KeyRejected`."""
        return self._words.keep(text, user_tag(check_tag(text)))
