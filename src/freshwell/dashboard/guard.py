"""Who may ask the page's server for what: by host, by token, and by where a request comes from.

- The name in ``Host`` must be one that this server goes by, so that a foreign name that points here
  reaches nothing.
- What changes something needs the token, in a header that a form of another site cannot send, and
  must not come from another origin. Where the server is open to others, everything needs it.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from freshwell.errors import ConfigurationError

__all__ = ["SECURITY_HEADERS", "Guard", "is_loopback"]

_LEAST_TOKEN: Final = 16
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what is bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """The rules of one server. `hosts`: the names it goes by besides those of the loopback.

    Raises `ConfigurationError` for a token that could be guessed, and for none where others reach
    the server.
    """

    def __init__(
        self, token: str | None, *, hosts: Iterable[str] = (), public: bool = False
    ) -> None:
        if token is None and public:
            raise ConfigurationError(
                "others than this machine could reach the page: give a token, or bind it to "
                "127.0.0.1"
            )
        if token is not None and (len(token) < _LEAST_TOKEN or not token.isascii()):
            raise ConfigurationError(
                f"the token is too easy to guess: use {_LEAST_TOKEN} or more ASCII characters, "
                "such as those of python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        self._token = token
        self._hosts = _LOOPBACK | {host.lower().strip("[]") for host in hosts}
        self.public = public

    @property
    def can_change(self) -> bool:
        """Whether anybody may change anything."""
        return self._token is not None

    def knows_host(self, header: str) -> bool:
        """Tell whether the server goes by the name in a ``Host`` header."""
        try:
            name = urlsplit(f"//{header}").hostname
        except ValueError:
            return False
        return name is not None and name.lower() in self._hosts

    def knows_token(self, authorization: str) -> bool:
        """Tell whether an ``Authorization`` header has the token."""
        kind, _, given = authorization.partition(" ")
        if self._token is None or kind.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(), self._token.encode())

    def is_own_origin(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a request comes from this server's own page, or from no page at all."""
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")
