"""How one cache's entries and tags are called, inside and in L2.

An entry has a *name* inside: its key, and in front of it the namespace where there is one. In L2
it is ``fw:e:shop:KEY``, in a namespace ``fw:e:shop/reports:KEY``, and ``shop@3`` stands for
``shop`` where the cache has a schema version.

A tag's version stands under a digest of the tag, ``fw:t:shop:DIGEST``, so that a reader finds it
from what an entry says, and tags of any length cost the same. Schema versions share tags: an
invalidation by old code reaches the entries of new code.

Besides the user's tags there are three kinds that the cache gives by itself: one for each
namespace, one for each key where there is a schema version, and the *pulse*, which changes
with every tag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters, digits
from typing import Final

from freshwell.ground.globs import glob_of
from freshwell.ground.hiding import Hiding
from freshwell.ground.keys import digest8, new_digest8
from freshwell.ground.memo import Memo

__all__ = [
    "PULSE",
    "Names",
    "is_users",
    "key_tag",
    "named",
    "namespace_tag",
    "shown",
    "split",
    "user_tag",
]

_MARK: Final = "\x1f"
"""Begins a name inside a namespace. No key has control characters."""

_BREAK: Final = "\n"

_MAX_KNOWN: Final = 10_000

_OF_VERSIONS: Final = (ascii_letters + digits + "._-").encode()
"""What schema versions are made of."""

PULSE: Final = ""
"""The tag that changes with every tag of its cache."""


def user_tag(tag: str) -> str:
    """Return what a tag is called inside."""
    return "#" + tag


def is_users(tag: str) -> bool:
    """Tell whether an inner tag is one that users have named, or changes with each of those."""
    return tag == PULSE or tag.startswith("#")


def namespace_tag(namespace: str) -> str:
    """Return the tag that all entries of a namespace have."""
    return "/" + namespace


def key_tag(name: str) -> str:
    """Return the tag by which the entries of one name in several schema versions are one."""
    return "=" + name


def named(namespace: str, key: str) -> str:
    """Return the inner name of a key: in a namespace, or in none where that is empty."""
    return f"{_MARK}{namespace}:{key}" if namespace else key


def split(name: str) -> tuple[str, str]:
    """Return the namespace and the key that an inner name is made of: the inverse of `named`."""
    if name[:1] != _MARK:
        return "", name
    namespace, _, key = name[1:].partition(":")
    return namespace, key


def shown(name: str) -> str:
    """Return an inner name as people read it: with its namespace in front, where it has one."""
    namespace, key = split(name)
    return f"{namespace}:{key}" if namespace else key


class Names:
    """The names of one cache. Thread-safe.

    - `prefixes`: what every L2 key of this cache begins with, entries and tags. None is the
      beginning of another.
    - `version`: the schema version. Empty, and not `versioned`: there is none.
    - `hiding`: names and tags are not to be read in L2. The names that are given here are hidden
      already (see `hidden`), and tags are hidden here.
    """

    __slots__ = (
        "_digests",
        "_inner",
        "_namespace",
        "_places",
        "_root",
        "_tags",
        "_version_keys",
        "hiding",
        "prefixes",
        "scan_root",
        "version",
        "versioned",
    )

    def __init__(self, namespace: str, version: str = "", hiding: Hiding | None = None) -> None:
        stem = f"fw:e:{namespace}@{version}" if version else f"fw:e:{namespace}"
        self._root = f"{stem}:".encode()
        self._inner = f"{stem}/".encode()
        self._tags = f"fw:t:{namespace}:".encode()
        self._namespace = namespace
        self._digests = Memo[str, bytes](_MAX_KNOWN)
        self._places = Memo[str, tuple[bytes, bytes]](_MAX_KNOWN)
        self._version_keys = Memo[bytes, tuple[bytes, bytes]](_MAX_KNOWN)
        self.prefixes: tuple[bytes, ...] = (self._root, self._inner, self._tags)
        self.version = version
        self.versioned = bool(version)
        self.hiding = hiding
        self.scan_root = f"fw:e:{namespace}@*".encode() if version else stem.encode()
        """Begins a pattern over the entries of all schema versions."""

    def of_version(self, version: str) -> Names:
        """Return the names of a cache that has another schema version, or none."""
        return self if version == self.version else Names(self._namespace, version)

    def entry(self, name: str) -> bytes:
        """Return the L2 key of an entry."""
        if name[:1] == _MARK:
            return self._inner + name[1:].encode()
        return self._root + name.encode()

    def entries(self, names: Sequence[str]) -> list[bytes]:
        """Return the L2 keys of many entries: made in one text, as names have no line breaks."""
        if not names:
            return []
        root = self._root.decode()
        text = f"{root}{f'{_BREAK}{root}'.join(names)}"
        return text.replace(root + _MARK, self._inner.decode()).encode().split(_BREAK.encode())

    def places(self, names: Sequence[str]) -> tuple[Sequence[bytes], tuple[bytes, ...]]:
        """Return the L2 keys of many entries, one at least, and the digests of those keys.

        Remembered, as the same ones are asked for again and again.
        """
        known = self._places
        keys: Sequence[bytes]
        try:
            keys, digests = zip(*map(known.__getitem__, names), strict=True)
        except KeyError:
            keys = self.entries(names)
            digests = tuple(map(digest8, keys))
            known.keep_many(names, zip(keys, digests, strict=True))
        return keys, digests

    def name_of(self, key: bytes) -> str | None:
        """Return the entry that an L2 key is of. None: of none of this cache."""
        if key.startswith(self._root):
            return key[len(self._root) :].decode("utf-8", "replace")
        if key.startswith(self._inner):
            return _MARK + key[len(self._inner) :].decode("utf-8", "replace")
        return None

    def names_of(self, keys: Sequence[bytes]) -> list[str]:
        """Return the entries that L2 keys are of, without those of which `name_of` says None."""
        root, inner = self._root, self._inner
        cut = _BREAK.encode()
        text = cut + cut.join(keys)
        if text.count(cut + root) == text.count(cut) == len(keys):
            # Mostly all of them are of no namespace: cut out of one text, which is much quicker.
            return text.decode("utf-8", "replace").split(_BREAK + root.decode())[1:]
        begins, inside = len(root), len(inner)
        return [
            key[begins:].decode("utf-8", "replace")
            if key.startswith(root)
            else _MARK + key[inside:].decode("utf-8", "replace")
            for key in keys
            if key.startswith((root, inner))
        ]

    def digest(self, tag: str) -> bytes:
        """Return the digest that entries carry of a tag."""
        known = self._digests.get(tag)
        if known is None:
            whole = self._tags + tag.encode("utf-8", "surrogatepass")
            made = new_digest8(whole) if self.hiding is None else self.hiding.tag(whole)
            known = self._digests.keep(tag, made)
        return known

    def hidden(self, namespace: str, key: str) -> str:
        """Return what stands for a key in its inner name: itself, or what does not tell it."""
        return key if self.hiding is None else self.hiding.key(namespace, key)

    def told(self, tag: str) -> str:
        """Return what a tag's version says of its name, for people to read."""
        return tag if self.hiding is None else ""

    def version_key(self, digest: bytes) -> bytes:
        """Return the L2 key of a tag's version."""
        return self._tags + digest.hex().encode()

    def version_place(self, digest: bytes) -> tuple[bytes, bytes]:
        """Return the L2 key of a tag's version, and the digest of that key."""
        known = self._version_keys.get(digest)
        if known is None:
            key = self.version_key(digest)
            known = self._version_keys.keep(digest, (key, new_digest8(key)))
        return known

    def digest_of(self, key: bytes) -> bytes | None:
        """Return the tag whose version an L2 key is. None: it is none."""
        if not key.startswith(self._tags):
            return None
        try:
            return bytes.fromhex(key[len(self._tags) :].decode("ascii"))
        except ValueError:
            return None

    def patterns(self, namespace: str, glob: str) -> Sequence[bytes]:
        """Return the patterns of L2 keys that a glob over keys stands for.

        They may match more: `matcher` tells.
        """
        return [self.scan_root + _place(namespace) + glob.encode()]

    def matcher(self, namespace: str, glob: str) -> Callable[[bytes], bool]:
        """Return what tells whether an L2 key that one of the `patterns` matches is meant.

        Where there are schema versions, the pattern's part for them matches any text, which may
        hold a namespace or the beginning of the key.
        """
        if not self.versioned:
            return lambda key: True
        begin, place = len(self.scan_root) - len(b"*"), _place(namespace)
        # Redis looks at bytes.
        matches = glob_of(glob.encode().decode("latin-1")).fullmatch

        def is_meant(key: bytes) -> bool:
            rest = key[begin:].lstrip(_OF_VERSIONS)
            wanted = rest.startswith(place)
            return wanted and matches(rest[len(place) :].decode("latin-1")) is not None

        return is_meant


def _place(namespace: str) -> bytes:
    return f"/{namespace}:".encode() if namespace else b":"
