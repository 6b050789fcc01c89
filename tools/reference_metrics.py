"""Write the table of metrics, a dashboard for Grafana and alerts from ``engines/metrics``."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from freshwell.engines.metrics import METRICS, Metric, prometheus_name

__all__ = ["ALERTS", "alerts", "dashboard", "page"]

_HEAD: Final = """# Metrics

Written by `tools/reference.py` from the table that exporters read: change that, not this page.

Each has the label `namespace` too. OpenTelemetry has the names in the first column
([`freshwell.opentelemetry`](../how-to/observe.md#opentelemetry)), Prometheus those in the second
([`freshwell.prometheus`](../how-to/observe.md#prometheus)). Units are UCUM's: what is counted
stands in braces. Beside this page lie [a dashboard for Grafana](grafana-dashboard.json) and
[alerts for Prometheus](prometheus-alerts.yml), made from the same table.

| OpenTelemetry | Prometheus | kind | unit | labels | what it counts |
|---|---|---|---|---|---|
"""

_ROWS: Final = {
    "Answers": ("hits", "misses"),
    "Loads": ("loads", "load", "leases", "refreshes", "fills"),
    "Invalidation": ("invalidations", "notices", "notice", "outdated", "spool"),
    "Memory": ("l1",),
    "What degrades": ("errors", "degraded", "l2", "breaker"),
    "Write-behind": ("behind", "journal"),
}
"""The rows of the dashboard, and the second words of the metrics in each."""

_WIDTH, _HEIGHT, _PER_ROW = 8, 7, 3
_BY_NAMESPACE: Final = '{namespace=~"$namespace"}'


class Alert(NamedTuple):
    """A rule of Prometheus."""

    name: str
    expression: str
    wait: str
    severity: str
    summary: str


ALERTS: Final = (
    Alert(
        "FreshwellL2Failing",
        'sum by (namespace) (rate(freshwell_errors_total{kind="call"}[5m])) > 1',
        "5m",
        "warning",
        "Redis is slow, down, or refuses commands: reads go on with the loader.",
    ),
    Alert(
        "FreshwellL2Down",
        "max by (namespace) (freshwell_breaker_servers) > 0",
        "1m",
        "critical",
        "Redis is down and left alone: reads go to the source, under max_loads.",
    ),
    Alert(
        "FreshwellMemorySilent",
        "min by (namespace) (freshwell_l1_live) == 0",
        "5m",
        "warning",
        "The feed is not proven to be alive in some process: its memory does not answer.",
    ),
    Alert(
        "FreshwellWithoutFeed",
        'count by (namespace) (freshwell_l1_coherence{mode="ttl-only"}) > 0',
        "10m",
        "warning",
        "Redis refuses CLIENT TRACKING: memory keeps entries for max_staleness only.",
    ),
    Alert(
        "FreshwellShedding",
        "sum by (namespace) (rate(freshwell_loads_shed_total[5m])) > 0",
        "5m",
        "critical",
        "The source is slower than the demand: callers get LoadShed.",
    ),
    Alert(
        "FreshwellLoadsFailing",
        'sum by (namespace) (rate(freshwell_load_errors_total{of="any"}[5m])) '
        "> 0.1 * sum by (namespace) (rate(freshwell_loads_total[5m]))",
        "5m",
        "critical",
        "More than a tenth of the loads fail.",
    ),
    Alert(
        "FreshwellForeignBytes",
        'sum by (namespace) (rate(freshwell_errors_total{kind=~"frame|codec"}[15m])) > 0',
        "30m",
        "warning",
        "Bytes in Redis are not ours, or do not fit the types any more.",
    ),
    Alert(
        "FreshwellSpoolWaits",
        "max by (namespace) (freshwell_spool_age_seconds) > 60",
        "1m",
        "critical",
        "Invalidations wait for Redis: other processes may serve what they are of.",
    ),
    Alert(
        "FreshwellDeadLetters",
        'sum by (namespace) (increase(freshwell_behind_writes_total{outcome="dead"}[15m])) > 0',
        "0m",
        "critical",
        "The source will not have accepted writes: see freshwell journal list.",
    ),
    Alert(
        "FreshwellWritesLost",
        'sum by (namespace) (increase(freshwell_behind_writes_total{outcome="lost"}[15m])) > 0',
        "0m",
        "critical",
        "A journal has lost acknowledged writes.",
    ),
    Alert(
        "FreshwellFlushFailing",
        "sum by (namespace) (rate(freshwell_behind_flush_errors_total[5m])) > 0",
        "10m",
        "warning",
        "Write-behind waits: the source or the journal is down.",
    ),
)


def page() -> str:
    """Return the table of metrics."""
    return _HEAD + "".join(map(_line, METRICS))


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    cells = (
        f"`{metric.name}`",
        f"`{prometheus_name(metric)}`",
        metric.kind,
        f"`{metric.unit}`",
        labels,
        metric.text,
    )
    return f"| {' | '.join(cells)} |\n"


def alerts() -> str:
    """Return the file of alerting rules. Texts are quoted as JSON, which is YAML too."""
    lines = ["# Written by tools/reference.py.", "groups:", "  - name: freshwell", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.expression)}",
            f"        for: {alert.wait}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {json.dumps(alert.summary)}",
        ]
    return "\n".join(lines) + "\n"


def dashboard() -> str:
    """Return the dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, words in _ROWS.items():
        panels.append(
            {
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            }
        )
        top += 1
        shown = [_panel(metric) for metric in METRICS if metric.name.split(".")[1] in words]
        if title == "Answers":
            shown.insert(0, _hit_ratio())
        for number, panel in enumerate(shown):
            row, column = divmod(number, _PER_ROW)
            place = {"x": column * _WIDTH, "y": top + row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            panels.append({**panel, "gridPos": place})
        top += _HEIGHT * -(-len(shown) // _PER_ROW)
    board = {
        "title": "freshwell",
        "uid": "freshwell",
        "schemaVersion": 39,
        "tags": ["cache"],
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source_variable(), _namespace_variable()]},
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, 1)],
    }
    return json.dumps(board, indent=1) + "\n"


def _source_variable() -> dict[str, Any]:
    return {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}


def _namespace_variable() -> dict[str, Any]:
    query = "label_values(freshwell_misses_total, namespace)"
    return {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "$source"},
        "query": query,
        "definition": query,
        "multi": True,
        "includeAll": True,
        "refresh": 2,
    }


def _hit_ratio() -> dict[str, Any]:
    hits = f"sum(rate(freshwell_hits_total{_BY_NAMESPACE}[$__rate_interval]))"
    misses = f"sum(rate(freshwell_misses_total{_BY_NAMESPACE}[$__rate_interval]))"
    text = "The share of reads that a tier answered."
    return _graph(
        "Hit ratio", "percentunit", [(f"{hits} / ({hits} + {misses})", "hit ratio")], text
    )


def _panel(metric: Metric) -> dict[str, Any]:
    name = prometheus_name(metric)
    unit = {"s": "s", "By": "bytes"}.get(metric.unit, "short")
    labels = ", ".join(("namespace", *metric.labels))
    legend = " ".join(f"{{{{{label}}}}}" for label in ("namespace", *metric.labels))
    if metric.kind == "histogram":
        rates = f"rate({name}_bucket{_BY_NAMESPACE}[$__rate_interval])"
        queries = [
            (f"histogram_quantile({share}, sum by (namespace, le) ({rates}))", f"{legend} {said}")
            for share, said in ((0.5, "p50"), (0.99, "p99"))
        ]
        return _graph(name, "s", queries, metric.text)
    if metric.kind == "counter":
        query = f"sum by ({labels}) (rate({name}{_BY_NAMESPACE}[$__rate_interval]))"
        return _graph(
            name, f"{unit}/s" if unit == "bytes" else "cps", [(query, legend)], metric.text
        )
    return _graph(name, unit, [(f"sum by ({labels}) ({name}{_BY_NAMESPACE})", legend)], metric.text)


def _graph(title: str, unit: str, queries: list[tuple[str, str]], text: str) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "$source"}
    return {
        "type": "timeseries",
        "title": title,
        "description": text,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": "AB"[number], "datasource": source, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(queries)
        ],
    }
