"""What looks like a credential, told by its kind and never by its text. Pure.

Patterns have a known beginning or a name that says it. What is only random enough to be a secret
is a kind of its own, and has to be the whole of a value, or of a text in JSON.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

__all__ = ["CERTAIN", "FIELD_KIND", "RANDOM", "has_secret_field", "masked", "secrets_in"]

RANDOM: Final = "random text"
_NAMES: Final = (
    rb"(?:[a-z0-9]{1,20}[_-]){0,4}(?:password|passwd|passphrase|secret|secret_?key|api_?key|"
    rb"access_?token|auth_?token|refresh_?token|private_?key|client_?secret)"
)
_FIELD: Final = re.compile(_NAMES, re.IGNORECASE)
FIELD_KIND: Final = "password field"
_MARKS: Final = (b"pass", b"secret", b"key", b"token")


class _Look(NamedTuple):
    """What a kind looks like: `marks` are texts one of which it has, which are found faster."""

    marks: tuple[bytes, ...]
    pattern: re.Pattern[bytes]


def _look(pattern: bytes, *marks: bytes) -> _Look:
    return _Look(marks, re.compile(pattern))


_LOOKS: Final[Mapping[str, _Look]] = {
    "private key": _look(rb"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY", b"PRIVATE KEY"),
    "AWS access key": _look(
        rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", b"AKIA", b"ASIA"
    ),
    "GitHub token": _look(
        rb"gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}",
        *(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
    ),
    "Slack token": _look(rb"xox[abeoprs]-[A-Za-z0-9-]{10}", b"xox"),
    "Stripe key": _look(rb"[rs]k_(?:live|test)_[A-Za-z0-9]{16}", b"k_live_", b"k_test_"),
    "Google API key": _look(rb"AIza[A-Za-z0-9_-]{35}", b"AIza"),
    "JWT": _look(rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", b"eyJ"),
    "URL with a password": _look(rb"://[^/\s:@\"]{0,80}:[^/\s:@\"]{3,80}@", b"://"),
}
_DIGESTS: Final = rb"\$(?:2[abxy]|argon2|pbkdf2|scrypt|[156])|pbkdf2_|argon2|scrypt|bcrypt"
"""How digests of passwords begin, which may be kept."""
_NO_SECRET: Final = re.compile(_DIGESTS + rb"|\*|.{0,3}\Z", re.DOTALL)
_FIELDS: Final = re.compile(
    rb'"' + _NAMES + rb'"\s*:\s*"(?!' + _DIGESTS + rb')(?!\*+")[^"]{4,}"'  # JSON
    rb"|[\xa4-\xbf]" + _NAMES + rb"(?=[\xa4-\xbf\xd9\xda])",  # MessagePack
    re.IGNORECASE,
)
CERTAIN: Final = frozenset(
    {"private key", "AWS access key", "GitHub token", "Slack token", "Stripe key"}
)
"""Kinds that are hardly ever anything else."""
_TOKEN: Final = re.compile(rb"[A-Za-z0-9+/_=-]{32,200}")
_QUOTED: Final = re.compile(rb'"([A-Za-z0-9+/_=-]{32,200})"')
_SEGMENT: Final = re.compile(r"[A-Za-z0-9+/_=.-]{20,}")
_HEX: Final = re.compile(rb"[0-9a-fA-F-]+")
_MIN_BITS: Final = 4.2
"""Per character: English is below 4, hexadecimal at most 4, Base64 of 32 bytes about 5."""
_MASK: Final = "***"


def secrets_in(data: bytes) -> tuple[str, ...]:
    """Return the kinds of credentials that bytes look to hold."""
    found = _known_in(data)
    if not found:
        tokens = [data] if _TOKEN.fullmatch(data) else _QUOTED.findall(data)
        found += [RANDOM] if any(map(_is_random, tokens)) else []
    return tuple(found)


def _known_in(data: bytes) -> list[str]:
    found = [
        kind
        for kind, look in _LOOKS.items()
        if any(mark in data for mark in look.marks) and look.pattern.search(data)
    ]
    lower = data.lower()
    if any(mark in lower for mark in _MARKS) and _FIELDS.search(data):
        found.append(FIELD_KIND)
    return found


def has_secret_field(names: Sequence[bytes], values: Sequence[bytes] | None) -> bool:
    """Tell whether a hash has fields that are named like credentials.

    Where `values` are known, not those that hold nothing, stars, or the digest of a password.
    """
    pairs = zip(names, names if values is None else values, strict=True)
    return any(
        _FIELD.fullmatch(name) and (values is None or not _NO_SECRET.match(value))
        for name, value in pairs
    )


def masked(text: str) -> str:
    """Return text of a key, with stars in the place of what looks like a credential."""
    data = text.encode("utf-8", "surrogateescape")
    if _known_in(data):
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
