"""A web page of all caches that are published: ``freshwell dashboard``.

Needs the extra ``freshwell[dashboard]``. `create_app` gives the ASGI application itself, to be
served by other means, or below a path of another application.
"""

from __future__ import annotations

try:
    import starlette as _starlette  # noqa: F401  # its absence is told in words
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "freshwell.dashboard needs Starlette: pip install 'freshwell[dashboard]'",
        name=_missing.name,
    ) from _missing

from freshwell.dashboard.app import create_app

__all__ = ["create_app"]
