"""Metrics of caches for Prometheus: the extra ``freshwell[prometheus]``.

::

    from prometheus_client import REGISTRY
    from freshwell.prometheus import FreshwellCollector

    REGISTRY.register(FreshwellCollector(cache))

Nothing is counted twice or kept: each scrape reads the counters of the caches as they are. The
names are in the how-to on observing; keys are in none of them.
"""

from __future__ import annotations

try:
    import prometheus_client as _prometheus_client  # noqa: F401  # its absence is told in words
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "freshwell.prometheus needs prometheus_client: pip install 'freshwell[prometheus]'",
        name=_missing.name,
    ) from _missing

from freshwell.prometheus.collector import FreshwellCollector

__all__ = ["FreshwellCollector"]
