"""Every error that freshwell raises on purpose.

::

    FreshwellError
    ├── ConfigurationError (ValueError)   the cache, codec or decorator was built wrongly
    ├── KeyRejected (ValueError)          a key or an argument cannot name an entry
    ├── CodecError                        a value cannot be written, or bytes cannot be read
    ├── LoadError                         a load did not come about
    │   ├── NestedLoadError               a loader waits for its own entry
    │   ├── LoadShed                      no load slot came free in time
    │   └── LoadCancelled                 a loader was cancelled from inside
    ├── StoreUnavailable                  L2 did not answer, or answered with an error
    │   └── InvalidationError             L2 may still hold what was to be invalidated
    └── CacheClosed (RuntimeError)        the cache was used after its close

A loader's own exception is never wrapped: it reaches every caller as it was raised.
Messages and attributes carry digests of keys, never the keys themselves and never values.
"""

from __future__ import annotations

__all__ = [
    "CacheClosed",
    "CodecError",
    "ConfigurationError",
    "FreshwellError",
    "InvalidationError",
    "KeyRejected",
    "LoadCancelled",
    "LoadError",
    "LoadShed",
    "NestedLoadError",
    "StoreUnavailable",
]


class FreshwellError(Exception):
    """Everything that freshwell raises on purpose."""


class ConfigurationError(FreshwellError, ValueError):
    """The cache, a codec, a source or a decorator was built wrongly."""


class KeyRejected(FreshwellError, ValueError):
    """A key or an argument cannot name an entry."""


class CodecError(FreshwellError):
    """A value cannot be written, or bytes cannot be read, by the codec in force.

    Bytes from L2 never raise it to a caller: they are a counted miss.
    """


class LoadError(FreshwellError):
    """A load did not come about, for a reason that is not the loader's own exception."""


class NestedLoadError(LoadError):
    """A loader waits, directly or through other loads, for the entry it is loading."""


class LoadShed(LoadError):
    """No load slot came free within the time limit, and nothing stale could be served."""


class LoadCancelled(LoadError):
    """A loader was cancelled from inside while callers were still waiting for it."""


class StoreUnavailable(FreshwellError):
    """L2 did not answer in time, could not be reached, or answered with an error.

    Reads never raise it: they go on to the loader.
    """


class InvalidationError(StoreUnavailable):
    """L2 may still hold what was to be invalidated: the call must be repeated.

    ``key_digests`` names the keys (hexadecimal digests, in the order of the call).
    """

    def __init__(self, message: str, key_digests: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.key_digests = key_digests


class CacheClosed(FreshwellError, RuntimeError):
    """The cache was used after its close."""
