"""The library with one of its mechanisms taken out: what the checker must catch.

Each function changes the classes of this process, before its cache is built.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha1
from typing import Any

from freshwell._sync.coordination.tags import Tags
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.stores import redis, scripts
from freshwell._sync.stores.base import Mark
from freshwell.engines.session import FOREVER_NS, Session
from freshwell.engines.table import Table
from freshwell.engines.versions import Tagged
from freshwell.ground.tags import Tagging

__all__ = ["CONTROLS", "sabotage"]


def sabotage(name: str) -> None:
    """Take out the mechanism of that name. Empty: none."""
    if name:
        CONTROLS[name]()


def no_fetch_token() -> None:
    """Fill L1 whatever was dropped since L2 was asked."""
    put = Table.put

    def put_anyway(self: Any, key: str, value: Any, **rest: Any) -> Any:
        return put(self, key, value, **{**rest, "since": None})

    _replace(Table, "put", put_anyway)


def no_session_bound() -> None:
    """Let L1 answer for as long as the feed has not been seen to be lost."""

    def proven(self: Session, probe_sent_ns: int) -> None:
        self.live_until_ns = FOREVER_NS

    _replace(Session, "proven", proven)


def no_cap_without_tracking() -> None:
    """Let L1 keep entries for their whole TTL where the server tells it of no change."""

    def cap_ns(self: Session, asked_ns: int) -> int:
        return FOREVER_NS

    _replace(Session, "cap_ns", cap_ns)


def no_fill_token() -> None:
    """Refuse a fill only where something else stands: not where its lease is gone."""
    _rewrite(
        "fill",
        "if not ours or",
        "if head ~= '' and (not ours or",
        "~= token then",
        "~= token) then",
    )


def delete_without_tombstone() -> None:
    """Delete what is invalidated. With a fill that asks only what stands there now."""
    no_fill_token()
    _rewrite(
        "invalidate",
        "redis.call('SET', key, ARGV[3], 'PX', ARGV[4])\n  local busy",
        "if string.sub(ARGV[3], 4, 4) ~= 'S' then return redis.call('DEL', key) end\n"
        "  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])\n  local busy",
    )


def stamps_after_load() -> None:
    """Capture the versions of tags when the value is there, and not before it is asked for."""
    before, after = Tags.before_load, Tags.after_load

    def before_load(self: Any, taggings: Iterable[Tagging], life_ns: int) -> Tagged:
        return Tagged({}, life_ns, self._table.moment(), self._now_ns(), 0)

    def after_load(
        self: Any,
        was: Tagged,
        values: Mapping[str, Any],
        taggings: Callable[[str], Tagging],
        *said: Any,
    ) -> Any:
        now = before(self, [taggings(name) for name in values], was.life_ns)
        return after(self, now, values, taggings, *said)

    _replace(Tags, "before_load", before_load)
    _replace(Tags, "after_load", after_load)


def counter_for_stamp() -> None:
    """Let a tag's version be a number that each invalidation raises, and that begins at 1."""
    _rewrite(
        "capture",
        "return {string.sub(ARGV[1], 9, 16), 4 * keep_ms, 0}",
        "redis.call('SETRANGE', key, 8, struct.pack('>I8', 1))\n"
        "return {struct.pack('>I8', 1), 4 * keep_ms, 0}",
    )
    _rewrite(
        "invalidate",
        "ARGV[4])\n  local busy",
        "ARGV[4])\n"
        "  if string.sub(ARGV[3], 4, 4) == 'S' then\n"
        "    local count = state == 'S' and struct.unpack('>I8', owner) or 0\n"
        "    redis.call('SETRANGE', key, 8, struct.pack('>I8', count + 1))\n"
        "  end\n  local busy",
    )


def no_write_intent() -> None:
    """Announce nothing before the source is changed."""

    def announce(
        self: Any, marks: Sequence[Mark], token: bytes, *, prolong: bool = False
    ) -> list[int]:
        return [0] * len(marks)

    _replace(redis.RedisStore, "announce", announce)


def no_drop_of_ones_own() -> None:
    """Leave it to the feed to drop from L1 what this very process has invalidated."""

    def drop(self: Any, keys: Sequence[str]) -> None:
        return None

    _replace(Writes, "drop", drop)


def no_saying_again() -> None:
    """Do not tell a new primary what was invalidated a moment ago."""

    def say_again(self: Any, within_ns: int) -> None:
        return None

    _replace(Writes, "say_again", say_again)


def _replace(owner: Any, name: str, by: Any) -> None:
    assert hasattr(owner, name), f"there is no {name} to take out"
    setattr(owner, name, by)


def _rewrite(script: str, *pairs: str) -> None:
    """Replace parts of a script: each is followed by what stands in its place."""
    was: Any = vars(redis)["script"]  # not the module it comes from: a control may rewrite twice
    text = was(script).text.decode()
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text, f"{script}.lua does not say {old!r} any more"
        text = text.replace(old, new)
    changed = text.encode()
    made = scripts.Script(changed, sha1(changed, usedforsecurity=False).hexdigest().encode())

    @functools.cache
    def rewritten(name: str) -> Any:
        return made if name == script else was(name)

    _replace(redis, "script", rewritten)


CONTROLS: dict[str, Callable[[], None]] = {
    control.__name__.replace("_", " "): control
    for control in (
        no_fetch_token,
        no_session_bound,
        no_cap_without_tracking,
        no_fill_token,
        delete_without_tombstone,
        stamps_after_load,
        counter_for_stamp,
        no_write_intent,
        no_drop_of_ones_own,
        no_saying_again,
    )
}
"""By name: what takes a mechanism out."""
