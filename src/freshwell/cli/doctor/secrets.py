"""What looks like a credential, told by its kind and never by its text. Pure.

Patterns have a known beginning or a name that says it. What is only random enough to be a secret
is a kind of its own, and has to be the whole of a value, or of a text in JSON.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

__all__ = ["CERTAIN", "RANDOM", "masked", "secret_fields", "secrets_in"]

RANDOM: Final = "random text"
_NAMES: Final = (
    rb"(?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|secret|secret_?key|api_?key|"
    rb"access_?token|auth_?token|refresh_?token|private_?key|client_?secret)"
)
_FIELD: Final = re.compile(_NAMES, re.IGNORECASE)
_PATTERNS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "private key": re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY"),
    "AWS access key": re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    "GitHub token": re.compile(rb"gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}"),
    "Slack token": re.compile(rb"xox[abeoprs]-[A-Za-z0-9-]{10}"),
    "Stripe key": re.compile(rb"[rs]k_(?:live|test)_[A-Za-z0-9]{16}"),
    "Google API key": re.compile(rb"AIza[A-Za-z0-9_-]{35}"),
    "JWT": re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    "URL with a password": re.compile(rb"[a-z][a-z0-9+]{1,20}://[^/\s:@\"]{0,80}:[^/\s:@\"]{3,}@"),
    "password field": re.compile(
        rb'"' + _NAMES + rb'"\s*:\s*"(?!\*+")[^"]{4,}"'  # JSON
        rb"|[\xa4-\xbf]" + _NAMES + rb"(?=[\xa4-\xbf\xd9\xda])",  # MessagePack
        re.IGNORECASE,
    ),
}
CERTAIN: Final = frozenset(
    {"private key", "AWS access key", "GitHub token", "Slack token", "Stripe key"}
)
"""Kinds that are hardly ever anything else."""
_TOKEN: Final = re.compile(rb'(?:\A|(?<="))[A-Za-z0-9+/_=-]{32,200}(?:(?=")|\Z)')
_SEGMENT: Final = re.compile(r"[A-Za-z0-9+/_=.-]{20,}")
_HEX: Final = re.compile(rb"[0-9a-fA-F-]+")
_MIN_BITS: Final = 4.2
"""Per character: English is below 4, hexadecimal at most 4, Base64 of 32 bytes about 5."""
_MASK: Final = "***"


def secrets_in(data: bytes) -> tuple[str, ...]:
    """Return the kinds of credentials that bytes look to hold."""
    found = [kind for kind, pattern in _PATTERNS.items() if pattern.search(data)]
    if not found and any(map(_is_random, _TOKEN.findall(data))):
        found.append(RANDOM)
    return tuple(found)


def secret_fields(names: list[bytes]) -> bool:
    """Tell whether the fields of a hash are named like credentials."""
    return any(_FIELD.fullmatch(name) for name in names)


def masked(text: str) -> str:
    """Return text of a key, with stars in the place of what looks like a credential."""
    data = text.encode("utf-8", "surrogateescape")
    for pattern in _PATTERNS.values():
        if pattern.search(data):
            return _MASK
    return _SEGMENT.sub(_star, text)


def _star(match: re.Match[str]) -> str:
    return _MASK if _is_random(match[0].encode()) else match[0]


def _is_random(token: bytes) -> bool:
    if _HEX.fullmatch(token):
        return False  # a digest or a UUID, as a rule
    kinds = (bytes.islower, bytes.isupper, bytes.isdigit)
    if not all(any(kind(bytes([c])) for c in token) for kind in kinds):
        return False
    counts = Counter(token).values()
    bits = -sum(n / len(token) * math.log2(n / len(token)) for n in counts)
    return bits >= min(_MIN_BITS, math.log2(len(token)) - 0.6)
