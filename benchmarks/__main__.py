"""Run the benchmarks: ``python -m benchmarks [hits] [l2] [misses] [stampede] [invalidation]``.

Starts a Redis server of its own on a free port. All of it takes less than three minutes.
"""

from __future__ import annotations

import platform
import sys
import time
from datetime import UTC, datetime

from benchmarks import hits, invalidation, misses, shared_hits, stampede
from tests.support.servers import Server

_ALL = {
    "hits": hits.run,
    "l2": shared_hits.run,
    "misses": misses.run,
    "stampede": stampede.run,
    "invalidation": invalidation.run,
}


def main(names: list[str]) -> int:
    """Run the benchmarks of these names (none: all)."""
    unknown = [name for name in names if name not in _ALL]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}: use {', '.join(_ALL)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with Server() as server:
        version = ".".join(map(str, server.version()))
        day = datetime.now(UTC).date()
        print(f"{day}, Python {platform.python_version()}, Redis {version}, {platform.machine()}")
        for name in names or _ALL:
            server.wipe()
            _ALL[name](server.url)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
