"""An invalidation made while Redis is away, by a process that is killed, is made by the next one.

Set FRESHWELL_URL to a server you may write to, such as redis://localhost:6379/0.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

from freshwell import Cache

NOBODY = "redis://127.0.0.1:1/0"  # nobody listens there: as if Redis were away


def killed_in_an_outage(source: Path, key: str, spool: str) -> None:
    logging.getLogger("freshwell").setLevel(logging.ERROR)  # it warns of the outage
    cache = Cache(NOBODY, namespace="example", spool=spool)
    source.write_text("Ada Lovelace")
    cache.invalidate(key)  # returns: it is in the spool
    os._exit(1)  # nothing runs any more


def main(url: str) -> None:
    processes = multiprocessing.get_context("spawn")
    key = f"user:{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        source, kept = Path(folder) / "user", f"sqlite:///{folder}/spool.db"
        for spool in ("memory", kept):
            source.write_text("Ada")
            with Cache(url, namespace="example", ttl="1m") as cache:
                cache.set(key, source.read_text())

            writer = processes.Process(target=killed_in_an_outage, args=(source, key, spool))
            writer.start()
            writer.join()

            print("the spool was", "in memory:" if spool == "memory" else "a file:")
            with Cache(url, namespace="example", spool=spool) as successor:
                print("  the next process gets", successor.get_or_load(key, source.read_text))
                while successor.stats().spool_records:
                    time.sleep(0.01)
            with Cache(url, namespace="example") as anybody:
                print("  and then anybody gets", anybody.get_or_load(key, source.read_text))


if __name__ == "__main__":
    address = os.environ.get("FRESHWELL_URL")
    if address is None:
        print("FRESHWELL_URL is not set: there is nobody to be told later")
    else:
        main(address)
