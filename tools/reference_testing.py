"""Return docs/reference/testing.md, from the names for tests and their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import freshwell.journals
import freshwell.testing
import freshwell.testing.conformance as suites
import freshwell.testing.servers
import pytest_freshwell

__all__ = ["BUILT", "Writer", "page"]

BUILT: Final = frozenset(
    {"FakeClock", "Chaos", "FaultProxy", "CountingLoader", "AsyncCountingLoader"}
)
"""Classes that tests build themselves: how, is shown."""


class Writer(NamedTuple):
    """How the pages of the reference write things."""

    class_of: Callable[..., str]
    member: Callable[[str, str, Any], str]
    signature: Callable[[Any], str]
    code: Callable[[str], str]
    prose: Callable[[str], str]


_HEAD: Final = """# For tests

Written by `tools/reference.py` from signatures and docstrings: change those, not this page.
How to use it is in [Test code that caches](../how-to/testing-your-code.md).

What stands first is imported from `freshwell.testing`.
"""
_ORDER: Final = (
    *("FakeClock", "AsyncCountingLoader", "CountingLoader", "watched", "Seen", "Incident"),
    *("Chaos", "Fault", "InjectedFault", "FaultProxy"),
)
_WORDS: Final = ("UP", "DOWN")
_SUITES: Final = {
    "AsyncSourceConformance": "SourceConformance",
    "AsyncWritableSourceConformance": "WritableSourceConformance",
    "AsyncBatchSourceConformance": "BatchSourceConformance",
    "AsyncJournalConformance": "JournalConformance",
    "AsyncDeskConformance": "DeskConformance",
    "AsyncStoreConformance": "StoreConformance",
}


def page(write: Writer) -> str:
    """Return the page as it should be, in the form that the page of the public names has."""
    parts = [_HEAD]
    parts += [_shown(write, name, getattr(freshwell.testing, name)) for name in _ORDER]
    parts.append(
        "`UP` (from the client to the server) and `DOWN` name the directions of a connection.\n"
    )
    parts += ["## Fixtures for pytest\n", write.prose(inspect.getdoc(pytest_freshwell) or "")]
    for name in pytest_freshwell.__all__:
        fixture = getattr(pytest_freshwell, name)
        parts += [f"### {name}\n", write.prose(inspect.getdoc(fixture.__wrapped__) or "")]
    server = freshwell.testing.servers.RedisServer
    parts.append(write.class_of(server, "RedisServer", "From `freshwell.testing.servers`."))
    parts += ["## Suites\n", write.prose(inspect.getdoc(suites) or "")]
    parts += [_suite(write, getattr(suites, name), twin) for name, twin in _SUITES.items()]
    parts += ["## A journal of one's own\n", write.prose(inspect.getdoc(freshwell.journals) or "")]
    journal = freshwell.journals.AsyncJournal
    parts.append(write.class_of(journal, "AsyncJournal", "Sync: `Journal`."))
    for name in ("Durability", "Draft", "Record", "Settled", "Kind", "ShardLost", "sequence_of"):
        parts.append(_shown(write, name, getattr(freshwell.journals, name)))
    return "\n".join(parts)


def _shown(write: Writer, name: str, value: Any) -> str:
    if inspect.isclass(value):
        return write.class_of(value, name)
    function = getattr(value, "__wrapped__", value)
    code = write.code(f"def {name}{write.signature(function)}")
    return "\n".join([f"## {name}\n", code, write.prose(inspect.getdoc(function) or "")])


def _suite(write: Writer, suite: type, twin: str) -> str:
    """Return a suite: what it wants, and what it asks, a line for each of its tests."""
    tests = [name for name in dir(suite) if name.startswith("test_")]
    ordered = sorted(tests, key=lambda name: getattr(suite, name).__code__.co_firstlineno)
    asked = [f"- {name.removeprefix('test_').replace('_', ' ')}" for name in ordered]
    return "\n".join(
        [
            f"### {suite.__name__}\n",
            f"Sync: `{twin}`.\n",
            write.prose(inspect.getdoc(suite) or ""),
            "What it asks:\n",
            "\n".join(asked) + "\n",
        ]
    )
