"""The glob patterns of Redis, read as Redis reads them, for keys that are not in Redis.

``*`` any text, ``?`` one character, ``[abc]``, ``[a-z]``, ``[^abc]``, and a backslash before
a character that stands for itself.
"""

from __future__ import annotations

import re

from freshwell.errors import KeyRejected

__all__ = ["check_glob", "glob_of", "is_broad", "is_everything"]

_MAX_GLOB_BYTES = 1_024


def check_glob(glob: str) -> str:
    """Return `glob` if it can be a pattern over keys. Raises `KeyRejected`."""
    if not isinstance(glob, str) or not glob:
        raise KeyRejected('a pattern is text, such as "report:*:2026"')
    if len(glob.encode("utf-8", "surrogatepass")) > _MAX_GLOB_BYTES:
        raise KeyRejected(f"a pattern has at most {_MAX_GLOB_BYTES} bytes")
    try:
        glob.encode()
    except UnicodeEncodeError:
        raise KeyRejected("a pattern has lone surrogates, as no key has") from None
    return glob


def is_everything(glob: str) -> bool:
    """Tell whether a pattern matches every key."""
    return not glob.strip("*")


def is_broad(glob: str) -> bool:
    """Tell whether a pattern asks for no letter or digit, so that it may match nearly every key."""
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "[":
            _, at = _set_of(glob, at)
            continue
        if char == "\\" and at < len(glob):
            char = glob[at]
            at += 1
        if char.isalnum():
            return False
    return True


def glob_of(glob: str) -> re.Pattern[str]:
    """Return an expression that matches (as a whole) what the pattern matches.

    Its time grows with the pattern times the text, whatever they are: what stands between two
    stars is taken where it comes first, and never tried anywhere else.
    """
    first, *others = _between_stars(glob)
    if not others:
        return re.compile(first, re.DOTALL)
    *inner, last = others
    sought = "".join(f"(?>.*?{part})" for part in inner if part)
    return re.compile(f"{first}{sought}.*{last}", re.DOTALL)


def _between_stars(glob: str) -> list[str]:
    """Return an expression for each part of a pattern between its stars."""
    parts = [""]
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            parts.append("")
        elif char == "?":
            parts[-1] += "."
        elif char == "\\" and at < len(glob):
            parts[-1] += re.escape(glob[at])
            at += 1
        elif char == "[":
            text, at = _set_of(glob, at)
            parts[-1] += text
        else:
            parts[-1] += re.escape(char)
    return parts


def _set_of(glob: str, at: int) -> tuple[str, int]:
    """Return an expression for the set that begins at `at`, and where it ends.

    A set that is not closed ends with the pattern, as in Redis.
    """
    negated = glob[at : at + 1] == "^"
    at += negated
    members: list[str] = []
    while at < len(glob) and glob[at] != "]":
        if glob[at] == "\\" and at + 1 < len(glob):
            members.append(re.escape(glob[at + 1]))
            at += 2
        elif glob[at + 1 : at + 2] == "-" and at + 2 < len(glob):
            low, high = sorted((glob[at], glob[at + 2]))
            members.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            members.append(re.escape(glob[at]))
            at += 1
    if not members:
        return ("." if negated else r"(?!)"), at + 1
    return f"[{'^' if negated else ''}{''.join(members)}]", at + 1
