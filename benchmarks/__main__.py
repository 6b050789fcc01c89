"""Run the benchmarks: ``python -m benchmarks [hits] [l2] [misses] [stampede] [invalidation]``.

Starts a Redis server of its own on a free port. All of it takes less than three minutes. There is
``behind`` besides, which takes a minute more, and runs only when it is named.
"""

from __future__ import annotations

import platform
import sys
import time
from datetime import UTC, datetime

from benchmarks import behind, hits, invalidation, misses, shared_hits, stampede
from tests.support.servers import Server

_ALL = {
    "hits": hits.run,
    "l2": shared_hits.run,
    "misses": misses.run,
    "stampede": stampede.run,
    "invalidation": invalidation.run,
}
_NAMED_ONLY = {"behind": behind.run}


def main(names: list[str]) -> int:
    """Run the benchmarks of these names (none: all)."""
    known = _ALL | _NAMED_ONLY
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}: use {', '.join(known)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with Server() as server:
        version = ".".join(map(str, server.version()))
        day = datetime.now(UTC).date()
        print(f"{day}, Python {platform.python_version()}, Redis {version}, {platform.machine()}")
        for name in names or _ALL:
            server.wipe()
            known[name](server.url)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
