"""Read caches when Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from freshwell.engines.metrics import METRICS, Metric, Observation, Sample, prometheus_name
from freshwell.engines.spread import Spread
from freshwell.errors import ConfigurationError

__all__ = ["FreshwellCollector"]


class Observed(Protocol):
    """A cache, of either colour."""

    def observe(self) -> Observation: ...


class FreshwellCollector(Collector):
    """Reads caches when Prometheus scrapes. Safe for any number of threads; costs no I/O.

    Caches that share a namespace need a collector, and a registry, each: their samples would have
    the same labels.

    Raises:
        ConfigurationError: What is given is no cache, or two caches share a namespace.
    """

    def __init__(self, *caches: Observed) -> None:
        self._mutex = Lock()
        self._caches: dict[str, Observed] = {}
        for cache in caches:
            self.add(cache)

    def add(self, cache: Observed) -> None:
        """Read one more cache from now on."""
        observe = getattr(cache, "observe", None)
        if observe is None:
            raise ConfigurationError(
                f"a collector reads caches, not {type(cache).__name__}: give a Cache or AsyncCache"
            )
        namespace = observe().namespace
        with self._mutex:
            if namespace in self._caches:
                raise ConfigurationError(
                    f"two caches have the namespace {namespace!r}, and their samples would be one: "
                    "give each a namespace of its own"
                )
            self._caches[namespace] = cache

    def describe(self) -> Iterable[Family]:
        """Return the metrics without samples, so that registering reads nothing."""
        return [_family(metric) for metric in METRICS]

    def collect(self) -> Iterator[Family]:
        """Return the metrics as they are now."""
        with self._mutex:
            caches = list(self._caches.values())
        seen = [cache.observe() for cache in caches]
        for metric in METRICS:
            family = _family(metric)
            for observation in seen:
                for sample in metric.read(observation):
                    _add(family, observation.namespace, sample)
            yield family


def _family(metric: Metric) -> Family:
    name, labels = prometheus_name(metric), ("namespace", *metric.labels)
    if metric.kind == "counter":
        return CounterMetricFamily(name.removesuffix("_total"), metric.text, labels=labels)
    if metric.kind == "gauge":
        return GaugeMetricFamily(name, metric.text, labels=labels)
    return HistogramMetricFamily(name, metric.text, labels=labels)


def _add(family: Family, namespace: str, sample: Sample) -> None:
    labels = [namespace, *sample.labels]
    if isinstance(family, HistogramMetricFamily):
        assert isinstance(sample.value, Spread)
        family.add_metric(labels, _buckets(sample.value), sum_value=sample.value.total_s)
    elif isinstance(family, CounterMetricFamily | GaugeMetricFamily):
        assert not isinstance(sample.value, Spread)
        family.add_metric(labels, float(sample.value))


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    """Return how many times there were up to each bound."""
    buckets, total = [], 0
    for bound, count in zip((*spread.bounds_s, None), spread.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound is None else repr(bound), float(total)))
    return buckets
