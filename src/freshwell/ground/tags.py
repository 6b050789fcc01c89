"""Tags: words by which entries are forgotten together.

A tag is text of at most 200 bytes without control characters. Where tags are given, an item
may also be a function of the loaded value that returns a tag or several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from freshwell.errors import ConfigurationError, KeyRejected
from freshwell.ground.keys import check_key

__all__ = [
    "MAX_TAGS",
    "UNTAGGED",
    "Computed",
    "Tagging",
    "added_tags",
    "check_tag",
    "split_tags",
]

MAX_TAGS: Final = 64
"""How many tags an entry may have, those of its namespace included."""

_MAX_TAG_BYTES: Final = 200

Computed = Callable[[Any], str | Iterable[str]]
"""From a loaded value to its tag, or tags."""


class Tagging(NamedTuple):
    """The tags of one entry: `known` before it is loaded, `computed` from its value."""

    known: tuple[str, ...] = ()
    """Inner names."""
    digests: tuple[bytes, ...] = ()
    """The digests of `known`."""
    computed: tuple[Computed, ...] = ()

    def of_value(self, value: Any, added: Iterable[str] = ()) -> list[str]:
        """Return the user's tags that follow from a value, checked, and those that were `added`.

        Functions are not asked about None. Raises `KeyRejected` for what is no tag, and for too
        many.
        """
        tags: dict[str, None] = dict.fromkeys(added)
        for function in self.computed if value is not None else ():
            said = function(value)
            for tag in (said,) if isinstance(said, str) else said:
                tags[check_tag(tag)] = None
        if len(tags) + len(self.known) > MAX_TAGS:
            raise KeyRejected(
                f"an entry has at most {MAX_TAGS} tags, and this one would have "
                f"{len(tags) + len(self.known)}"
            )
        return list(tags)


UNTAGGED: Final = Tagging()


def added_tags(value: Any) -> Iterable[str]:
    """Stand among ``tags=`` for those that the loader adds by ``loading().add_tags``.

    What they cost is what functions of the value cost: a load is not stored where any tag of the
    cache was invalidated while it ran. Where a value is stored without a load (`set`, writers) they
    are refused: nobody would add them.
    """
    return ()


def check_tag(tag: str) -> str:
    """Return `tag` if it can be one. Raises `KeyRejected`."""
    if not isinstance(tag, str):
        raise KeyRejected(f"a tag is text, not {type(tag).__name__}")
    try:
        return check_key(tag, _MAX_TAG_BYTES)
    except KeyRejected as error:
        reason = str(error).replace("max_key_bytes (", "a tag may be (")
        raise KeyRejected(f"a tag cannot be used: {reason}") from None


def split_tags(
    given: Iterable[Any], *, loaded: bool = True
) -> tuple[tuple[str, ...], tuple[Computed, ...]]:
    """Return what a list of tags is made of: texts, unchecked, and functions of the value.

    Raises `ConfigurationError` for what is no list, holds anything else, or too many; and for
    `added_tags` where values are not only `loaded`.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError('tags are given as a list, such as tags=["users"]')
    items: Sequence[Any] = list(given)
    if len(items) > MAX_TAGS:
        raise ConfigurationError(f"an entry has at most {MAX_TAGS} tags, not {len(items)}")
    texts = tuple(dict.fromkeys(item for item in items if isinstance(item, str)))
    functions = tuple(item for item in items if callable(item))
    if added_tags in functions and not loaded:
        raise ConfigurationError(
            "added_tags stands for what a loader adds, and values that are set or written have "
            "none: give the tags, or a function of the value"
        )
    others = [item for item in items if not isinstance(item, str) and not callable(item)]
    if others:
        raise ConfigurationError(
            f"a tag is given as {type(others[0]).__name__}: give text, or a function of the value"
        )
    return texts, functions
