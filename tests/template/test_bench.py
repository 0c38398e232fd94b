"""`make bench` of a generated service: its verdict, its exit code, and that it says when it has none."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.proofs.harness.processes import free_port
from tests.template import machine
from tests.template.conftest import Rendered
from tests.template.report import Proving
from tests.template.running import running
from tests.template.sets import DEFAULT_PYTHON
from tests.template.sets import Chosen
from tests.template.tree import Tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GENEROUS_MS = 60_000
IMPOSSIBLE_MS = 0.001
WRITING = """[[routes]]
method = "POST"
path = "/health"
share = 5
p99_ms = 1
errors = 0
"""
WRITES = (), ("WRITES=no",), ("WRITES=yes",)
SHORT = ("RATE=20", "DURATION=3")


class Bench:
    """A copy of a service, whose `make bench` is run."""

    def __init__(self, tree: Tree, tmp_path: Path) -> None:
        self.folder = Path(shutil.copytree(tree.path, tmp_path / "demo"))
        self.python = machine.environment(self.folder, DEFAULT_PYTHON, dev=True) / "bin/python"

    def objectives(self, ms: float, errors: float = 0) -> list[str]:
        """Set them for every route; the routes."""
        routes = []
        for path in (self.folder / "bench").glob("*.toml"):
            text = re.sub(r"(?m)^(p9\d_ms) = .*", rf"\1 = {ms}", path.read_text())
            text = re.sub(r"(?m)^errors = .*", f"errors = {errors}", text)
            path.write_text(text.replace("warm_up_s = 5", "warm_up_s = 1"))
            routes += re.findall(r'(?m)^method = "(\w+)"\npath = "(.*)"', text)
        return [f"{method} {path}" for method, path in routes]

    def make(self, *said: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`make bench` with these variables. Of its exit code make makes 2, and names it."""
        return subprocess.run(
            ["make", "-o", ".venv/ready", f"PYTHON={self.python}", "bench", *said],
            cwd=self.folder,
            env=machine.plain_environment() | env,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )


@pytest.fixture
def smallest(rendered: Rendered, tmp_path: Path) -> Bench:
    """A service without optional patterns."""
    return Bench(rendered(Chosen(())), tmp_path)


@pytest.fixture
def whole(everything: Tree, tmp_path: Path) -> Bench:
    """A service with every pattern."""
    return Bench(everything, tmp_path)


def verdict(done: subprocess.CompletedProcess[str]) -> str:
    """The last line on the standard output."""
    return done.stdout.splitlines()[-1]


def test_generous_objectives_are_met_on_every_route(whole: Bench, proving: Proving) -> None:
    """With more requests than the key's tier has by default. 503 may be: this machine is busy."""
    routes = whole.objectives(GENEROUS_MS, errors=1)
    assert len(routes) > 6
    with proving("booted", "everything under load"):
        done = whole.make("RATE=110", "DURATION=10")
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdict(done) == "Met: every objective, at 110 requests a second for 10 s."
    assert not re.search(r"\d x (4\d\d|500|no|connection)", done.stdout), done.stdout
    for route in routes:
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"{route}  ")]
        assert line.endswith("met")


def test_an_impossible_objective_is_missed(smallest: Bench) -> None:
    assert smallest.objectives(IMPOSSIBLE_MS) == ["GET /health"]
    done = smallest.make(*SHORT)
    assert verdict(done).startswith(
        "Missed at 20 requests a second for 3 s: GET /health (p95, p99)"
    )
    assert "Error 1" in done.stderr
    assert done.returncode == 2


def test_a_rate_out_of_reach_is_no_verdict(smallest: Bench) -> None:
    smallest.objectives(GENEROUS_MS)
    done = smallest.make("RATE=100000", "DURATION=600")
    assert "Not measured: The load generator could not keep 100000 requests a second" in done.stderr
    assert "Error 2" in done.stderr
    assert "Met" not in done.stdout


def test_a_service_that_does_not_start_is_no_verdict(smallest: Bench) -> None:
    done = smallest.make(*SHORT, MAX_BODY_BYTES="none")
    assert "Not measured: The service does not start" in done.stderr
    assert "MAX_BODY_BYTES" in done.stderr
    assert "Error 2" in done.stderr


def test_code_that_cannot_be_imported_is_no_verdict(smallest: Bench) -> None:
    """Python's exit code would be that of a missed objective."""
    (smallest.folder / "app/patterns.py").write_text("PATTERNS = [\n")
    done = smallest.make(*SHORT)
    assert "SyntaxError" in done.stderr
    assert "Not measured: " in done.stderr
    assert "Error 2" in done.stderr


def test_a_deployed_service_is_measured(smallest: Bench, tmp_path: Path) -> None:
    smallest.objectives(GENEROUS_MS)
    with running(smallest.folder, smallest.python, {}, tmp_path / "log") as one:
        done = smallest.make(*SHORT, f"URL={one.public}", f"KEY={one.key}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Service  {one.public}" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Met:")


def test_it_writes_to_a_deployed_service_only_when_told_to(smallest: Bench, tmp_path: Path) -> None:
    path = smallest.folder / "bench/more.toml"
    path.write_text(WRITING)
    smallest.objectives(GENEROUS_MS)
    with running(smallest.folder, smallest.python, {}, tmp_path / "log") as one:
        named = *SHORT, f"URL={one.public}", f"KEY={one.key}"
        refused, without, written = (smallest.make(*named, *more) for more in WRITES)
    assert f"POST /health writes to {one.public}: WRITES=yes" in refused.stderr
    assert "Error 2" in refused.stderr
    assert verdict(without).startswith("Met: ")
    assert verdict(without).endswith("Left out, as it writes: POST /health.")
    assert "x 405" in written.stdout  # it was asked
    assert verdict(written).endswith(": POST /health (errors).")


def test_a_service_that_is_not_there_is_no_verdict(smallest: Bench) -> None:
    """A URL of the environment is none: it was not said to make."""
    done = smallest.make(*SHORT, f"URL=http://127.0.0.1:{free_port()}")
    assert "Not measured: No connection to the service came about." in done.stderr
    done = smallest.make(*SHORT, URL="http://127.0.0.1:9", KEY="another")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_key_is_named(smallest: Bench) -> None:
    path = smallest.folder / "bench/objectives.toml"
    path.write_text(path.read_text().replace("p99_ms", "p999_ms", 2))
    done = smallest.make(*SHORT)
    assert re.search(r"routes 1 \(GET /health\): p9\w+ is", done.stderr)
    assert "Error 2" in done.stderr
