"""A service whose template has a URL: compared with it by the workflow, and looked after by Renovate."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

from maintain import uv
from perfgen import __version__
from perfgen import resources
from perfgen.questions import Form
from tests.template import machine
from tests.template import versions
from tests.template import workflow
from tests.template.published import published
from tests.template.sets import MENU
from tests.template.tree import Tree
from tests.template.workflow import RENOVATE
from tests.template.workflow import WORKFLOW



@pytest.fixture(scope="module")
def url(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The template of this working tree behind a URL."""
    with published(repository, tmp_path_factory.mktemp("published")) as address:
        yield address


@pytest.fixture(scope="module")
def of_url(url: str, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A service with every pattern, whose template has a URL; committed."""
    target = tmp_path_factory.mktemp("of-url") / "service"
    return Tree(versions.new(url, target, MENU, versions.NOW))


def test_its_files_are_valid(of_url: Tree) -> None:
    for schema, name in (("github-workflows", WORKFLOW), ("renovate", RENOVATE)):
        machine.run(*workflow.CHECK_SCHEMA, f"vendor.{schema}", name, cwd=of_url.path)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("https://git.corp/web.git", True),
        ("git+https://git.corp/web", True),
        ("git+ssh://git@git.corp/web", True),
        ("ssh://git@git.corp/web.git", True),
        ("git@git.corp:acme/web.git", True),
        ("~/.local/share/perfgen/template", False),
        ("/home/ada/web", False),
        ("../web", False),
        ("/home/ada@home:1/web", False),
        ("file:///home/ada/web.git", False),
        ("git+file:///home/ada/web", False),
        ("/home/ada/web.bundle", False),
    ],
)
def test_what_counts_as_a_url(recorded: str, expected: bool) -> None:
    """What a runner and Renovate can fetch, as perfgen and copier record it."""
    form = Form(resources.files())
    values = {"_copier_answers": {"_src_path": recorded}}
    assert form.default(form.questions["published"], values) is expected


def test_with_a_url_it_is_compared_with_its_template(of_url: Tree, url: str) -> None:
    job = workflow.jobs(of_url)["template"]
    [command] = workflow.commands(job)
    found = re.fullmatch(r"uvx perfgen@(\d+\.\d+\.\d+) check", command)
    assert found
    ours = Version(Version(__version__).base_version)
    assert Version(found[1]) >= ours, f"the workflow has to run perfgen {ours}, as this is"
    assert of_url.answers["_src_path"] == url
    assert RENOVATE in of_url.files


def test_without_a_url_the_readme_says_how_to_have_it(
    url: str, of_url: Tree, template: Path, repository: Path, tmp_path: Path
) -> None:
    """And that is right: afterwards the service is as one that was made from the URL."""
    service = versions.new(repository, tmp_path / "service", MENU, versions.NOW)
    readme = Tree(service).files["README.md"]
    command = re.search(r"`perfgen (source URL)`", readme)
    assert command
    assert command[0] not in of_url.files["README.md"]
    words = [url if word == "URL" else word for word in command[1].split()]
    done = subprocess.run(
        [sys.executable, "-m", "perfgen", *words],
        cwd=service,
        env=uv.environment() | versions.GIT | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert versions.differences(service, of_url.path) == []
