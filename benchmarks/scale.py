"""How costs grow: ``python -m benchmarks.scale [entries] [tags] [processes] [rates] [--full]``.

- ``entries``: an operation, as L1 grows from 1,000 entries (``--full``: to 5,000,000);
- ``tags``: hits, fills and invalidations, as an entry has more tags;
- ``processes``: readers of one server, and feeds that listen to one writer;
- ``rates``: L1, as ever more entries are invalidated each second.

Starts a server of its own. Takes about two minutes, more on a busy machine; with ``--full`` a
quarter of an hour.
What follows for a large fleet: docs/explanation/scale.md.
"""

from __future__ import annotations

import platform
import sys
import time
from datetime import UTC, datetime

from benchmarks import scale_entries, scale_processes, scale_rates, scale_tags
from tests.support.servers import Server

__all__ = ["main"]

_ALL = {
    "entries": scale_entries.run,
    "tags": scale_tags.run,
    "processes": scale_processes.run,
    "rates": scale_rates.run,
}
_FULL = "--full"


def main(arguments: list[str]) -> int:
    """Run the parts of these names (none: all)."""
    names = [argument for argument in arguments if argument != _FULL]
    unknown = [name for name in names if name not in _ALL]
    if unknown:
        print(f"there is no part {unknown[0]!r}: use {', '.join(_ALL)}, {_FULL}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with Server() as server:
        version = ".".join(map(str, server.version()))
        day = datetime.now(UTC).date()
        print(f"{day}, Python {platform.python_version()}, Redis {version}, {platform.machine()}")
        for name in names or _ALL:
            server.wipe()
            _ALL[name](server.url, full=_FULL in arguments)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
