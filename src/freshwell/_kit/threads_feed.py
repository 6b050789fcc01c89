"""The connection over which the server tells which keys have changed (threads)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.feed_notices import CHANNEL, Notice, notice_of
from freshwell._kit.link_errors import LinkLost, feed_error

__all__ = ["FeedLine"]


class FeedLine:
    """One pub/sub connection that tracks prefixes and redirects to itself (RESP2).

    Never reconnects. Used by one thread at a time.
    """

    def __init__(
        self, endpoint: Endpoint, prefixes: Sequence[bytes], *, timeout_s: float = 1.0
    ) -> None:
        self._connection = endpoint.connection(asynchronous=False, timeout_s=timeout_s)
        self._prefixes = prefixes

    def connect(self) -> None:
        """Connect and arm the tracking.

        Raises `TrackingRefused` where the server will not, `LinkLost` where it is not there.
        """
        try:
            self._connection.connect()
            self._arm()
        except Exception as error:  # noqa: BLE001 - whatever redis-py makes of its peer
            raise feed_error(error) from None

    def _arm(self) -> None:
        own_id = self._ask("CLIENT", "ID")
        prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
        self._ask("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", *prefixes)
        self._ask("SUBSCRIBE", CHANNEL)

    def _ask(self, *command: Any) -> Any:
        self._connection.send_command(*command)
        return self._connection.read_response()

    def ping(self, payload: bytes) -> None:
        """Send a probe; `receive` will return a `Pong` with its payload."""
        try:
            self._connection.send_command("PING", payload)
        except Exception as error:  # noqa: BLE001 - whatever a broken stream makes of it
            raise LinkLost(f"the feed was lost ({type(error).__name__})") from None

    def receive(self, timeout_s: float) -> Notice | None:
        """Return the next notice, or None after `timeout_s`. Raises `LinkLost`."""
        try:
            if not self._connection.can_read(timeout=timeout_s):
                return None
            reply = self._connection.read_response(disconnect_on_error=False)
        except Exception as error:  # noqa: BLE001 - whatever a broken stream makes of it
            raise LinkLost(f"the feed was lost ({type(error).__name__})") from None
        return notice_of(reply)

    def interrupt(self) -> None:
        """Have `receive` end soon, with `LinkLost`, because the connection is to be closed."""
        own = self._connection._sock
        if own is not None:
            with suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        try:
            self._connection.disconnect()
        except Exception:  # noqa: BLE001 - it is gone either way
            return
