"""What the tests of this folder share: links and stores over a cluster, keys on all nodes."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from freshwell._sync.stores.base import Fill
from freshwell._sync.stores.cluster import ClusterLink
from freshwell._sync.stores.redis import RedisStore
from freshwell._kit.places import ClusterPlace, place_of
from freshwell.engines.tokens import Tokens
from freshwell.ground.frame import State, encode
from freshwell.ground.keys import digest8
from tests.support.cluster import Cluster
from tests.support.servers import Server

__all__ = ["KEYS", "another", "opened", "store_over", "value"]

KEYS = [b"fw:e:default:%d" % number for number in range(40)] + [
    *(b"fw:e:{user:%d}:name" % number for number in range(20)),
    *(b"fw:e:{}x%d" % number for number in range(5)),
    *(b"fw:e:}{%d" % number for number in range(5)),
]
"""Keys that lie on every node, some of them with braces that decide their slots."""


class opened:  # noqa: N801 - it is used as a function is
    """Give a link to a cluster, with time enough for a busy machine, and close it in the end."""

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        place = place_of(url)
        assert isinstance(place, ClusterPlace)
        self._link = ClusterLink(place, connect_timeout_s=timeout_s, command_timeout_s=timeout_s)

    def __enter__(self) -> ClusterLink:
        return self._link

    def __exit__(self, *error: object) -> None:
        self._link.close()


def store_over(link: ClusterLink, lease_ms: int = 30_000) -> RedisStore:
    return RedisStore(link, lease_ms=lease_ms, new_token=Tokens(8))


def value(key: bytes, token: bytes = b"", text: bytes = b"1") -> Fill:
    frame = encode(
        state=State.VALUE, codec=1, digest=digest8(key), payload=text, token=token or bytes(8)
    )
    return Fill(key, token, frame, 60_000, 120_000)


def another(cluster: Cluster, node: Server) -> Server:
    """Return a primary that is not this one."""
    return next(primary for primary in cluster.primaries if primary is not node)
