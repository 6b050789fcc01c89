"""``freshwell dashboard``: a web page of all processes that publish their caches."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

import typer

from freshwell.cli.target import UrlOption, UsageFault, answering, print_line

__all__ = ["dashboard"]

_MISSING: Final = "the page needs a web server: pip install 'freshwell[dashboard]'"


def dashboard(
    url: UrlOption,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="The address to bind.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", help="The port to bind. 0: any that is free.")
    ] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            envvar="FRESHWELL_TOKEN",
            help="What the page shows to retry and drop dead letters, and to see anything at all "
            "where ADDRESS is not this machine's own. Better in the environment than here, where "
            "others see it. On this machine one is made where none is given.",
            show_default=False,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="A name that browsers reach the page by. May be given several times.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="SECONDS", help="How long to wait between two looks."),
    ] = 2.0,
) -> None:
    """Serve a page that shows all processes that publish their caches.

    Processes take part that have called cache.publish(). The page is only for this machine unless
    another ADDRESS is given, which takes a token. Ctrl-C ends it.
    """
    with answering("dashboard", unanswered=2):
        try:
            from freshwell.dashboard.guard import is_loopback
            from freshwell.dashboard.serving import serve
        except ModuleNotFoundError:
            raise UsageFault(_MISSING) from None
        public = not is_loopback(host)
        if token is None and not public:
            token = secrets.token_urlsafe()
        try:
            serve(
                url,
                host=host,
                port=port,
                token=token,
                hosts=tuple(allow_host or ()),
                public=public,
                interval=interval,
                ready=print_line,
            )
        except KeyboardInterrupt:
            return
