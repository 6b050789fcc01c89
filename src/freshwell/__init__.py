"""Cache slow reads, and keep them right."""

from __future__ import annotations

from freshwell._async.cache import AsyncCache
from freshwell._async.decorators import CachedFunction as AsyncCachedFunction
from freshwell._async.namespace import AsyncNamespace
from freshwell._async.strategies.read_through import ReadThrough as AsyncReadThrough
from freshwell._sync.cache import Cache
from freshwell._sync.decorators import CachedFunction
from freshwell._sync.namespace import Namespace
from freshwell._sync.strategies.read_through import ReadThrough
from freshwell.engines.counters import Stats
from freshwell.errors import (
    CacheClosed,
    CodecError,
    ConfigurationError,
    FreshwellError,
    InvalidationError,
    KeyRejected,
    LoadCancelled,
    LoadError,
    LoadShed,
    NestedLoadError,
    StoreUnavailable,
)
from freshwell.typing import Duration, Lookup

__all__ = [
    "AsyncCache",
    "AsyncCachedFunction",
    "AsyncNamespace",
    "AsyncReadThrough",
    "Cache",
    "CacheClosed",
    "CachedFunction",
    "CodecError",
    "ConfigurationError",
    "Duration",
    "FreshwellError",
    "InvalidationError",
    "KeyRejected",
    "LoadCancelled",
    "LoadError",
    "LoadShed",
    "Lookup",
    "Namespace",
    "NestedLoadError",
    "ReadThrough",
    "Stats",
    "StoreUnavailable",
]
