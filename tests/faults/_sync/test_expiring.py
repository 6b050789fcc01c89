"""What has been expired is fresh to nobody, however badly a process knows the server's clock."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from freshwell import Cache
from freshwell.testing import DOWN, FaultProxy
from tests.support.servers import Server


def test_who_learnt_the_servers_clock_over_a_slow_link_reads_nothing_expired(
    own_redis: Server,
) -> None:
    with FaultProxy(own_redis.port) as between:
        between.delay(0.2, DOWN)  # the estimate is behind by half of it
        with (
            Cache(between.url, command_timeout=5, drain=0) as cache,
            Cache(own_redis.url, drain=0) as other,
        ):
            other.set("a", 1)
            assert cache.get("a", read="fresh") == 1
            between.delay(0.0)
            other.expire("a")
            assert cache.get("a", read="fresh") is None
