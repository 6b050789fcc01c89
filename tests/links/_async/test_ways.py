"""Ways to a server: TLS, a socket in the file system, users, databases, a client's settings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost
from freshwell._kit.resp import unerring
from tests.links.clients import CLIENTS, from_settings, from_url
from tests.support.aio import until
from tests.support.sentinels import Sentinel
from tests.support.servers import Server, free_port
from tests.support.ways import Ways


async def works(url: Any, by: str) -> None:
    """Use a cache and its feed; another one, which is reached by the URL `by`, makes a change."""
    async with (
        AsyncCache(url, connect_timeout=5, command_timeout=5) as cache,
        AsyncCache(by) as other,
    ):
        await other.set("a", 1)
        assert await cache.get("a") == 1
        await until(lambda: cache.stats().l1_live, "the feed is up")
        await cache.get("a")
        assert (await cache.lookup("a")).tier == "l1"
        await other.set("a", 2)
        await until(partial(has_left, cache), "the feed tells")
        assert await cache.get("a") == 2
        large = "x" * 1_000_000
        await cache.set("large", large)
        assert await other.get("large") == large
        assert await cache.get("large", read="fresh") == large
        assert cache.stats().l2_errors == 0


def has_left(cache: AsyncCache) -> bool:
    return cache.stats().entries == 0


async def test_by_tls(ways: Ways) -> None:
    await works(ways.tls_url, ways.server.url)


async def test_a_service_of_sentinels_by_tls(ways: Ways, certificate: tuple[Path, Path]) -> None:
    address, _, options = ways.tls_url.partition("/0?")
    held, key = certificate
    port = free_port()
    secure = (
        *("--tls-port", str(port), "--tls-replication", "yes", "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(held), "--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(held)),
    )
    with Sentinel("shop", int(address.rpartition(":")[2]), 1, arguments=secure):
        url = f"rediss+sentinel://127.0.0.1:{port}/shop/0?{options}&sentinel_{options}"
        await works(url, ways.server.url)


async def test_by_a_socket_in_the_file_system(by_socket: tuple[Server, str]) -> None:
    server, url = by_socket
    await works(url, server.url)


async def test_a_certificate_that_is_not_trusted_is_no_connection(ways: Ways) -> None:
    own = Link(Endpoint.of(ways.tls_trusting_nobody), connect_timeout_s=5)
    with pytest.raises(LinkLost, match="cannot be reached"):
        await own.get(b"k")
    await own.aclose()


async def test_tls_where_none_is_spoken_is_no_connection(own_redis: Server) -> None:
    own = Link(Endpoint.of(own_redis.url.replace("redis:", "rediss:")), connect_timeout_s=1)
    with pytest.raises(LinkLost, match="cannot be reached"):
        await own.get(b"k")
    await own.aclose()


async def test_plain_words_to_a_server_of_tls_are_no_connection(ways: Ways) -> None:
    own = Link(Endpoint.of(ways.tls_url.replace("rediss:", "redis:").partition("?")[0]))
    with pytest.raises(LinkLost):
        await own.get(b"k")
    await own.aclose()


async def test_with_a_password(own_redis: Server) -> None:
    own_redis.ask("CONFIG", "SET", "requirepass", "hunter2")
    url = own_redis.url.replace("redis://", "redis://:hunter2@")
    await works(url, url)


async def test_a_wrong_password_is_no_connection_and_is_not_told(own_redis: Server) -> None:
    own_redis.ask("CONFIG", "SET", "requirepass", "right")
    own = Link(Endpoint.of(own_redis.url.replace("redis://", "redis://:hunter2@")))
    with pytest.raises(LinkLost, match="AuthenticationError") as caught:
        await own.get(b"k")
    assert "hunter2" not in str(caught.value)
    await own.aclose()


RIGHTS = "+@all -@admin -@dangerous +info +client"


async def test_as_a_user_with_rights_to_the_namespace_alone(own_redis: Server) -> None:
    own_redis.ask("ACL", "SETUSER", "me", "on", ">pw", "~fw:*", "&__redis__:*", *RIGHTS.split())
    await works(own_redis.url.replace("redis://", "redis://me:pw@"), own_redis.url)


@pytest.mark.parametrize("missing", ["-client|tracking", "-subscribe", "resetchannels"])
async def test_a_user_who_may_not_track_has_l1_for_max_staleness(
    own_redis: Server, missing: str
) -> None:
    words = ["on", ">pw", "~fw:*", "&__redis__:*", *RIGHTS.split(), missing]
    own_redis.ask("ACL", "SETUSER", "me", *words)
    url = own_redis.url.replace("redis://", "redis://me:pw@")
    async with AsyncCache(url, max_staleness=0.1) as cache, AsyncCache(own_redis.url) as other:
        await other.set("a", 1)
        assert await cache.get("a") == 1
        await until(lambda: cache.stats().coherence == "ttl-only", "it falls back")
        await other.set("a", 2)
        await until(partial(has_left, cache), "L1 is empty")
        assert await cache.get("a") == 2


async def test_a_user_without_rights_to_the_keys_gets_what_the_source_has(
    own_redis: Server,
) -> None:
    own_redis.ask("ACL", "SETUSER", "me", "on", ">pw", "~other:*", "+@all")

    async def load() -> int:
        return 1

    async with AsyncCache(own_redis.url.replace("redis://", "redis://me:pw@")) as cache:
        assert await cache.get("a") is None
        assert await cache.get_or_load("a", load) == 1
        assert cache.stats().l2_errors > 0


async def test_another_database(own_redis: Server) -> None:
    url = own_redis.url.removesuffix("/0") + "/3"
    await works(url, url)
    assert b"fw:e:default:large" not in own_redis.ask("KEYS", "*")


async def test_a_database_that_there_is_not_is_no_connection(own_redis: Server) -> None:
    own = Link(Endpoint.of(own_redis.url.removesuffix("/0") + "/999"))
    with pytest.raises(LinkLost):
        await own.get(b"k")
    await own.aclose()


@pytest.mark.parametrize("options", ["ssl_ca_certs=/none", "ssl_ciphers=x"])
async def test_settings_that_tls_stumbles_over_are_no_connection(ways: Ways, options: str) -> None:
    own = Link(Endpoint.of(f"{ways.tls_trusting_nobody}?{options}"))
    with pytest.raises(LinkLost):
        await own.get(b"k")
    await own.aclose()


async def test_a_host_whose_name_cannot_be_one_is_no_connection() -> None:
    own = Link(Endpoint.of("redis://a..b:1/0"))
    with pytest.raises(LinkLost):
        await own.get(b"k")
    await own.aclose()


@pytest.mark.parametrize("colour", CLIENTS)
async def test_a_clients_settings_are_used_and_its_pool_is_not(ways: Ways, colour: str) -> None:
    for url in (ways.server.url.removesuffix("/0") + "/3", ways.tls_url, ways.unix_url):
        client = from_url(colour, url)
        by = url if url.startswith("redis:") else ways.server.url
        await works(client, by)
        pool = client.connection_pool
        assert not pool._available_connections, "the client's own pool was left alone"
        assert not pool._in_use_connections


@pytest.mark.parametrize("colour", CLIENTS)
async def test_a_client_made_by_keywords_will_do(ways: Ways, colour: str) -> None:
    host, port = "127.0.0.1", ways.server.port
    plain = from_settings(colour, host=host, port=port, health_check_interval=3)
    await works(plain, ways.server.url)
    tls_port, held = ways.tls_url.rpartition(":")[2].split("/0?ssl_ca_certs=")
    secure = from_settings(colour, host=host, port=int(tls_port), ssl=True, ssl_ca_certs=held)
    await works(secure, ways.server.url)


@pytest.mark.parametrize("options", ["ssl_cert_reqs=bogus", "unheard_of=1", "db=x"])
async def test_options_that_no_connection_knows_are_refused_when_building(options: str) -> None:
    with pytest.raises(ConfigurationError):
        AsyncCache(f"rediss://127.0.0.1:1/0?{options}")


async def test_a_server_that_takes_no_more_clients(own_redis: Server) -> None:
    own_redis.ask("CONFIG", "SET", "maxclients", "1")
    occupied = Link(Endpoint.of(own_redis.url))
    assert unerring((await occupied.batch([("PING",)]))[0]) == b"PONG"
    own = Link(Endpoint.of(own_redis.url))
    with pytest.raises(LinkLost, match="cannot be reached"):
        await own.get(b"k")
    await own.aclose()
    await occupied.aclose()
