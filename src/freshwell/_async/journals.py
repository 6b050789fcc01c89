"""The journal that a user has named: checked when the strategy is built, opened on first use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from freshwell._async.core import Core
from freshwell._async.stores.journal import Journal
from freshwell._async.stores.redis_journal import open_redis_journal
from freshwell._kit.places import Place, place_of
from freshwell.codecs.base import BoundCodec, Codec, resolve_codec
from freshwell.codecs.plain import PlainJsonCodec
from freshwell.ground.journaling import BehindOptions, JournalKind, JournalSpec

__all__ = ["journal_opener", "payload_codec"]


def payload_codec(core: Core, codec: str | Codec | None, type: Any) -> BoundCodec:
    """Return how values are written to a journal: as to L2, unless said otherwise.

    Without L2 and with nothing installed, as plain JSON.
    """
    if codec is None and core.place is not None:
        return core.bound(type)
    if codec in (None, "json") and find_spec("msgspec") is None:
        return PlainJsonCodec().bind(type)
    return resolve_codec("json" if codec is None else codec).bind(type)


def journal_opener(
    core: Core, spec: JournalSpec, options: BehindOptions, *, namespace: str, name: str, owner: str
) -> Callable[[], Journal]:
    """Return what opens the journal in the caller's home. Connects on first use, not here.

    `owner` is the template of the keys that it is for: no other strategy may write to it.
    """
