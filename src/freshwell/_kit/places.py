"""What a URL or a client of redis-py names: one server, a Cluster, or what Sentinels watch over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from freshwell._kit.endpoint import Endpoint, redacted
from freshwell.errors import ConfigurationError
from freshwell.ground.sentinels import Address

__all__ = ["Address", "ClusterPlace", "Place", "SentinelPlace", "place_of"]

_SCHEMES: Final = ("redis", "rediss", "valkey")
_SENTINEL_OPTIONS: Final = "sentinel_"
_MAX_HOSTS: Final = 64

"""Host and port."""

_ESCAPE: Final = (
    "after the hosts stand a service and the number of a database at most, and special characters "
    "in names and passwords are percent-escaped"
)


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """A Redis Cluster, known by some of its nodes; the others are asked for."""

    seeds: tuple[Endpoint, ...]

    def __repr__(self) -> str:
        return f"cluster of {self.seeds[0]!r}"

    def at(self, host: str, port: int) -> Endpoint:
        """Return how to reach the node at an address: with the seeds' settings."""
        return self.seeds[0].at(host, port)


@dataclass(frozen=True, slots=True)
class SentinelPlace:
    """The primary of a service, whose address the Sentinels tell. `primary` has its settings."""

    sentinels: tuple[Endpoint, ...]
    service: str
    primary: Endpoint

    def __repr__(self) -> str:
        return f"{self.service!r} of {self.sentinels[0]!r}"

    def at(self, host: str, port: int) -> Endpoint:
        """Return how to reach the server at an address: with the service's settings."""
        return self.primary.at(host, port)


Place = Endpoint | ClusterPlace | SentinelPlace


def place_of(given: Any) -> Place:
    """Return what a URL or a client of redis-py (of either colour) names.

    ``redis://host:port/db`` and ``unix://path`` name one server,
    ``redis+cluster://host:port,host:port`` a Cluster, and
    ``redis+sentinel://host:port,host:port/service/db`` the primary of a service; ``rediss`` and
    ``valkey`` work alike.

    Raises:
        ConfigurationError: It is none of these, or redis-py is not installed.
    """
    if not isinstance(given, str):
        return _of_client(given)
    scheme, separator, rest = given.partition("://")
    base, plus, kind = scheme.partition("+")
    if not plus or not separator:
        return Endpoint.of(given)
    if base not in _SCHEMES:
        raise ConfigurationError(
            f"the URL {redacted(given)!r} has an unknown scheme: several servers are reached by "
            f"{', '.join(_SCHEMES)}, as in redis+cluster://one:7000,two:7000"
        )
    if kind == "cluster":
        return ClusterPlace(_each_host(base, rest, given))
    if kind == "sentinel":
        return _of_sentinels(base, rest, given)
    raise ConfigurationError(
        f"the URL {redacted(given)!r} is of an unknown kind: use redis://, redis+cluster:// or "
        "redis+sentinel://"
    )


def _each_host(base: str, rest: str, given: str) -> tuple[Endpoint, ...]:
    """Return an endpoint for each host of a URL that names several."""
    end = min((at for at in (rest.find(c) for c in "/?") if at >= 0), default=len(rest))
    hosts, tail = rest[:end], rest[end:]
    credentials, at, listed = hosts.rpartition("@")
    names = [host for host in listed.split(",") if host]
    if not names or len(names) > _MAX_HOSTS:
        raise ConfigurationError(
            f"the URL {redacted(given)!r} names {len(names)} hosts: name 1 to {_MAX_HOSTS}, as in "
            f"{base}+cluster://one:7000,two:7000"
        )
    if "@" in tail.partition("?")[0]:  # a part of a password, most likely
        raise ConfigurationError(f"the URL {redacted(given)!r} cannot be used: {_ESCAPE}")
    seeds = tuple(Endpoint.of(f"{base}://{credentials}{at}{name}{tail}") for name in names)
    if seeds[0].database:
        raise ConfigurationError(
            f"the URL of {seeds[0]!r} and others names a database: a Cluster has the first alone"
        )
    return seeds


def _of_sentinels(base: str, rest: str, given: str) -> SentinelPlace:
    path, _, options = rest.partition("?")
    hosts, slash, named = path.partition("/")
    service, _, database = named.partition("/")
    if "@" in named or (database and not database.isdecimal()):
        raise ConfigurationError(f"the URL {redacted(given)!r} cannot be used: {_ESCAPE}")
    if not slash or not service:
        raise ConfigurationError(
            f"the URL {redacted(given)!r} names no service: write "
            f"{base}+sentinel://one:26379,two:26379/mymaster/0"
        )
    pairs = [pair for pair in options.split("&") if pair]
    own = [p.removeprefix(_SENTINEL_OPTIONS) for p in pairs if p.startswith(_SENTINEL_OPTIONS)]
    said = {pair.partition("=")[0] for pair in own}
    # One authority signs all of them, as a rule.
    own += [p for p in pairs if p.startswith("ssl_") and p.partition("=")[0] not in said]
    theirs = [p for p in pairs if not p.startswith(_SENTINEL_OPTIONS)]
    _, _, listed = hosts.rpartition("@")
    sentinels = _each_host(base, f"{listed}?{'&'.join(own)}" if own else listed, given)
    first = hosts[: len(hosts) - len(listed)] + listed.partition(",")[0]
    tail = f"?{'&'.join(theirs)}" if theirs else ""
    primary = Endpoint.of(f"{base}://{first}/{database}{tail}")
    return SentinelPlace(sentinels, service, primary)


def _of_client(client: Any) -> Place:
    """Return what a client of redis-py is connected to."""
    nodes = getattr(client, "nodes_manager", None)
    if nodes is not None:
        starts = list(nodes.startup_nodes.values())[:_MAX_HOSTS]
        if not starts:
            raise ConfigurationError("the cluster client given as url knows no node")
        return ClusterPlace(
            tuple(
                Endpoint.from_settings(
                    {**nodes.connection_kwargs, "host": node.host, "port": node.port}
                )
                for node in starts
            )
        )
    pool = getattr(client, "connection_pool", None)
    manager = getattr(pool, "sentinel_manager", None)
    if pool is None or manager is None:
        return Endpoint.of(client)
    sentinels = tuple(Endpoint.of(sentinel) for sentinel in manager.sentinels[:_MAX_HOSTS])
    # Where the primary is shows later.
    settings = {**pool.connection_kwargs, "host": "localhost", "port": 0}
    primary = Endpoint.from_settings(settings, pool.connection_class)
    return SentinelPlace(sentinels, pool.service_name, primary)
