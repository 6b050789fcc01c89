"""Metrics and spans of caches for OpenTelemetry: the extra ``freshwell[opentelemetry]``.

::

    from freshwell.opentelemetry import instrument

    instrument(cache)

Only OpenTelemetry's API is used: what becomes of it is up to the SDK that the program sets up.
Metrics are read from the counters when the SDK collects, and cost a hit nothing. Spans are put
around loads, reads of L2 and invalidations; hits in L1 have none. They name keys by digests.
"""

from __future__ import annotations

try:
    import opentelemetry.trace as _trace  # noqa: F401  # its absence is told in words
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "freshwell.opentelemetry needs OpenTelemetry's API: pip install 'freshwell[opentelemetry]'",
        name=_missing.name,
    ) from _missing

from freshwell.opentelemetry.instrumentation import Instrumentation, instrument

__all__ = ["Instrumentation", "instrument"]
