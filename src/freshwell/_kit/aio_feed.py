"""The connection over which the server tells which keys have changed (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.feed_notices import CHANNEL, Notice, notice_of
from freshwell._kit.link_errors import LinkLost, feed_error

__all__ = ["FeedLine"]


class FeedLine:
    """One pub/sub connection that tracks prefixes and redirects to itself (RESP2).

    Never reconnects. Used by one task at a time.
    """

    def __init__(
        self, endpoint: Endpoint, prefixes: Sequence[bytes], *, timeout_s: float = 1.0
    ) -> None:
        self._connection = endpoint.connection(asynchronous=True, timeout_s=timeout_s)
        self._prefixes = prefixes
        self._timeout_s = timeout_s

    async def connect(self) -> None:
        """Connect and arm the tracking.

        Raises `TrackingRefused` where the server will not, `LinkLost` where it is not there.
        """
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                await self._connection.connect()
                await self._arm()
        except Exception as error:  # noqa: BLE001 - whatever redis-py makes of its peer
            raise feed_error(error) from None

    async def _arm(self) -> None:
        own_id = await self._ask("CLIENT", "ID")
        prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
        await self._ask("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", *prefixes)
        await self._ask("SUBSCRIBE", CHANNEL)

    async def _ask(self, *command: Any) -> Any:
        await self._connection.send_command(*command)
        return await self._connection.read_response()

    async def ping(self, payload: bytes) -> None:
        """Send a probe; `receive` will return a `Pong` with its payload."""
        try:
            await self._connection.send_command("PING", payload)
        except Exception as error:  # noqa: BLE001 - whatever a broken stream makes of it
            raise LinkLost(f"the feed was lost ({type(error).__name__})") from None

    async def receive(self, timeout_s: float) -> Notice | None:
        """Return the next notice, or None after `timeout_s`. Raises `LinkLost`."""
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._connection.read_response(
                    timeout=None, disconnect_on_error=False
                )
        except TimeoutError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever a broken stream makes of it
            if type(error).__name__ == "TimeoutError":
                return None
            raise LinkLost(f"the feed was lost ({type(error).__name__})") from None
        return notice_of(reply)

    def interrupt(self) -> None:
        """Have `receive` end soon, with `LinkLost`, because the connection is to be closed."""
        writer = self._connection._writer
        if writer is not None:
            writer.transport.abort()

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        self.interrupt()  # a graceful end of TLS would wait for the server
        try:
            await self._connection.disconnect(nowait=True)
        except Exception:  # noqa: BLE001 - it is gone either way
            return
