"""Servers that are reached by TLS and by a socket in the file system."""

from __future__ import annotations

from tests.support.ways import by_socket, certificate, ways

__all__ = ["by_socket", "certificate", "ways"]
