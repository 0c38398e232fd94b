"""The lock template: made from one lock, and right for every set."""

from __future__ import annotations

import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from maintain import lock
from maintain import template as source
from maintain import uv
from maintain.graph import Section
from maintain.graph import Wanted
from maintain.locktemplate import lock_template
from maintain.owners import Conditions
from perfgen.catalogue import Catalogue
from tests.template import machine
from tests.template.conftest import Rendered
from tests.template.sets import CATALOGUE
from tests.template.sets import Chosen
from tests.template.tree import Tree


def manifest(name: str, **facts: object) -> dict[str, object]:
    plain = {"title": name, "help": "", "section": "", "kind": "plugin", "core": False}
    lists = ("presets", "requires", "formerly", "dependencies", "dev_dependencies", "servers")
    return {"name": name, **plain, **{key: [] for key in (*lists, "files")}, "traces": {}} | facts


SMALL = Catalogue(
    [
        manifest("cache", requires=["redis"]),
        manifest("queue", dependencies=["jobs[fast]"], dev_dependencies=["faker"]),
        manifest("redis", dependencies=["redis[hiredis]>=8"]),
        manifest("tracing", dependencies=["redis>=8"]),
    ]
)
SMALL_LOCK = dedent(
    """\
    version = 1

    [[package]]
    name = "demo"
    version = "0.1.0"
    source = { virtual = "." }
    dependencies = [
        { name = "fastapi" },
        { name = "jobs", extra = ["fast"] },
        { name = "redis" },
        { name = "redis", extra = ["hiredis"] },
    ]

    [package.dev-dependencies]
    dev = [
        { name = "faker" },
        { name = "pytest" },
    ]

    [package.metadata]
    requires-dist = [
        { name = "fastapi" },
        { name = "jobs", extras = ["fast"] },
        { name = "redis", specifier = ">=8" },
        { name = "redis", extras = ["hiredis"], specifier = ">=8" },
    ]

    [package.metadata.requires-dev]
    dev = [
        { name = "faker" },
        { name = "pytest" },
    ]
    """
)


def package(name: str, *dependencies: str, **extras: str) -> str:
    """An entry of a lock as uv writes it."""
    text = f'\n[[package]]\nname = "{name}"\nversion = "1"\n'
    text += 'source = { registry = "https://pypi.org/simple" }\n'
    if dependencies:
        text += "dependencies = [\n"
        text += "".join(f'    {{ name = "{name}" }},\n' for name in dependencies) + "]\n"
    if extras:
        text += "\n[package.optional-dependencies]\n"
        for extra, needs in extras.items():
            text += f'{extra} = [\n    {{ name = "{needs}" }},\n]\n'
    return text


SMALL_LOCK += (
    package("faker", "shared")
    + package("fastapi", "shared")
    + package("hiredis")
    + package("jobs", fast="speed")
    + package("pytest")
    + package("redis", hiredis="hiredis")
    + package("shared")
    + package("speed")
)
CORE: dict[Section, list[str]] = {"dependencies": ["fastapi"], "dev_dependencies": ["pytest"]}


@pytest.fixture(scope="module")
def made() -> str:
    return lock_template(SMALL_LOCK, SMALL, CORE)


def when(condition: str, text: str) -> str:
    return f"# <% if {condition} %>\n{text}# <% endif %>\n"


def test_the_core_stands_free(made: str) -> None:
    """`shared` is reached by the core and by a pattern, so everybody has it."""
    assert package("fastapi", "shared") + when("'redis' in enabled", package("hiredis")) in made
    assert made.endswith(package("shared") + when("'queue' in enabled", package("speed")))


def test_a_package_stands_under_all_that_reach_it(made: str) -> None:
    start = made.index("# <% if 'redis' in enabled or 'tracing' in enabled %>\n\n[[package]]")
    assert made[start:].splitlines()[3] == 'name = "redis"'


def test_an_extra_is_there_only_for_those_who_ask_for_it(made: str) -> None:
    extra = '\n[package.optional-dependencies]\nhiredis = [\n    { name = "hiredis" },\n]\n'
    assert when("'redis' in enabled", extra) in made


def test_an_extra_that_comes_with_its_package_needs_no_condition(made: str) -> None:
    assert when("'queue' in enabled", package("jobs", fast="speed")) in made


def test_each_requirement_of_the_service_stands_under_its_patterns(made: str) -> None:
    assert '[[package]]\nname = "<< project >>"\n' in made
    assert when("'tracing' in enabled", '    { name = "redis", specifier = ">=8" },\n') in made
    assert made.count(when("'queue' in enabled", '    { name = "faker" },\n')) == 2


def test_a_pattern_that_requires_an_owner_is_not_named() -> None:
    assert Conditions(SMALL)({"cache", "redis"}) == "'redis' in enabled"
    assert Conditions(SMALL)({"cache", "queue"}) == "'cache' in enabled or 'queue' in enabled"


def test_what_nobody_asks_for_is_an_error() -> None:
    with pytest.raises(LookupError, match="fastapi"):
        lock_template(SMALL_LOCK, SMALL, {"dependencies": [], "dev_dependencies": []})
    with pytest.raises(LookupError, match="nothing reaches stray"):
        lock_template(SMALL_LOCK + package("stray"), SMALL, CORE)


def test_requirements_are_compared_as_uv_writes_them() -> None:
    entry = {"name": "ruamel-yaml", "extras": ["b", "a"], "specifier": ">=1,<2"}
    assert Wanted.parse("Ruamel.YAML[a,b] <2,>=1").is_meant_by(Wanted.entry(entry))
    assert not Wanted.parse("ruamel-yaml>=1").is_meant_by(Wanted.entry(entry))


@pytest.mark.parametrize(
    "entry",
    [
        'source = { registry = "https://mirror.example/simple" }',
        'url = "http://pypi.org/x.whl"',
        'source = { path = "../x" }',
        'source = { git = "https://pypi.org/x" }',
    ],
)
def test_a_lock_that_not_everybody_can_use_is_refused(entry: str) -> None:
    lock.refuse_other_hosts(SMALL_LOCK)
    with pytest.raises(lock.LockError):
        lock.refuse_other_hosts(SMALL_LOCK + entry)


def test_uv_does_not_see_how_this_machine_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "https://mirror.example/simple")
    seen = uv.environment()
    assert not [value for value in seen.values() if "mirror.example" in value]
    assert (seen["UV_DEFAULT_INDEX"], seen["UV_NO_CONFIG"]) == ("https://pypi.org/simple", "1")


def test_the_lock_template_is_what_make_lock_would_make(
    template: Path, everything: Tree, rendered: Rendered
) -> None:
    """From the lock it renders for everything; needs no network."""
    core = lock.requirements(rendered(Chosen(())).path)
    made = lock_template(everything.files["uv.lock"], CATALOGUE, core)
    assert made == (template / lock.LOCK).read_text("utf-8")


def test_the_lock_serves_every_python_that_can_be_asked_for(everything: Tree) -> None:
    read = tomllib.loads(everything.files["uv.lock"])
    assert read["requires-python"] == everything.project["project"]["requires-python"] == ">=3.12"


@pytest.mark.slow
def test_no_set_gets_more_than_it_needs(template: Path, tmp_path: Path, shared: Path) -> None:
    """Each lock equals, package by package, the one that uv makes from the same versions."""
    source.render(template, tmp_path / "everything", CATALOGUE.menu)
    for number, patterns in enumerate(lock.subsets(CATALOGUE)):
        lock.prove(template, tmp_path / f"{number}", patterns)


@pytest.mark.slow
def test_make_lock_starts_from_nothing(template: Path, tmp_path: Path) -> None:
    """Also the first lock of a template that has none, and the second one is the same."""
    copied = machine.once(tmp_path / "template", lambda to: source.copy_template(to))
    (copied / lock.LOCK).unlink()
    first = lock.make_lock(copied, tmp_path / "first")
    assert lock.make_lock(copied, tmp_path / "second") == first
