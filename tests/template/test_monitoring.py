"""Dashboards and alerts: each pattern with metrics has its own, and they ask for nothing that is not counted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from perfgen import contents
from tests.missing import missing
from tests.template.sets import CATALOGUE

MONITORING = Path(__file__).parents[2] / "template" / "<<project>>" / "monitoring"
DASHBOARDS = sorted(path.stem for path in (MONITORING / "dashboards").glob("*.json"))
ALERTS = sorted(path.stem for path in (MONITORING / "alerts").glob("*.yaml"))
# Of prometheus_client itself, and of the functions and labels of an expression.
EVERY_PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
METRIC = re.compile(r"\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b(?!\s*\()")


def expressions(kind: str, name: str) -> Iterator[str]:
    """Everything that a dashboard, or a file of alerts, asks Prometheus."""
    if kind == "dashboards":
        document = json.loads((MONITORING / kind / f"{name}.json").read_text())
        yield from (target["expr"] for panel in document["panels"] for target in panel["targets"])
    else:
        document = yaml.safe_load((MONITORING / kind / f"{name}.yaml").read_text())
        yield from (rule["expr"] for group in document["groups"] for rule in group["rules"])


def counted(name: str) -> set[str]:
    """The metrics of a pattern, and what Prometheus makes of histograms."""
    metrics = contents.contents(CATALOGUE.patterns[name], CATALOGUE)["metrics"]
    return {metric + end for metric in metrics for end in ("", "_bucket", "_sum", "_count")}


def asked(expression: str) -> set[str]:
    """The metrics that an expression names."""
    without = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", expression)
    return set(METRIC.findall(without))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("dashboards", name) for name in DASHBOARDS] + [("alerts", name) for name in ALERTS],
)
def test_asks_for_what_is_counted(kind: str, name: str) -> None:
    found = {metric for one in expressions(kind, name) for metric in asked(one)}
    assert found, "it asks for something"
    assert found <= counted(name) | EVERY_PROCESS


@pytest.mark.parametrize("name", sorted(CATALOGUE.patterns))
def test_every_metric_is_on_the_dashboard(name: str) -> None:
    metrics = contents.contents(CATALOGUE.patterns[name], CATALOGUE)["metrics"]
    shown = " ".join(expressions("dashboards", name)) if name in DASHBOARDS else ""
    assert [metric for metric in metrics if metric not in shown] == []


def test_dashboards_can_be_told_apart() -> None:
    documents = [json.loads(path.read_text()) for path in (MONITORING / "dashboards").iterdir()]
    assert len({document["uid"] for document in documents}) == len(documents)
    for document in documents:
        assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])


def test_promtool_accepts_all() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is not installed")
    for what, path in (("config", "prometheus.yaml"), ("rules", "alerts/*.yaml")):
        files = [str(file) for file in sorted(MONITORING.glob(path))]
        done = subprocess.run(
            [promtool, "check", what, *files], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout
