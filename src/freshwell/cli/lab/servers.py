"""The lab's own dealings with a Redis or Valkey server: whether it answers, and cleaning up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from freshwell.cli.lab.errors import LabInputError

__all__ = ["check_redis", "has_aof", "plain_url", "removed_keys"]

_BATCH = 1_000
_TIME_LIMIT_S = 2


def plain_url(url: str) -> str:
    """Return the URL as redis-py reads it: it does not know ``valkey://``."""
    return "redis" + url.removeprefix("valkey") if url.startswith("valkey") else url


def check_redis(url: str) -> None:
    """Raise `LabInputError`, in one sentence, unless a server answers at `url`."""
    try:
        from redis.exceptions import RedisError
    except ImportError:
        raise LabInputError('--redis needs redis-py: pip install "freshwell[lab]"') from None
    try:
        with _client(url) as client:
            client.ping()
    except ValueError as error:
        raise LabInputError(f"--redis: the URL cannot be used: {error}") from None
    except (RedisError, OSError) as error:
        raise LabInputError(f"--redis: no server answers there: {error}") from None


def has_aof(url: str) -> bool:
    """Tell whether the server writes what it has acknowledged to its disk."""
    from redis.exceptions import RedisError

    with suppress(RedisError, OSError), _client(url) as client:
        return bool(client.info("persistence").get("aof_enabled"))
    return False


@contextmanager
def removed_keys(url: str | None, run: str) -> Iterator[None]:
    """Remove what a run has left on the server: its own keys, in small batches."""
    try:
        yield
    finally:
        if url is not None:
            from redis.exceptions import RedisError

            # A server that is gone by now keeps them until their TTL is over.
            with suppress(RedisError, OSError), _client(url) as client:
                for pattern in (f"{run}:*", f"fw:?:{run}:*", f"{{fw:j:{run}:*"):
                    _remove(client, pattern)


def _remove(client: Any, pattern: str) -> None:
    batch: list[bytes] = []
    for key in client.scan_iter(match=pattern, count=_BATCH):
        batch.append(key)
        if len(batch) == _BATCH:
            client.unlink(*batch)
            batch.clear()
    if batch:
        client.unlink(*batch)


def _client(url: str) -> Any:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        plain_url(url),
        socket_connect_timeout=_TIME_LIMIT_S,
        socket_timeout=_TIME_LIMIT_S,
        retry=Retry(NoBackoff(), 0),
    )
