"""A process that forks while its cache is open."""

from __future__ import annotations

import os
import warnings
from typing import Any

from freshwell import Cache
from tests.support.worker import Talk

__all__ = ["forking"]


def forking(talk: Talk, *, url: str) -> dict[str, Any]:
    """Use a cache, fork, and use it in both processes. Tells what the child found."""
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads
    cache = Cache(url)
    cache.set("a", "parent")
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        found = cache.get("a")
        cache.set("b", "child")
        os.write(writable, str(found).encode())
        os._exit(0)
    os.close(writable)
    _, status = os.waitpid(child, 0)
    in_child = os.read(readable, 100).decode()
    os.close(readable)
    in_parent = cache.get("b")
    cache.close()
    return {"status": status, "in_child": in_child, "in_parent": in_parent}
