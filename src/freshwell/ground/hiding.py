"""Names that tell nothing: what keys and tags are called where they are not to be read.

A name is an HMAC-SHA256 of 128 bits: who does not have the key can neither read it nor test a
guess. The same key in another cache or namespace has another name; schema versions share names,
since old and new code invalidate each other's entries.
"""

from __future__ import annotations

import hmac
from typing import Final

from freshwell.ground.keys import DIGEST_BYTES
from freshwell.ground.memo import Memo

__all__ = ["Hiding"]

_NAME_BYTES: Final = 16
_MAX_KNOWN: Final = 10_000
_DOMAIN: Final = b"freshwell names 1\0"


class Hiding:
    """Hides the names of one cache. Thread-safe. What was asked for lately costs a lookup."""

    __slots__ = ("_keyed", "_known")

    def __init__(self, key: bytes, namespace: str) -> None:
        self._keyed = hmac.new(key, _DOMAIN + namespace.encode() + b"\0", "sha256")
        self._known = Memo[tuple[str, str], str](_MAX_KNOWN)

    def key(self, namespace: str, key: str) -> str:
        """Return the name of a key in a namespace: 32 hexadecimal digits."""
        spelled = (namespace, key)
        known = self._known.get(spelled)
        if known is None:
            text = f"k{namespace}\0{key}".encode("utf-8", "surrogatepass")
            known = self._known.keep(spelled, self._made(text)[:_NAME_BYTES].hex())
        return known

    def tag(self, tag: bytes) -> bytes:
        """Return the digest of a tag."""
        return self._made(b"t" + tag)[:DIGEST_BYTES]

    def __repr__(self) -> str:
        return "<Hiding>"

    def _made(self, text: bytes) -> bytes:
        mac = self._keyed.copy()
        mac.update(text)
        return mac.digest()
