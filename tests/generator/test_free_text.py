"""Hostile text in answers: a clear refusal with nothing written, or a project that holds it word for word."""

import ast
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from perfgen.errors import Refused
from perfgen.questions import Form
from perfgen.questions import Question
from perfgen.questions import Values
from perfgen.render import render
from perfgen.sources import Source
from tests.generator.kinds import Git

# `FUZZ=1000 pytest ...` for a longer look.
CASES = int(os.environ.get("FUZZ", "60"))
HOSTILE = [
    '"',
    "'",
    '"""',
    "'''",
    "\\",
    "\\n",
    "\\u0041",
    "\n",
    "\r",
    "\t",
    "\x00",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u202e",
    "\ufeff",
    "\ud800",
    "<%",
    "%>",
    "# <% if true %>",
    "# %>",
    "<<",
    ">>",
    "<< project >>",
    "<#",
    "{{",
    "}}",
    "{{ project }}",
    "{% raw %}",
    "${HOME}",
    "$(id)",
    "`id`",
    ": ",
    " #",
    "- ",
    "---",
    "[",
    "{",
    "}",
    "&a",
    "*a",
    "!x",
    "|",
    ">",
    "%",
    "@",
    "null",
    "yes",
    "1",
    "1e3",
    "é",
    "ß",
    "漢字",
    "👩‍🚀",
    "🇩🇪",
    " ",
    "  ",
    "x" * 300,
]
texts = st.one_of(
    st.lists(st.sampled_from(HOSTILE) | st.text(max_size=5), max_size=8).map("".join),
    st.text(max_size=210),
)


@pytest.fixture(scope="module")
def source(template: Path, tmp_path_factory: pytest.TempPathFactory, git: Git) -> Source:
    """The template without what no answer can reach: files without `.jinja`, and the lock."""
    folder = tmp_path_factory.mktemp("wiring") / "source"
    shutil.copytree(template, folder, symlinks=True)
    for path in (folder / "template").rglob("*"):
        if path.is_file() and (path.suffix != ".jinja" or path.name == "uv.lock.jinja"):
            path.unlink()
    git("add", "-A", cwd=folder)
    git("commit", "-q", "-m", "wiring", cwd=folder)
    git("tag", "-f", "v9.0.0", cwd=folder)
    return Source(str(folder), "v9.0.0", folder)


@pytest.fixture(scope="module")
def form(source: Source) -> Form:
    """Its questions."""
    return Form(source.files("copier.yml", "patterns"))


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=texts)
@example(text="x" * 10_000)
@example(text='"' + "'" * 3 + "\\ <% << >> # %> {{ : # 👩‍🚀")
@example(text="null")
@example(text='it\'s "quoted"')
@example(text=" leads and trails ")
@example(text="# comment")
@example(text="a: b")
@example(text="0x1F")
def test_refused_or_word_for_word(text: str, source: Source, form: Form) -> None:
    given_answers = {"project": "shop", "description": text}
    try:
        answers = form.fill(given_answers, take_default)
    except Refused as error:
        refusal = error.sentence
    else:
        refusal = ""
    if refusal:
        assert refusal.startswith("description")
        assert refusal.isprintable()
        assert len(refusal) < 200
        assert not text.isprintable() or not text.strip() or len(text) > 200 or _odd(text)
        return
    with tempfile.TemporaryDirectory() as folder:
        service = Path(folder) / "shop"
        render(source, answers, service)
        check(service, text)


def take_default(_question: Question, default: Any, _values: Values) -> Any:
    """Nobody is asked."""
    return default


def _odd(text: str) -> bool:
    return any(letter in text for letter in "\ufeff\ufffe\uffff\u202e")


def check(service: Path, text: str) -> None:
    """Everything parses, and the description is what was given."""
    for path in service.rglob("*"):
        if path.suffix == ".toml" or path.name == "uv.lock":
            tomllib.loads(path.read_text("utf-8"))
        if path.suffix in (".yml", ".yaml"):
            list(yaml.safe_load_all(path.read_text("utf-8")))
        if path.suffix == ".py":
            ast.parse(path.read_bytes())
        if path.suffix == ".json":
            yaml.safe_load(path.read_text("utf-8"))
    project = tomllib.loads((service / "pyproject.toml").read_text("utf-8"))["project"]
    recorded = yaml.safe_load((service / ".copier-answers.yml").read_text("utf-8"))
    assert project["description"] == text
    assert recorded["description"] == text
    about = service / "app" / "about.py"
    assert _constants(about)["DESCRIPTION"] == text


def _constants(path: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            assert isinstance(target, ast.Name)
            found[target.id] = node.value.value
    return found


@settings(max_examples=300, deadline=None)
@given(name=st.text(max_size=45) | st.from_regex(r"[a-z0-9-]{0,45}"))
@example(name="a" * 40)
@example(name="a" * 41)
@example(name="shop\n")
def test_copier_and_perfgen_refuse_the_same_names(name: str, form: Form) -> None:
    from perfgen.checks import check_name

    def verdict(check: Callable[[], object]) -> bool:
        try:
            check()
        except Refused:
            return False
        return True

    question = form.question("project")
    values = {"catalogue": form.questions["catalogue"].default}
    assert verdict(lambda: check_name(name)) == verdict(
        lambda: form.checked(question, name, values)
    )


@settings(max_examples=300, deadline=None)
@given(
    connections=st.integers(32, 100_000),
    replicas=st.integers(1, 1000),
    asked=st.sampled_from([("database", 0), ("queue", 3)]),  # two workers, and one in a rollout
)
def test_the_budget_holds_and_its_advice_fits(
    connections: int, replicas: int, asked: tuple[str, int], form: Form
) -> None:
    pattern, beside = asked

    def fill(**answers: int) -> Values:
        return form.fill({"project": "shop", "patterns": [pattern], **answers}, take_default)

    room = connections - 5 - 2
    try:
        fill(max_connections=connections, max_replicas=replicas)
    except Refused as refusal:
        assert room // (replicas + 1 + beside) < 5
        fewer, more = map(int, re.findall(r"at most (\d+) .* at least (\d+)", refusal.sentence)[0])
        fill(max_connections=connections, max_replicas=fewer)
        fill(max_connections=more, max_replicas=replicas)
        for wrong in ({"max_connections": more - 1}, {"max_replicas": fewer + 1}):
            with pytest.raises(Refused):
                fill(**{"max_connections": connections, "max_replicas": replicas} | wrong)
    else:
        pool = form.default(
            form.questions["pool_max"],
            {"max_connections": connections, "max_replicas": replicas, "pools_beside": beside},
        )
        assert 5 <= pool <= 20
        assert pool * (replicas + 1 + beside) <= room
