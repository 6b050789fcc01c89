"""Cache slow reads, and keep them right."""

from __future__ import annotations

from freshwell._async.cache import AsyncCache
from freshwell._async.decorators import CachedFunction as AsyncCachedFunction
from freshwell._async.namespace import AsyncNamespace
from freshwell._async.strategies.delivering import BatchSource as AsyncBatchSource
from freshwell._async.strategies.read_through import ReadThrough as AsyncReadThrough
from freshwell._async.strategies.read_through import Source as AsyncSource
from freshwell._async.strategies.write_behind import WriteBehind as AsyncWriteBehind
from freshwell._async.strategies.write_through import WritableSource as AsyncWritableSource
from freshwell._async.strategies.write_through import WriteThrough as AsyncWriteThrough
from freshwell._sync.cache import Cache
from freshwell._sync.decorators import CachedFunction
from freshwell._sync.namespace import Namespace
from freshwell._sync.strategies.delivering import BatchSource
from freshwell._sync.strategies.read_through import ReadThrough, Source
from freshwell._sync.strategies.write_behind import WriteBehind
from freshwell._sync.strategies.write_through import WritableSource, WriteThrough
from freshwell.codecs.compressed import Compressed
from freshwell.codecs.keyring import Keyring
from freshwell.codecs.sealed import Sealed
from freshwell.codecs.sensitive import Sensitive
from freshwell.codecs.signed import Signed
from freshwell.engines.bus import Subscription
from freshwell.engines.counters import Stats
from freshwell.engines.hot import Hot
from freshwell.engines.loading import LoadContext, loading
from freshwell.engines.tracing import Served, Trace
from freshwell.errors import (
    BacklogFull,
    BacklogLeft,
    CacheClosed,
    CodecError,
    ConfigurationError,
    FreshwellError,
    InvalidationError,
    JournalError,
    JournalUnavailable,
    JournalUnfit,
    KeyRejected,
    LetterSuperseded,
    LoadCancelled,
    LoadError,
    LoadShed,
    LoadTimeout,
    NestedLoadError,
    StoreUnavailable,
)
from freshwell.ground.batches import Ack, Batch, Outcome, Write
from freshwell.ground.events import CoherenceChanged, Degraded, Event, Invalidated, LoadEnded
from freshwell.ground.records import Backlog
from freshwell.ground.saved import Saved
from freshwell.ground.tags import added_tags
from freshwell.typing import Duration, LoadOptions, Lookup

__all__ = [
    "Ack",
    "AsyncBatchSource",
    "AsyncCache",
    "AsyncCachedFunction",
    "AsyncNamespace",
    "AsyncReadThrough",
    "AsyncSource",
    "AsyncWritableSource",
    "AsyncWriteBehind",
    "AsyncWriteThrough",
    "Backlog",
    "BacklogFull",
    "BacklogLeft",
    "Batch",
    "BatchSource",
    "Cache",
    "CacheClosed",
    "CachedFunction",
    "CodecError",
    "CoherenceChanged",
    "Compressed",
    "ConfigurationError",
    "Degraded",
    "Duration",
    "Event",
    "FreshwellError",
    "Hot",
    "Invalidated",
    "InvalidationError",
    "JournalError",
    "JournalUnavailable",
    "JournalUnfit",
    "KeyRejected",
    "Keyring",
    "LetterSuperseded",
    "LoadCancelled",
    "LoadContext",
    "LoadEnded",
    "LoadError",
    "LoadOptions",
    "LoadShed",
    "LoadTimeout",
    "Lookup",
    "Namespace",
    "NestedLoadError",
    "Outcome",
    "ReadThrough",
    "Saved",
    "Sealed",
    "Sensitive",
    "Served",
    "Signed",
    "Source",
    "Stats",
    "StoreUnavailable",
    "Subscription",
    "Trace",
    "WritableSource",
    "Write",
    "WriteBehind",
    "WriteThrough",
    "added_tags",
    "loading",
]
