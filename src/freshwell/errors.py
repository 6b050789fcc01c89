"""Every error that freshwell raises on purpose.

::

    FreshwellError
    ├── ConfigurationError (ValueError)   the cache, codec or decorator was built wrongly
    ├── KeyRejected (ValueError)          a key or an argument cannot name an entry
    ├── CodecError                        a value cannot be written, or bytes cannot be read
    ├── LoadError                         a load did not come about
    │   ├── NestedLoadError               a loader waits for its own entry
    │   ├── LoadShed                      no load slot came free in time
    │   ├── LoadTimeout (TimeoutError)    a load took longer than it may
    │   └── LoadCancelled                 a loader was cancelled from inside, or by the close
    ├── StoreUnavailable                  L2 did not answer, or answered with an error
    │   └── InvalidationError             L2 may still hold what was to be invalidated
    ├── JournalError                      a write was not accepted, or not yet flushed
    │   ├── JournalUnavailable            the journal did not answer, or could not write
    │   ├── JournalUnfit                  its configuration would lose accepted writes
    │   ├── BacklogFull                   it holds as much as it may
    │   ├── BacklogLeft                   not all was flushed in time
    │   └── LetterSuperseded              a dead letter's key has been written since
    └── CacheClosed (RuntimeError)        the cache was used after its close

A loader's own exception is never wrapped: it reaches every caller as it was raised.
Messages and attributes carry digests of keys, never the keys themselves and never values.
"""

from __future__ import annotations

__all__ = [
    "BacklogFull",
    "BacklogLeft",
    "CacheClosed",
    "CodecError",
    "ConfigurationError",
    "FreshwellError",
    "InvalidationError",
    "JournalError",
    "JournalUnavailable",
    "JournalUnfit",
    "KeyRejected",
    "LetterSuperseded",
    "LoadCancelled",
    "LoadError",
    "LoadShed",
    "LoadTimeout",
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

    Bytes from L2 never raise it to a caller: they are a counted miss. ``reason`` says in a few
    words what is wrong with bytes: ``"codec"`` (another codec, type or version of the code),
    ``"unguarded"`` (neither sealed nor signed in the way that is configured), ``"unknown key"``,
    ``"not authentic"`` (changed, or another entry's), ``"truncated"``, ``"too large"``.
    """

    def __init__(self, message: str, reason: str = "codec") -> None:
        super().__init__(message)
        self.reason = reason


class LoadError(FreshwellError):
    """A load did not come about, for a reason that is not the loader's own exception."""


class NestedLoadError(LoadError):
    """A loader waits, directly or through other loads, for the entry it is loading."""


class LoadShed(LoadError):
    """No load slot came free within the time limit, and nothing stale could be served."""


class LoadTimeout(LoadError, TimeoutError):
    """A load took longer than `load_timeout`, and nothing stale could be served."""


class LoadCancelled(LoadError):
    """A loader was cancelled, from inside or by the close of its cache, while callers waited."""


class StoreUnavailable(FreshwellError):
    """L2 did not answer in time, could not be reached, or answered with an error.

    Reads never raise it: they go on to the loader. ``was_asked`` is False where L2 was left
    alone because it had failed before: nothing was sent, and no time was lost.
    """

    was_asked = True


class InvalidationError(StoreUnavailable):
    """L2 may still hold what was to be invalidated: the call must be repeated.

    ``key_digests`` names the keys (hexadecimal digests, in the order of the call).
    """

    def __init__(self, message: str, key_digests: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.key_digests = key_digests


class JournalError(FreshwellError):
    """A write was not accepted by its journal, or what was accepted is not flushed yet."""


class JournalUnavailable(JournalError):
    """The journal did not answer in time, could not be reached, or could not write.

    The write is not acknowledged. As with any database whose answer is lost, it may have been
    accepted all the same; ``put`` it again.
    """


class JournalUnfit(JournalError):
    """The journal is configured so that it would lose accepted writes. Nothing was accepted."""


class BacklogFull(JournalError):
    """The journal holds as many records or bytes as it may, and no room came in time.

    ``accepted`` says how many of the writes of the call have been accepted all the same.
    """

    def __init__(self, message: str, accepted: int = 0) -> None:
        super().__init__(message)
        self.accepted = accepted


class BacklogLeft(JournalError):
    """Not everything was flushed in time. ``records`` and ``dead`` tell what is left.

    Nothing is lost: flushing goes on, in this process or the next, but for a journal in memory.
    """

    def __init__(self, message: str, records: int = 0, dead: int = 0) -> None:
        super().__init__(message)
        self.records = records
        self.dead = dead


class LetterSuperseded(JournalError):
    """A dead letter was to be tried again, whose key has been written since."""


class CacheClosed(FreshwellError, RuntimeError):
    """The cache was used after its close."""
