"""Series of the event loop's own are scraped as prometheus_client's would be."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from prometheus_client import CollectorRegistry
from prometheus_client import Counter
from prometheus_client import Histogram
from prometheus_client import generate_latest
from prometheus_client.registry import Collector

from app.metrics.loop import LoopCounter
from app.metrics.loop import LoopHistogram


def lines(*collectors: Collector) -> Iterator[str]:
    """What Prometheus gets of them, but for the times at which series were made."""
    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)
    for line in generate_latest(registry).decode().splitlines():
        if "_created" not in line:
            yield line


def test_both_are_scraped_alike() -> None:
    about = ("of the loop, \\ and \n", ["kind", "by"])
    counters = LoopCounter("one_counted", *about), Counter("one_counted", *about, registry=None)
    histograms = (
        LoopHistogram("one_observed", *about),
        Histogram("one_observed", *about, registry=None),
    )
    for counter in counters:
        counter.labels("none", "0")
        counter.labels('"', "\n").inc()
        counter.labels('"', "\n").inc(41)
        counter.labels("none", 0).inc()  # type: ignore[arg-type]  # not everyone has mypy
    for histogram in histograms:
        histogram.labels("none", "0")
        for amount in (0, 0.005, 0.0050001, 0.3, 10, 11, 1e9):
            histogram.labels("some", "é").observe(amount)
    ours, theirs = lines(counters[0], histograms[0]), lines(counters[1], histograms[1])
    assert [*ours] == [*theirs]
    for mine in (counters[0], histograms[0]):
        REGISTRY.unregister(mine)


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        LoopCounter("http_request_duration_seconds", "", [])


def test_each_label_has_a_value() -> None:
    counter = LoopCounter("one_labelled", "", ["kind"])
    with pytest.raises(ValueError, match="one_labelled"):
        counter.labels()
    REGISTRY.unregister(counter)
