"""What keys that belong together are called in a report. Pure."""

from __future__ import annotations

import re
from typing import Final

from freshwell.cli.doctor.secrets import masked

__all__ = ["NO_PREFIX", "prefix_of", "shown_key"]

NO_PREFIX: Final = "(no prefix)"
_OURS: Final = ("fw:e:", "fw:t:")
_JOURNAL: Final = "{fw:j:"
_OURS_PARTS: Final = 3
_MAX_SHOWN: Final = 60
_ID: Final = re.compile(r"(?:\D*\d){4}|\d+$|.*@")
"""A number, a digest, an address: what a report has no need to name."""


def prefix_of(key: bytes, separator: str) -> str:
    """Return what a key begins with, up to the separator: an id there is a star.

    Keys of freshwell's go with those of their cache.
    """
    text = key.decode("utf-8", "backslashreplace")
    if text.startswith(_JOURNAL):
        return f"{_JOURNAL}{text.removeprefix(_JOURNAL).partition(':')[0]}:"
    if text.startswith(_OURS):
        return _cut(":".join(text.split(":", _OURS_PARTS)[:_OURS_PARTS])) + ":"
    head, found, _ = text.partition(separator)
    if not found or not head:
        return NO_PREFIX
    return ("*" if _ID.match(head) else _cut(masked(head))) + separator


def shown_key(key: bytes) -> str:
    """Return a key as a report names it: what looks like a credential is a few stars."""
    return _cut(masked(key.decode("utf-8", "backslashreplace")))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
