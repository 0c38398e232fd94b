"""The manifests hold to what checkov's rules ask of them, but for what is said here with its reason."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.template.manifests import kubectl as find_kubectl

from .harness.service import find_uv
from .harness.table import Table

pytestmark = pytest.mark.slow
CHECKOV = "checkov==3.3.30"  # with an environment of its own: it pins half of PyPI
SKIPPED = {
    "CKV_K8S_15": "imagePullPolicy is IfNotPresent: `make deploy` refuses tags that move, and a node that has the "
    "image must start it while the registry is away",
    "CKV_K8S_21": "the migration, a build of its own, gets the environment's namespace from `make deploy`",
    "CKV_K8S_35": "secrets are environment variables, as all settings are; the service reads no files of them",
    "CKV_K8S_43": "a digest or a tag is for IMAGE to name; the tag here is never deployed",
}


@pytest.fixture(scope="module")
def checkov(work: Path) -> list[str]:
    """The command that runs the pinned checkov."""
    environment = work / "checkov"
    python = environment / "bin" / "python"
    for command in (
        ["venv", "--quiet", str(environment)],
        ["pip", "install", "--quiet", "--python", str(python), CHECKOV],
    ):
        done = subprocess.run([find_uv(), *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return [str(python), str(environment / "bin" / "checkov")]


@pytest.mark.timeout(900)
def test_checkov(checkov: list[str], generated: Path, work: Path, table: Table) -> None:
    kubectl = find_kubectl()
    built = work / "manifests"
    deploy = generated / "deploy"
    folders = [*deploy.glob("overlays/*"), *deploy.glob("components/*/migration")]
    for folder in folders:
        (built / folder.name).mkdir(parents=True)
        done = subprocess.run(
            [kubectl, "kustomize", "--output", str(built / folder.name), str(folder)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    command = [*checkov, "--framework", "kubernetes", "--quiet", "--compact", "--output", "json"]
    ran = subprocess.run(
        [*command, "--directory", str(built)],
        capture_output=True,
        text=True,
        cwd=work,
        env=os.environ | {"BC_SKIP_MAPPING": "TRUE", "CKV_IGNORE_HIDDEN_DIRECTORIES": "FALSE"},
    )
    found = json.loads(ran.stdout)
    failed = {
        (one["check_id"], one["check_name"], one["resource"])
        for one in found["results"]["failed_checks"]
    }
    assert {rule for rule, *_ in failed} - SKIPPED.keys() == set(), failed
    assert {rule for rule, *_ in failed} == SKIPPED.keys(), "a rule is skipped that would pass"
    assert found["summary"]["parsing_errors"] == 0
    passed = found["summary"]["passed"]
    assert passed > 100
    table.add(
        "The manifests are clean",
        f"{CHECKOV}, {len(folders)} builds",
        f"{passed} checks passed",
        f"{len(SKIPPED)} rules skipped, each with its reason",
    )
