"""Dashboards and alerts: each pattern with metrics has its own, and they ask for nothing that is not counted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfgen import contents
from tests.missing import missing
from tests.template.sets import CATALOGUE

MONITORING = Path(__file__).parents[2] / "template" / "<<project>>" / "monitoring"
# Each by its pattern. Some have parts that come with another pattern, and so a name in `.jinja`.
DASHBOARDS = {path.name.split(".")[0]: path for path in sorted((MONITORING / "dashboards").iterdir())}
ALERTS = {path.name.split(".")[0]: path for path in sorted((MONITORING / "alerts").iterdir())}
# Of prometheus_client itself, and of the functions and labels of an expression.
EVERY_PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
METRIC = re.compile(r"\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b(?!\s*\()")


def dashboard(path: Path) -> Any:
    """A dashboard with all of its parts."""
    lines = path.read_text().splitlines()
    return json.loads("\n".join(line for line in lines if "# <%" not in line))


def expressions(kind: str, name: str) -> Iterator[str]:
    """Everything that a dashboard, or a file of alerts, asks Prometheus."""
    if kind == "dashboards":
        document = dashboard(DASHBOARDS[name])
        yield from (target["expr"] for panel in document["panels"] for target in panel["targets"])
    else:
        document = yaml.safe_load(ALERTS[name].read_text())
        yield from (rule["expr"] for group in document["groups"] for rule in group["rules"])


@cache
def metrics(name: str) -> list[str]:
    """The metrics of a pattern."""
    found: list[str] = contents.contents(CATALOGUE.patterns[name], CATALOGUE)["metrics"]
    return found


def counted(name: str) -> set[str]:
    """The same, and what Prometheus makes of histograms."""
    return {metric + end for metric in metrics(name) for end in ("", "_bucket", "_sum", "_count")}


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
def test_every_metric_is_on_a_dashboard(name: str) -> None:
    """The pattern's own; what it adds to another pattern is on that one's."""
    absent = [
        metric
        for metric in metrics(name)
        if not any(
            metric in expression
            for other in DASHBOARDS
            if metric in counted(other)
            for expression in expressions("dashboards", other)
        )
    ]
    assert absent == []


def test_dashboards_can_be_told_apart() -> None:
    documents = [dashboard(path) for path in DASHBOARDS.values()]
    assert len({document["uid"] for document in documents}) == len(documents)
    for document in documents:
        assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in document["panels"]}
        assert len(places) == len(document["panels"])


def promtool(*arguments: str) -> None:
    """Have promtool find that all is well."""
    found = shutil.which("promtool")
    if found is None:
        missing("promtool is not installed")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_accepts_all() -> None:
    for what, path in (("config", "prometheus.yaml"), ("rules", "alerts/*.yaml*")):
        promtool("check", what, *(str(file) for file in sorted(MONITORING.glob(path))))


def test_an_upstream_that_nobody_asks_any_more_is_no_alert(tmp_path: Path) -> None:
    """Its circuit stays half open, as only a call can close it."""
    state, calls = "http_client_breaker_state", "http_client_calls_total"
    series = {
        f'{state}{{upstream="left"}}': "2x8 1x200",
        f'{calls}{{upstream="left"}}': "0+5x8 45x200",
        f'{state}{{upstream="asked"}}': "2 1 2x200",
        f'{calls}{{upstream="asked"}}': "0+5x200",
    }
    firing = 'ALERTS{alertname="CircuitOpen", alertstate="firing"}'
    expected = {"5m": ("asked", "left"), "15m": ("asked",)}
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": value} for name, value in series.items()],
        "promql_expr_test": [
            {
                "expr": f"count by (upstream) ({firing})",
                "eval_time": at,
                "exp_samples": [{"labels": f'{{upstream="{u}"}}', "value": 1} for u in upstreams],
            }
            for at, upstreams in expected.items()
        ],
    }
    rules = {"rule_files": [str(ALERTS["http_client"])], "tests": [test]}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(rules))
    promtool("test", "rules", str(file))
