"""Give OpenTelemetry the metrics and spans of caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, TracerProvider

from freshwell.engines.metrics import METRICS, Metric
from freshwell.engines.metrics import Observation as Seen
from freshwell.engines.observing import Observing
from freshwell.engines.spans import Note
from freshwell.engines.spread import Spread, Spreading
from freshwell.errors import ConfigurationError
from freshwell.ground.keys import short_digest

__all__ = ["Instrumentation", "instrument"]

_SCOPE = "freshwell"
_OUTSIDE = ("read", "invalidate", "invalidate_tags")
"""What waits for another machine."""


class Observed(Protocol):
    """A cache, of either colour."""

    def observe(self) -> Seen: ...

    @property
    def observing(self) -> Observing: ...


class Instrumentation:
    """A cache that is being watched, until `close`. Thread-safe."""

    def __init__(self, cache: Observed, meter: Meter | None, tracer: Tracer | None) -> None:
        self._cache: Observed | None = cache
        self._observing = cache.observing
        self._namespace = cache.observe().namespace
        self._listening: list[Spreading] = []
        if meter is not None:
            self._measure(meter)
        if tracer is not None:
            self._observing.spans.opener = _opener(tracer, self._namespace)

    def close(self) -> None:
        """Watch no more: no spans, and metrics without samples. Idempotent."""
        self._cache = None
        self._observing.spans.opener = None
        for spreading in self._listening:
            spreading.listener = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _measure(self, meter: Meter) -> None:
        times = {
            "freshwell.load.duration": self._observing.loads,
            "freshwell.notice.delay": self._observing.notices,
        }
        for metric in METRICS:
            if metric.kind == "histogram":
                self._listen(meter, metric, times[metric.name])
            elif metric.kind == "counter":
                meter.create_observable_counter(
                    metric.name, [self._callback(metric)], metric.unit, metric.text
                )
            else:
                meter.create_observable_gauge(
                    metric.name, [self._callback(metric)], metric.unit, metric.text
                )

    def _listen(self, meter: Meter, metric: Metric, spreading: Spreading) -> None:
        histogram = meter.create_histogram(metric.name, metric.unit, metric.text)
        labels = {"namespace": self._namespace}
        spreading.listener = lambda seconds: histogram.record(seconds, labels)
        self._listening.append(spreading)

    def _callback(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(options: CallbackOptions) -> Iterable[Observation]:
            cache = self._cache
            for sample in () if cache is None else metric.read(cache.observe()):
                assert not isinstance(sample.value, Spread)
                labels = dict(zip(metric.labels, sample.labels, strict=True))
                yield Observation(float(sample.value), {"namespace": self._namespace, **labels})

        return read


def instrument(
    cache: Observed,
    *,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
    use_metrics: bool = True,
    use_spans: bool = True,
) -> Instrumentation:
    """Give OpenTelemetry the metrics and spans of a cache.

    The providers default to the global ones. Call it once for each cache, when the program starts;
    the result's `close` ends it.

    Raises:
        ConfigurationError: What is given is no cache, or one that has spans already.
    """
    observing = getattr(cache, "observing", None)
    if not isinstance(observing, Observing):
        raise ConfigurationError(
            f"what is instrumented is a cache, not {type(cache).__name__}: give a Cache or "
            "AsyncCache"
        )
    if use_spans and observing.spans.opener is not None:
        raise ConfigurationError(
            "this cache is instrumented already: close the first instrumentation, or call "
            "instrument once"
        )
    meter = tracer = None
    if use_metrics:
        meter = (meter_provider or metrics.get_meter_provider()).get_meter(_SCOPE)
    if use_spans:
        tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer(_SCOPE)
    return Instrumentation(cache, meter, tracer)


def _opener(tracer: Tracer, namespace: str) -> Any:
    @contextmanager
    def opened(name: str, given: Mapping[str, Any]) -> Iterator[Note]:
        kind = SpanKind.CLIENT if name in _OUTSIDE else SpanKind.INTERNAL
        # Not the exception itself: its text may hold what no trace may.
        with tracer.start_as_current_span(
            f"cache.{name}",
            kind=kind,
            attributes={"cache.namespace": namespace, **_attributes(given)},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def note(**attributes: Any) -> None:
                for key, value in attributes.items():
                    span.set_attribute(f"cache.{key}", value)

            try:
                yield note
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    return opened


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    keys = given.get("keys")
    if keys is None:
        return {f"cache.{name}": value for name, value in given.items()}
    rest = {f"cache.{name}": value for name, value in given.items() if name != "keys"}
    attributes: dict[str, Any] = {"cache.count": len(keys), **rest}
    if len(keys) == 1:
        attributes["cache.key.digest"] = short_digest(keys[0])
    return attributes
