"""What URLs and clients name: one server, a Cluster, a service of Sentinels. No secret shows."""

from __future__ import annotations

from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from freshwell._kit.aio_link import Link as AsyncLink
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.places import ClusterPlace, SentinelPlace, place_of
from freshwell._kit.threads_link import Link
from freshwell.errors import ConfigurationError
from tests.support.blocking import blocking_allowed
from tests.support.cluster import Cluster

SENTINELS: Any = {
    "of_threads": redis.sentinel.Sentinel,
    "of_tasks": redis.asyncio.sentinel.Sentinel,
}
CLUSTERS: Any = {"of_threads": redis.RedisCluster, "of_tasks": redis.asyncio.RedisCluster}


def made(endpoint: Endpoint) -> Any:
    """Return a connection that was made of an endpoint, and is not connected."""
    return endpoint.connection(asynchronous=False, timeout_s=1)


def address(endpoint: Endpoint) -> tuple[str, int]:
    connection = made(endpoint)
    return connection.host, connection.port


def is_secure(endpoint: Endpoint) -> bool:
    return isinstance(made(endpoint), redis.SSLConnection)


def secrets(endpoint: Endpoint) -> tuple[str | None, str | None]:
    connection = made(endpoint)
    return connection.username, connection.password


# -- URLs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["redis://a:1/2", "rediss://a:1", "unix:///s", "valkey://a"])
def test_a_plain_url_is_one_server(url: str) -> None:
    assert isinstance(place_of(url), Endpoint)


@pytest.mark.parametrize("base", ["redis", "rediss", "valkey"])
def test_a_cluster_is_named_by_some_of_its_nodes(base: str) -> None:
    place = place_of(f"{base}+cluster://me:hunter2@a:1,[::1]:2,c?client_name=x")
    assert isinstance(place, ClusterPlace)
    assert [address(seed) for seed in place.seeds] == [("a", 1), ("::1", 2), ("c", 6379)]
    assert {secrets(seed) for seed in place.seeds} == {("me", "hunter2")}
    assert {is_secure(seed) for seed in place.seeds} == {base == "rediss"}
    assert made(place.at("d", 4)).client_name == "x"
    assert "hunter2" not in repr(place)


def test_a_node_is_reached_by_the_settings_of_the_seeds() -> None:
    place = place_of("rediss+cluster://:hunter2@a:1?ssl_cert_reqs=none")
    assert isinstance(place, ClusterPlace)
    node = place.at("b", 2)
    assert (address(node), is_secure(node)) == (("b", 2), True)
    assert secrets(node) == (None, "hunter2")
    assert "hunter2" not in repr(node)


def test_a_service_of_sentinels_has_two_sorts_of_secrets() -> None:
    place = place_of(
        "redis+sentinel://me:hunter2@a:1,b/mymaster/3?client_name=x&sentinel_password=hunter3"
    )
    assert isinstance(place, SentinelPlace)
    assert place.service == "mymaster"
    assert [address(sentinel) for sentinel in place.sentinels] == [("a", 1), ("b", 6379)]
    assert {secrets(sentinel) for sentinel in place.sentinels} == {(None, "hunter3")}
    primary = place.at("c", 4)
    assert (address(primary), primary.database) == (("c", 4), 3)
    assert secrets(primary) == ("me", "hunter2")
    assert made(primary).client_name == "x"
    assert "hunter" not in repr(place)
    assert "hunter" not in repr(primary)


BAD_URLS = [
    ("redis+cluster://:hunter2@", "names 0 hosts"),
    (f"redis+cluster://:hunter2@{','.join('a' * 65)}", "names 65 hosts"),
    ("redis+cluster://:hunter2@a:1,b:2/3", "names a database"),
    ("redis+cluster://:hunter2@a:x,b:2", "cannot be used"),
    ("redis+cluster://:123/hunter2@a:1", "cannot be used"),
    ("redis+cluster://:hunter2/x@a:1,b:2", "cannot be used"),
    ("redis+cluster://:hunter2@a:1,b:2?unheard_of=hunter2", "option is unknown"),
    ("redis+sentinel://:hunter2@a:1,b:2", "names no service"),
    ("redis+sentinel://:hunter2@a:1/", "names no service"),
    ("redis+sentinel://:123/hunter2@a:1/m", "cannot be used"),
    ("redis+sentinel://:hunter2@a:1/m/x", "cannot be used"),
    ("redis+rope://:hunter2@a:1", "unknown kind"),
    ("unix+cluster://:hunter2@a:1", "unknown scheme"),
]


@pytest.mark.parametrize(("url", "says"), BAD_URLS, ids=range(len(BAD_URLS)))
def test_what_a_url_lacks_is_said_without_its_password(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        place_of(url)
    assert "hunter2" not in str(caught.value)


# -- clients --------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", CLUSTERS)
async def test_a_cluster_client_is_a_cluster_for_both_colours(
    redis_cluster: Cluster, colour: str
) -> None:
    port = redis_cluster.nodes[0].port
    settings = {"decode_responses": True, "max_connections": 7, "client_name": "x"}
    with blocking_allowed():
        for client in (
            CLUSTERS[colour](host="127.0.0.1", port=port, **settings),
            CLUSTERS[colour].from_url(f"redis://127.0.0.1:{port}", **settings),
        ):
            place = place_of(client)
            assert isinstance(place, ClusterPlace)
            assert ("127.0.0.1", port) in [address(seed) for seed in place.seeds]
            link = Link(place.at("127.0.0.1", port))
            assert link.batch([("CLIENT", "GETNAME")]) == [b"x"]
            link.close()
    own = AsyncLink(place.at("127.0.0.1", port))
    assert await own.batch([("CLIENT", "GETNAME")]) == [b"x"]
    await own.aclose()


async def test_a_cluster_client_with_tls_and_secrets_keeps_them_and_shows_none() -> None:
    for client in (
        redis.asyncio.RedisCluster(host="a", port=1, ssl=True, username="me", password="hunter2"),
        redis.asyncio.RedisCluster.from_url("rediss://me:hunter2@a:1?ssl_ca_certs=/none"),
    ):
        place = place_of(client)
        assert isinstance(place, ClusterPlace)
        assert is_secure(place.seeds[0])
        assert secrets(place.at("b", 2)) == ("me", "hunter2")
        assert "hunter2" not in repr(place)


@pytest.mark.parametrize("colour", SENTINELS)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_client_of_sentinels_is_a_service(colour: str, secure: bool) -> None:
    own = {"password": "hunter3", **({"ssl": True} if secure else {})}
    sentinel = SENTINELS[colour](
        [("a", 1), ("b", 2)], sentinel_kwargs=own, password="hunter2", db=3, decode_responses=True
    )
    client = sentinel.master_for("mymaster", **({"ssl": True} if secure else {}))
    place = place_of(client)
    assert isinstance(place, SentinelPlace)
    assert place.service == "mymaster"
    assert [address(one) for one in place.sentinels] == [("a", 1), ("b", 2)]
    assert {secrets(one) for one in place.sentinels} == {(None, "hunter3")}
    primary = place.at("c", 4)
    assert (address(primary), primary.database) == (("c", 4), 3)
    assert secrets(primary) == (None, "hunter2")
    assert {is_secure(one) for one in (*place.sentinels, primary)} == {secure}
    assert "hunter" not in repr(place)


@pytest.mark.parametrize("colour", SENTINELS)
async def test_sentinels_without_a_service_are_refused(colour: str) -> None:
    with pytest.raises(ConfigurationError, match="Sentinel"):
        place_of(SENTINELS[colour]([("a", 1)]))
