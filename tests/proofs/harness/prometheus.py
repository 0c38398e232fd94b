"""A private Prometheus that scrapes the processes of a service, with the service's own rules."""

from __future__ import annotations

import json
import shutil
import signal
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.missing import missing

from .processes import Process
from .processes import free_port
from .processes import until


class Prometheus:
    """One that answers queries."""

    def __init__(self, folder: Path, monitoring: Path, targets: list[str]) -> None:
        binary = shutil.which("prometheus")
        if binary is None:
            missing("prometheus is not installed")
        self.port = free_port()
        folder.mkdir(parents=True)
        config = yaml.safe_load((monitoring / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(monitoring / files) for files in config["rule_files"]]
        (scrape,) = config["scrape_configs"]
        scrape["file_sd_configs"] = []
        scrape["static_configs"] = [{"targets": targets}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        command = [binary, f"--config.file={folder}/prometheus.yaml"]
        command += [f"--storage.tsdb.path={folder}/data"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}"]
        self.process = Process(command, folder / "prometheus.log")

    def ask(self, path: str, **query: str) -> Any:
        """The `data` of an answer of its API."""
        words = urllib.parse.urlencode(query)
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{words}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def query(self, expression: str) -> list[float]:
        """The values that an expression has now."""
        return [
            float(series["value"][1]) for series in self.ask("query", query=expression)["result"]
        ]

    def targets(self) -> list[str]:
        """How each target is: `up`, `down` or `unknown`."""
        return [target["health"] for target in self.ask("targets")["activeTargets"]]


@contextmanager
def scraping(folder: Path, monitoring: Path, targets: list[str]) -> Iterator[Prometheus]:
    """A Prometheus for the block, when all targets are up."""
    server = Prometheus(folder, monitoring, targets)

    def up() -> bool:
        try:
            return server.targets() == ["up"] * len(targets)
        except OSError:
            return False

    try:
        until(up, "Prometheus scrapes every process", 30)
        yield server
    finally:
        server.process.end(signal.SIGTERM)
