"""The workflow of a rendered service, read."""

from __future__ import annotations

import re
import sys
from typing import Any

import yaml

from tests.template.tree import Tree

WORKFLOW, RENOVATE = ".github/workflows/ci.yml", "renovate.json"
CHECK_SCHEMA = (sys.executable, "-m", "check_jsonschema", "--builtin-schema")

Job = dict[str, Any]


def read(tree: Tree) -> dict[Any, Any]:
    """The whole workflow; YAML's `on` is the key True."""
    found = yaml.safe_load(tree.files[WORKFLOW])
    assert isinstance(found, dict)
    return found


def jobs(tree: Tree) -> dict[str, Job]:
    """Its jobs by name."""
    found = read(tree)["jobs"]
    assert isinstance(found, dict)
    return found


def commands(job: Job) -> list[str]:
    """What a job runs, in order."""
    return [step["run"] for step in job["steps"] if "run" in step]


def targets(command: str) -> set[str]:
    """The targets of make that a command names."""
    return set(re.findall(r"\bmake ([a-z][\w-]*)", command))


def rules(tree: Tree) -> set[str]:
    """The targets that the service's Makefile has."""
    text = "\n".join([tree.files["Makefile"], *tree.ending(".mk").values()])
    return set(re.findall(r"(?m)^([a-z][\w-]*):", text))
