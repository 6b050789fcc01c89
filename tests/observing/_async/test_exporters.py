"""A scripted workload with known counts, as Prometheus and OpenTelemetry get to see it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, start_http_server

from freshwell import AsyncCache, ConfigurationError
from freshwell.opentelemetry import instrument
from freshwell.prometheus import FreshwellCollector
from tests.support.aio import Latch, start, until
from tests.support.blocking import blocking_allowed

SECRET = "swordfish"


NOWHERE = Resource.get_empty()
"""Given, so that the SDK does not look for the resource it runs on by threads of its own."""


async def number(n: int) -> int:
    if n < 0:
        raise ValueError(f"the password is {SECRET}")
    return n


async def script(cache: AsyncCache) -> None:
    """Make 3 loads, one of which fails, 4 hits, 3 misses, and invalidate 2 keys and a tag."""
    double = cache.cached(SECRET + ":{n}", tags=["numbers"])(number)
    await double(1)
    await double(2)
    for _ in range(4):
        await double(1)
    with pytest.raises(ValueError, match="password"):
        await double(-1)
    await cache.invalidate("a", "b")
    await cache.invalidate_tags("numbers")


EXPECTED = {
    ("freshwell.hits", "l1"): 4,
    ("freshwell.hits", "l2"): 0,
    ("freshwell.misses",): 3,
    ("freshwell.loads",): 3,
    ("freshwell.load.errors", "any"): 1,
    ("freshwell.load.errors", "refresh"): 0,
    ("freshwell.invalidations", "keys"): 2,
    ("freshwell.invalidations", "tags"): 1,
    ("freshwell.invalidations", "writes"): 0,
    ("freshwell.fills", "stored"): 2,
    ("freshwell.l1.live",): 1,
    ("freshwell.l1.coherence", "alone"): 1,
}


@contextmanager
def scraped(registry: CollectorRegistry) -> Iterator[str]:
    with blocking_allowed():
        server, thread = start_http_server(0, "127.0.0.1", registry)
        try:
            url = f"http://127.0.0.1:{server.server_port}/metrics"
            with urllib.request.urlopen(url, timeout=10) as reply:
                yield reply.read().decode()
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


async def test_a_scrape_has_the_counts_of_the_workload() -> None:
    registry = CollectorRegistry()
    async with AsyncCache(namespace="shop") as cache:
        registry.register(FreshwellCollector(cache))
        await script(cache)
        with scraped(registry) as text:
            lines = text.splitlines()
    assert 'freshwell_hits_total{namespace="shop",tier="l1"} 4.0' in lines
    assert 'freshwell_misses_total{namespace="shop"} 3.0' in lines
    assert 'freshwell_loads_total{namespace="shop"} 3.0' in lines
    assert 'freshwell_load_errors_total{namespace="shop",of="any"} 1.0' in lines
    assert 'freshwell_load_duration_seconds_count{namespace="shop"} 3.0' in lines
    assert 'freshwell_load_duration_seconds_bucket{le="+Inf",namespace="shop"} 3.0' in lines
    assert 'freshwell_l1_coherence{mode="alone",namespace="shop"} 1.0' in lines
    assert SECRET not in text


async def test_caches_are_told_apart_by_their_namespaces() -> None:
    async with AsyncCache(namespace="a") as one, AsyncCache(namespace="b") as other:
        collector = FreshwellCollector(one, other)
        await one.get("x")
        registry = CollectorRegistry()
        registry.register(collector)
        assert registry.get_sample_value("freshwell_misses_total", {"namespace": "a"}) == 1
        assert registry.get_sample_value("freshwell_misses_total", {"namespace": "b"}) == 0
        async with AsyncCache(namespace="a") as twin:
            with pytest.raises(ConfigurationError, match="namespace 'a'"):
                collector.add(twin)


async def test_what_is_no_cache_is_refused() -> None:
    nothing: Any = object()
    with pytest.raises(ConfigurationError, match="object"):
        FreshwellCollector(nothing)
    with pytest.raises(ConfigurationError, match="object"):
        instrument(nothing)


def points(reader: InMemoryMetricReader) -> dict[tuple[str, ...], Any]:
    """Return what was exported: values by the metric's name and the values of its labels."""
    data: Any = reader.get_metrics_data()
    found: dict[tuple[str, ...], Any] = {}
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    labels = dict(point.attributes)
                    assert labels.pop("namespace") == "shop"
                    value = point.count if hasattr(point, "count") else point.value
                    found[metric.name, *labels.values()] = value
    return found


async def test_opentelemetry_has_the_counts_of_the_workload() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=NOWHERE)
    async with AsyncCache(namespace="shop") as cache:
        with instrument(cache, meter_provider=provider, use_spans=False):
            await script(cache)
            found = points(reader)
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert found[("freshwell.load.duration",)] == 3
    provider.shutdown()


async def test_loads_and_invalidations_have_spans_and_hits_have_none() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(resource=NOWHERE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with AsyncCache(namespace="shop") as cache:
        with instrument(cache, tracer_provider=provider, use_metrics=False):
            await script(cache)
        await cache.get_or_load("after", lambda: number(1))
    spans = exporter.get_finished_spans()
    names = [span.name for span in spans]
    assert names == ["cache.load"] * 3 + ["cache.invalidate", "cache.invalidate_tags"]
    failed = spans[2]
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "ValueError"
    assert not failed.status.is_ok
    assert failed.attributes["cache.namespace"] == "shop"
    assert len(str(failed.attributes["cache.key.digest"])) == 12
    assert SECRET not in "".join(span.to_json() for span in spans)


async def test_a_span_of_the_loader_is_a_child_of_the_load(redis_url: str) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(resource=NOWHERE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")

    async def load() -> int:
        with tracer.start_as_current_span("SELECT"):
            return 1

    async with AsyncCache(redis_url, namespace="shop", l1=False) as cache:
        with instrument(cache, tracer_provider=provider, use_metrics=False):
            with tracer.start_as_current_span("request"):
                await cache.get_or_load("a", load)
            await cache.get("a")
    spans = {span.name: span for span in exporter.get_finished_spans() if span.name != "cache.read"}
    reads = [span for span in exporter.get_finished_spans() if span.name == "cache.read"]
    assert spans["SELECT"].parent == spans["cache.load"].get_span_context()
    assert spans["cache.load"].parent == spans["request"].get_span_context()
    assert [dict(span.attributes or {})["cache.result"] for span in reads] == ["miss", "hit"]


async def test_a_cache_is_instrumented_once_at_a_time() -> None:
    async with AsyncCache(namespace="shop") as cache:
        first = instrument(cache)
        with pytest.raises(ConfigurationError, match="already"):
            instrument(cache)
        first.close()
        instrument(cache).close()


async def test_leases_are_counted_as_won_and_waited_for(redis_url: str) -> None:
    async with (
        AsyncCache(redis_url, namespace="shop", l1=False) as one,
        AsyncCache(redis_url, namespace="shop", l1=False) as other,
    ):
        gate, begun = Latch(), Latch()

        async def load() -> int:
            begun.open()
            await gate.passed()
            return 1

        first = await start(lambda: one.get_or_load("a", load))
        await begun.passed()
        second = await start(lambda: other.get_or_load("a", load))
        await until(lambda: other.stats().lease_waits > 0)
        gate.open()
        assert [await first.result(), await second.result()] == [1, 1]
        assert (one.stats().leases_won, other.stats().leases_won) == (1, 0)
