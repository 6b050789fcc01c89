"""The dashboard and the alerts ask for metrics that there are."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import reference_metrics
from freshwell import Cache
from freshwell.engines.metrics import METRICS, Observation, prometheus_name
from freshwell.ground.records import Backlog
from freshwell.prometheus import FreshwellCollector


@pytest.fixture(scope="module")
def exported() -> set[str]:
    """Give the names of all samples that a scrape has."""
    registry = CollectorRegistry()
    with Cache(namespace="n") as cache:
        registry.register(FreshwellCollector(_Busy(cache.observe())))
        text = generate_latest(registry).decode()
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


class _Busy:
    """A cache with a journal and a feed, as far as metrics see it."""

    def __init__(self, seen: Observation) -> None:
        held = Backlog(records=1, bytes=9, dead=0, oldest_age_s=0.5, durability="memory")
        self._seen = seen._replace(journals={"users": held}, session_age_s=0.1)

    def observe(self) -> Observation:
        return self._seen


def asked(text: str) -> set[str]:
    return set(re.findall(r"\bfreshwell_\w+", text))


def test_every_metric_is_scraped_under_its_name(exported: set[str]) -> None:
    for metric in METRICS:
        name = prometheus_name(metric)
        assert (f"{name}_count" if metric.kind == "histogram" else name) in exported


def test_every_panel_asks_for_something_that_is_scraped(exported: set[str]) -> None:
    board = json.loads(reference_metrics.dashboard())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert set().union(*map(asked, queries)) <= exported


def test_every_metric_has_a_panel() -> None:
    shown = asked(reference_metrics.dashboard())
    for metric in METRICS:
        name = prometheus_name(metric)
        assert (f"{name}_bucket" if metric.kind == "histogram" else name) in shown


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(reference_metrics.dashboard())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("alert", reference_metrics.ALERTS, ids=lambda alert: alert.name)
def test_an_alert_asks_for_metrics_and_labels_that_there_are(
    alert: reference_metrics.Alert, exported: set[str]
) -> None:
    names = asked(alert.expression)
    assert names
    assert names <= exported
    labels = {label for metric in METRICS for label in metric.labels}
    assert set(re.findall(r"(\w+)=~?\"", alert.expression)) <= labels
    assert json.dumps(alert.expression) in reference_metrics.alerts()
