"""Where L2 is: a URL or a redis-py client, turned into connections with our own settings."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, Final
from urllib.parse import urlsplit

from freshwell.errors import ConfigurationError

__all__ = ["Endpoint", "redacted"]

_DROPPED: Final = (
    "retry",
    "retry_on_error",
    "retry_on_timeout",
    "decode_responses",
    "health_check_interval",
    "protocol",
    "maint_notifications_config",
    "maint_notifications_pool_handler",
    "parser_class",
    "redis_connect_func",
    "socket_timeout",
    "socket_connect_timeout",
    "connection_class",
    "event_dispatcher",
    "maintenance_state",
    "maintenance_notification_hash",
    "legacy_responses",
    "himport_registry",
    "oss_cluster_maint_notifications_handler",
    "orig_host_address",
    "orig_socket_timeout",
    "orig_socket_connect_timeout",
)

_FOR_THREADS_ALONE: Final = (
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
    "ssl_ocsp_context",
    "ssl_ocsp_expected_cert",
)
"""Settings that redis-py knows in one colour, and gives to each of its clients unset."""


class Endpoint:
    """How to reach one server. Its repr names no secret."""

    def __init__(self, settings: Mapping[str, Any], kind: str, shown: str) -> None:
        self._settings = dict(settings)
        self._kind = kind
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown

    @property
    def database(self) -> int:
        """The number of the database."""
        return int(self._settings.get("db") or 0)

    @property
    def host(self) -> str:
        """The name or number of the server's machine."""
        return str(self._settings.get("host") or "localhost")

    def at(self, host: str, port: int) -> Endpoint:
        """Return how to reach another server with the same settings."""
        moved = {name: s for name, s in self._settings.items() if name != "path"}
        moved |= {"host": host, "port": port}
        kind = "Connection" if self._kind == "UnixDomainSocketConnection" else self._kind
        return Endpoint(moved, kind, _of_client(moved))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], kind: type | None = None) -> Endpoint:
        """Return the endpoint of what a client of redis-py keeps for connections it will make.

        `kind` is their class, where the settings do not name it. Settings of the client's own,
        which connections do not know, are left out.
        """
        kind = kind or settings.get("connection_class")
        secure = settings.get("ssl") if kind is None else "SSL" in kind.__name__
        chosen = getattr(_redis().connection, "SSLConnection" if secure else "Connection")
        known = _known_to(chosen.__name__)
        own = {name: setting for name, setting in settings.items() if name in known}
        return cls._from(own, chosen, _of_client(own))

    @classmethod
    def of(cls, given: Any) -> Endpoint:
        """Return the endpoint of a URL or of a client of redis-py (of either colour).

        Raises:
            ConfigurationError: It is neither, or redis-py is not installed.
        """
        parse_url = _redis().asyncio.connection.parse_url
        if isinstance(given, str):
            url = "redis" + given[6:] if given.startswith("valkey:") else given
            try:
                if "://" not in url:  # which the parser may take for a server on this machine
                    raise ValueError
                settings: dict[str, Any] = dict(parse_url(url))
            except ValueError:
                # The parser's own message may hold a part of the password.
                raise ConfigurationError(
                    f"the URL {redacted(given)!r} cannot be used: write redis://host:port/db, "
                    "rediss://... or unix:///path, with special characters in names and "
                    "passwords percent-escaped"
                ) from None
            return cls._from(settings, settings.get("connection_class"), redacted(given))
        pool = getattr(given, "connection_pool", None)
        if pool is None or not hasattr(pool, "connection_kwargs"):
            raise ConfigurationError(
                f"url is an object of type {type(given).__name__}: give a URL as text, or a "
                "redis.Redis client"
            )
        settings = dict(pool.connection_kwargs)
        return cls._from(settings, pool.connection_class, _of_client(settings))

    @classmethod
    def _from(cls, settings: dict[str, Any], kind: type | None, shown: str) -> Endpoint:
        kind_name = "Connection" if kind is None else kind.__name__
        if kind_name not in ("Connection", "SSLConnection", "UnixDomainSocketConnection"):
            raise ConfigurationError(f"connections of the kind {kind_name} are not supported yet")
        kept = {
            name: setting
            for name, setting in settings.items()
            if name not in _DROPPED and (setting or name not in _FOR_THREADS_ALONE)
        }
        endpoint = cls(kept, kind_name, shown)
        # Settings that cannot work show here, and not at the first read.
        endpoint.connection(asynchronous=False, timeout_s=1.0)
        return endpoint

    def connection(self, *, asynchronous: bool, timeout_s: float, **more: Any) -> Any:
        """Return a new connection of redis-py, not connected yet, with our own time limits.

        Raises `ConfigurationError` for settings that such a connection does not know.
        """
        redis = _redis()
        module = redis.asyncio if asynchronous else redis
        try:
            return getattr(module.connection, self._kind)(
                **self._settings,
                protocol=2,
                decode_responses=False,
                retry=module.retry.Retry(redis.backoff.NoBackoff(), 0),
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                maint_notifications_config=redis.maint_notifications.MaintNotificationsConfig(
                    enabled=False
                ),
                **more,
            )
        except (TypeError, ValueError, redis.RedisError) as error:
            raise ConfigurationError(
                f"connections to {self._shown} cannot be made ({type(error).__name__}): an "
                "option is unknown to redis-py, or has a value that cannot be"
            ) from None


def _known_to(kind: str) -> set[str]:
    """Return the settings that connections of a kind know, in one colour or the other."""
    redis = _redis()
    return {
        name
        for module in (redis, redis.asyncio)
        for each in getattr(module.connection, kind).__mro__
        for name in signature(each.__init__).parameters
    }


def _redis() -> Any:
    """Import redis-py and return it. Endpoints are built where that may take its time."""
    try:
        import hiredis  # noqa: F401 - the links parse replies with it
        import redis.asyncio.connection
        import redis.asyncio.retry
        import redis.backoff
        import redis.connection
        import redis.maint_notifications
        import redis.retry
    except ImportError as error:
        raise ConfigurationError(
            f'Redis needs {error.name}: pip install "freshwell[redis]"'
        ) from None
    return redis


def _of_client(settings: Mapping[str, Any]) -> str:
    """Return the URL that a client's settings come to, without its credentials."""
    database = settings.get("db") or 0
    if settings.get("path"):
        return f"unix://{settings['path']}?db={database}"
    host = settings.get("host", "localhost")
    return f"redis://{host}:{settings.get('port', 6379)}/{database}"


def redacted(url: str) -> str:
    """Return a URL without user, password and options; "..." where what is what is not clear."""
    scheme, separator, rest = url.partition("://")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where a password may stand in its place
    except ValueError:
        return "..."
    _, at, host = parts.netloc.rpartition("@")
    if not separator or "@" in rest[len(parts.netloc) :]:
        return "..."
    return f"{scheme}://{at and '***@'}{host}{parts.path}"
