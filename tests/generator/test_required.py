"""A question without a default that a newer version or another pattern brings: asked, or set, or refused."""

import sys
from pathlib import Path

import pexpect
import pytest
import yaml

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import Shelf
from tests.generator.shelf import everything
from tests.generator.shelf import make
from tests.generator.shelf import new
from tests.generator.shelf import second

QUESTIONS = """
region:
  type: str
  help: Where it runs
  validator: "<< 'one word' if ' ' in region else '' >>"

collector:
  type: str
  help: Who collects its traces
  when: "<< 'tracing' in enabled >>"
"""


@pytest.fixture(scope="module")
def asking(root: Path, git: Git, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A template whose v1.2.0 asks for a region, and with tracing for a collector."""
    shelf = make(tmp_path_factory.mktemp("asking") / "source", root, git)
    with (shelf.folder / "copier.yml").open("a") as file:
        file.write(QUESTIONS)
    shelf.release("v1.2.0", second(), {"tool.sh", "run.sh"})
    return shelf


@pytest.fixture
def older(asking: Shelf, run: Run, tmp_path: Path) -> Path:
    return new(run, asking, tmp_path)


@pytest.fixture
def newer(asking: Shelf, run: Run, tmp_path: Path) -> Path:
    return new(run, asking, tmp_path, "--template-version", "v1.2.0", "--set", "region=north")


def recorded(service: Path) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((service / ".copier-answers.yml").read_text())
    return loaded


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--json"]], ids=str)
def test_without_a_terminal_it_is_refused(older: Path, within: Run, more: list[str]) -> None:
    before = everything(older)
    done = within("update", *more, cwd=older)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines() == [
        "Error: The template asks for region as well, and has no default for it.",
        "Answer by --set region=VALUE",
    ]
    assert everything(older) == before


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=str)
def test_also_when_a_pattern_asks(newer: Path, within: Run, more: list[str]) -> None:
    before = everything(newer)
    done = within("add", "tracing", *more, cwd=newer)
    assert done.returncode == 1, done.stderr
    assert "asks for collector as well" in done.stderr
    assert "--set collector=VALUE" in done.stderr
    assert everything(newer) == before


def test_what_is_set_is_taken(older: Path, run: Run, git: Git) -> None:
    done = run("update", "--set", "region=south", cwd=older)
    assert done.returncode == 0, done.stderr
    assert recorded(older)["region"] == "south"
    git("commit", "-q", "-m", "newer", cwd=older)
    done = run("add", "tracing", "--set", "collector=Ada", cwd=older)
    assert done.returncode == 0, done.stderr
    assert recorded(older)["collector"] == "Ada"


def test_on_a_terminal_it_is_asked(older: Path, env: dict[str, str]) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "perfgen", "update"],
        cwd=str(older),
        env={**env, "TERM": "xterm"},
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 120),
    )
    child.expect("Where it runs")
    child.send("far north\r")
    child.expect("one word")
    child.sendcontrol("u")
    child.send("north\r")
    child.expect("update --abort")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert recorded(older)["region"] == "north"


def test_diff_says_why_the_newest_is_not_compared(older: Path, run: Run) -> None:
    done = run("diff", cwd=older)
    assert done.returncode == 0, done.stderr
    assert "The newest template is not compared: The template asks for region" in (
        done.stdout + done.stderr
    )
