"""Read request traces: which key was asked for, one after the other.

- ``*.trace`` and ``*.trace.xz``: big-endian unsigned 32-bit keys, one per request.
- ``*.csv``: a column ``key``, and optionally ``op`` (``get``, ``set``, ``delete``, ...); what
  does not read counts as a write.
"""

from __future__ import annotations

import csv
import lzma
import sys
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.workload import Workload

__all__ = ["read_trace"]

_READS: Final = frozenset({"get", "gets", "read", "r", ""})
_KEY_BYTES: Final = 4
_MAX_REQUESTS: Final = 50_000_000
_VALUE_BYTES: Final = 300
_TTL_S: Final = 3600.0


def read_trace(path: Path, *, limit: int | None = None) -> Workload:
    """Return the requests of a trace file, the first `limit` of them.

    Keys become dense ids in the order in which they first appear.

    Raises:
        LabInputError: The file is not there, or not in a known format; in one sentence.
    """
    most = min(limit or _MAX_REQUESTS, _MAX_REQUESTS)
    try:
        keys, writes = _read(path, most)
    except FileNotFoundError:
        raise LabInputError(f"there is no file {path}") from None
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise LabInputError(f"{path} cannot be read: {error}") from None
    if not len(keys):
        raise LabInputError(f"{path} has no requests")
    ids, distinct = _dense(keys)
    return Workload(path.name, ids, writes, distinct, _VALUE_BYTES, _TTL_S)


def _read(path: Path, most: int) -> tuple[list[str] | array[int], bytearray]:
    if path.name.endswith(".trace.xz"):
        with lzma.open(path) as file:
            return _binary(file.read(most * _KEY_BYTES), path)
    if path.name.endswith(".trace"):
        with path.open("rb") as file:
            return _binary(file.read(most * _KEY_BYTES), path)
    if path.name.endswith(".csv"):
        return _csv(path, most)
    if not path.exists():
        raise FileNotFoundError(path)
    raise LabInputError(f"{path} is in no known format: use .trace, .trace.xz or .csv")


def _binary(data: bytes, path: Path) -> tuple[array[int], bytearray]:
    if len(data) % _KEY_BYTES:
        raise LabInputError(f"{path} is cut short: its length is no multiple of {_KEY_BYTES}")
    keys = array("I")
    keys.frombytes(data)
    if sys.byteorder == "little":
        keys.byteswap()
    return keys, bytearray(len(keys))


def _csv(path: Path, most: int) -> tuple[list[str], bytearray]:
    keys: list[str] = []
    writes = bytearray()
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = csv.DictReader(lines)
            if rows.fieldnames is None or "key" not in rows.fieldnames:
                raise LabInputError(f"{path} has no column named 'key'")
            for row in rows:
                keys.append(row["key"])
                writes.append((row.get("op") or "").strip().lower() not in _READS)
                if len(keys) == most:
                    break
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabInputError(f"{path} is no CSV file: {error}") from None
    return keys, writes


def _dense(keys: Iterable[object]) -> tuple[array[int], int]:
    known: dict[object, int] = {}
    ids = array("I", (known.setdefault(key, len(known)) for key in keys))
    return ids, len(known)
