"""Serve the page until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from freshwell.dashboard.app import create_app
from freshwell.errors import ConfigurationError

__all__ = ["serve"]


class _Server(uvicorn.Server):
    """Ends at once, however many pages are open: they ask again by themselves."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.force_exit = True
        super().handle_exit(sig, frame)


def serve(
    url: str,
    *,
    host: str,
    port: int,
    token: str | None,
    hosts: tuple[str, ...],
    public: bool,
    interval: float,
    ready: Callable[[str], object],
) -> None:
    """Bind, say where the page is, and serve it until SIGINT or SIGTERM.

    Raises `ConfigurationError` where an argument is wrong, or nothing can be bound there.
    """
    if not 0 <= port <= 65_535:
        raise ConfigurationError(f"port {port} cannot be bound: use 0 (any that is free) to 65535")
    app = create_app(url, token=token, hosts=(host, *hosts), public=public, interval=interval)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(f"{host} port {port} cannot be bound: {error}") from None
    with listening:
        bound = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        # Behind the number sign: browsers do not send that part to anybody.
        ready(f"http://{shown}:{bound}/" + ("" if token is None or public else f"#{token}"))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off"
        )
        try:
            _Server(config).run(sockets=[listening])
        finally:
            app.state.cache.close()
