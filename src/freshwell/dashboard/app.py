"""The server of the page: the page itself, a stream of what is seen, and dead letters."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freshwell._kit.places import place_of
from freshwell._sync.cache import Cache
from freshwell.cli.fleet.reading import snapshots_at
from freshwell.dashboard.guard import SECURITY_HEADERS, Guard
from freshwell.dashboard.letters import Letters
from freshwell.dashboard.looking import Looking
from freshwell.errors import ConfigurationError, JournalUnavailable, StoreUnavailable

__all__ = ["create_app"]

_TYPES: Final = {"css": "text/css", "html": "text/html", "js": "text/javascript"}
_ASSETS: Final = ("page.css", "page.js", "uplot.min.css", "uplot.min.js")
_MOST_BODY: Final = 4_096
_CONNECT_S: Final = 2
_COMMAND_S: Final = 5


def create_app(
    url: str,
    *,
    token: str | None = None,
    hosts: tuple[str, ...] = (),
    public: bool = False,
    interval: float = 2.0,
) -> Starlette:
    """Return the ASGI application of the page.

    Args:
        url: Where the caches are, as for a cache. Connects when the page is first opened.
        token: What callers show to retry and drop dead letters: 16 characters or more. None:
            nobody may.
        hosts: The names that the server goes by, besides those of the loopback.
        public: Others than this machine can reach it: then all data needs the token.
        interval: Seconds between two looks, 0.1 to 3600.

    Raises:
        ConfigurationError: An argument is wrong, or `public` is set without a token.
    """
    if not 0.1 <= interval <= 3_600:
        raise ConfigurationError(f"interval is {interval:g}: use 0.1 to 3600 seconds")
    guard = Guard(token, hosts=hosts, public=public)
    cache = Cache(url, l1=False, connect_timeout=_CONNECT_S, command_timeout=_COMMAND_S)
    page = _Page(guard, Letters(place_of(url)), cache, interval)
    routes = [
        Route("/", page.index),
        Route("/assets/{name}", page.asset),
        Route("/state", page.state),
        Route("/letters", page.letters),
        Route("/letters/{verb:str}", page.change, methods=["POST"]),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(_Guarded, guard=guard)])
    app.state.cache = cache  # to be closed by who serves it
    return app


class _Guarded:
    """Refuse foreign names before anything else, and give every answer its headers."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(k.lower().encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        request = Request(scope)
        if not self._guard.knows_host(request.headers.get("host", "")):
            await _refusal(421, "this server does not go by that name: see --allow-host")(
                scope, receive, sent
            )
            return
        await self._app(scope, receive, sent)


class _Page:
    def __init__(self, guard: Guard, letters: Letters, cache: Cache, interval: float) -> None:
        self._guard = guard
        self._letters = letters
        self._cache = cache
        self._interval = interval
        self._looking: Looking | None = None

    async def index(self, request: Request) -> Response:
        return _file("page.html")

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        return _file(name) if name in _ASSETS else _refusal(404, "there is no such file")

    async def state(self, request: Request) -> Response:
        """Stream what is seen, as server-sent events."""
        refused = self._refused(request, changes=False)
        if refused is not None:
            return refused
        if self._looking is None:
            self._looking = Looking(lambda: snapshots_at(self._cache), self._interval)
        return StreamingResponse(_events(self._looking, request), media_type="text/event-stream")

    async def letters(self, request: Request) -> Response:
        refused = self._refused(request, changes=False)
        if refused is not None:
            return refused
        can_change = self._guard.can_change
        return await _answer(
            lambda: {"journals": self._letters.journals(), "can_change": can_change}
        )

    async def change(self, request: Request) -> Response:
        """Retry or drop one letter."""
        refused = self._refused(request, changes=True)
        if refused is not None:
            return refused
        verbs = {"retry": self._letters.retry, "drop": self._letters.drop}
        act = verbs.get(request.path_params["verb"])
        asked = await _asked(request)
        if act is None or asked is None:
            return _refusal(400, "say which letter: journal, namespace and sequence")
        return await _answer(lambda: {"said": act(*asked)})

    def _refused(self, request: Request, *, changes: bool) -> Response | None:
        if not self._guard.is_own_origin(request.headers):
            return _refusal(403, "the request comes from another page")
        if not changes and not self._guard.public:
            return None
        if not self._guard.can_change:
            return _refusal(403, "nothing can be changed from here: start with --token")
        if not self._guard.knows_token(request.headers.get("authorization", "")):
            return _refusal(401, "the token is missing or wrong")
        return None


async def _events(looking: Looking, request: Request) -> AsyncIterator[str]:
    async for view in looking.views():
        if await request.is_disconnected():
            return
        yield f"data: {json.dumps(view, separators=(',', ':'))}\n\n"


async def _answer(work: Callable[[], dict[str, Any]]) -> Response:
    try:
        return JSONResponse(await run_in_threadpool(work))
    except ConfigurationError as error:  # there is no such journal
        return _refusal(404, str(error))
    except (StoreUnavailable, JournalUnavailable) as error:
        return _refusal(503, str(error))


async def _asked(request: Request) -> tuple[str, str, int] | None:
    """Return which letter a request is about. None: it does not say so."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY:
            return None
    try:
        asked = json.loads(body)
        namespace, name, sequence = asked["namespace"], asked["name"], asked["sequence"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = isinstance(namespace, str) and isinstance(name, str)
    # As text: a browser's numbers are not wide enough.
    if not texts or not isinstance(sequence, str) or not sequence.isascii():
        return None
    return (namespace, name, int(sequence)) if sequence.isdigit() and len(sequence) < 20 else None


def _file(name: str) -> Response:
    data = files("freshwell.dashboard").joinpath("static", name).read_bytes()
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]])


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)
