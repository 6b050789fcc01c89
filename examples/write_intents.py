"""A writer that is killed between its commit and its invalidation leaves no old entry.

Set FRESHWELL_URL to a server you may write to, such as redis://localhost:6379/0.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path

from freshwell import Cache


def killed_after_the_commit(url: str, source: Path, key: str, announce: bool) -> None:
    cache = Cache(url, namespace="example")
    if announce:
        with cache.writing(key):
            source.write_text("Ada Lovelace")  # the commit
            os._exit(1)  # nothing runs any more: the block does not end
    source.write_text("Ada Lovelace")
    os._exit(1)
    cache.invalidate(key)


def main(url: str) -> None:
    processes = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        Cache(url, namespace="example", read="fresh", ttl="1m") as cache,
    ):
        source = Path(folder) / "user"
        for announce in (False, True):
            key = f"user:{os.getpid()}:{announce}"
            source.write_text("Ada")
            cache.get_or_load(key, source.read_text)

            arguments = (url, source, key, announce)
            writer = processes.Process(target=killed_after_the_commit, args=arguments)
            writer.start()
            writer.join()

            print("with writing():" if announce else "with invalidate() after the commit:")
            print("  the source says", source.read_text())
            print("  a reader gets  ", cache.get_or_load(key, source.read_text))


if __name__ == "__main__":
    address = os.environ.get("FRESHWELL_URL")
    if address is None:
        print("FRESHWELL_URL is not set: there is nobody to announce a change to")
    else:
        main(address)
