"""Locks between processes, which end with the process that holds them, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["FileLock"]

_FAR = 1 << 30
"""The byte that is locked on Windows: the process id must stay readable."""


class FileLock:
    """A file that one holder at a time has locked. Two of one process exclude each other too.

    The file stays when the lock is given back: who removed it might remove another's. Not safe
    for use by several threads at a time.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: int | None = None

    @property
    def is_held(self) -> bool:
        """Tell whether this object has the lock."""
        return self._held is not None

    def acquire(self) -> bool:
        """Lock, or remain so. False: another has it. Never waits. Raises `OSError`."""
        if self._held is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            has_it = _lock(file)
        except BaseException:
            os.close(file)
            raise
        if not has_it:
            os.close(file)
            return False
        self._held = file
        with suppress(OSError):  # the disk may be full: who has the lock is for people to read
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, str(os.getpid()).encode())
        return True

    def holder(self) -> str:
        """Return the id of the process that last had the lock, as it wrote it, or ``?``."""
        try:
            with open(self._path, encoding="ascii", errors="replace") as file:  # noqa: PTH123
                return file.read(20) or "?"
        except OSError:
            return "?"

    def release(self) -> None:
        """Give the lock back. In a forked child: let go of it, while the parent keeps it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def _lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(file, _FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
