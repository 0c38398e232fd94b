"""`perfgen patterns` and the catalogue behind it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from maintain.template import render
from perfgen import contents
from perfgen import resources
from perfgen.catalogue import Catalogue
from perfgen.errors import Refused
from perfgen.questions import Form
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.kinds import Tree


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """That of this repository."""
    return Form(resources.files()).catalogue


def test_lists_core_choices_and_presets(within: Run, catalogue: Catalogue, tmp_path: Path) -> None:
    done = within("patterns", cwd=tmp_path)
    assert done.returncode == 0
    for pattern in catalogue:
        assert (f"\n  {pattern.name} " in done.stdout) == (pattern.core or pattern.asked)
    assert "(brings redis)" in done.stdout
    assert "standard" in done.stdout


def test_json_of_all(within: Run, catalogue: Catalogue, tmp_path: Path) -> None:
    told = json.loads(within("patterns", "--json", cwd=tmp_path).stdout)
    assert set(told) == {"patterns", "presets"}
    assert [one["name"] for one in told["patterns"]] == sorted(catalogue.patterns)
    assert set(told["presets"]) == {"minimal", "standard", "everything"}
    assert told["presets"]["everything"] == catalogue.menu


def test_one_pattern(within: Run, tmp_path: Path) -> None:
    told = json.loads(within("patterns", "cache", "--json", cwd=tmp_path).stdout)
    assert told["requires"] == ["redis"]
    assert told["choice"] is True
    assert all(path.startswith("tests/") for path in told["tests"])
    assert any(path.startswith("app/cache/") for path in told["files"])
    assert all(not path.endswith(".jinja") for path in told["files"])
    assert told["with"]["app/cache/with_streaming.py"] == ["streaming"]
    text = within("patterns", "cache", cwd=tmp_path).stdout
    assert "app/cache/with_streaming.py (with streaming)\n" in text
    assert all(value in text for value in (*told["files"], *told["tests"], *told["settings"]))


def test_every_setting_is_named(within: Run, tmp_path: Path, template: Path) -> None:
    """Those of the generated service's `.env.example`, which its own tests compare with its classes."""
    example = (template / "template/<<project>>/.env.example.jinja").read_text()
    there = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    told = {
        setting
        for name in ("fields", "tracing", "rate_limit", "sessions", "http_client", "backpressure")
        for setting in json.loads(within("patterns", name, "--json", cwd=tmp_path).stdout)[
            "settings"
        ]
    }
    prefixes = (
        "FIELDS_",
        "SENTRY_",
        "TRACING_",
        "RATE_LIMIT_",
        "SESSIONS_",
        "HTTP_CLIENT_",
        "BACKPRESSURE_",
    )
    wanted = {setting for setting in there if setting.startswith(prefixes)}
    assert len(wanted) > 30
    assert wanted <= told


@pytest.mark.parametrize("name", ["database", "docker", "example"])
def test_the_files_of_a_pattern_are_those_that_come_with_it(
    catalogue: Catalogue, template: Path, tmp_path: Path, tree: Tree, name: str
) -> None:
    required = catalogue.requirements(name)
    with_it = set(tree(render(template, tmp_path / "with", [name])))
    without = set(tree(render(template, tmp_path / "without", required)))
    told = contents.contents(catalogue.patterns[name], catalogue)
    listed = {*told["files"], *told["tests"]}
    others = [other for other in catalogue if other.name != name]
    assert {
        path
        for path in with_it - without
        if not path.endswith("/__init__.py")
        and not any(contents._named_for(path, other) for other in others)
    } <= listed
    # what is listed besides is glue, which comes with both
    glue = ("/with_", "/test_with_", "example", "deploy/components/")
    assert [path for path in listed - with_it if not any(word in path for word in glue)] == []


def test_metrics_are_what_the_files_define() -> None:
    files = {
        "app/cache/a.py": b'E = Counter("cache_errors", "x")\nlog.info("cache_trusted")\n'
        b'T = Counter(\n    "cache_requests_total", "x"\n)\nG = Gauge("cache_pending", "x")\n',
        "app/cache/b.py": b'H = Histogram("cache_load_seconds", "x")\nx = "cache_errors_total"\n'
        b'hits = CounterMetricFamily("cache_hits", "x", labels=[])\n',
        "tests/cache/test_a.py": b'Counter("cache_of_test", "x")\n',
    }
    assert contents._metrics(files) == [
        "cache_errors_total",
        "cache_hits_total",
        "cache_load_seconds",
        "cache_pending",
        "cache_requests_total",
    ]


def test_brings_the_releases_to_where_services_look(
    run: Run, root: Path, tmp_path: Path, git: Git
) -> None:
    assert run("patterns", cwd=tmp_path, env_more={"HOME": str(tmp_path)}).returncode == 0
    store = tmp_path / ".local" / "share" / "perfgen" / "template"
    released = {f"v{path.stem}" for path in (root / "releases").glob("*.bundle")}
    assert set(git("tag", cwd=store).split()) == released


def test_unknown_pattern(within: Run, tmp_path: Path) -> None:
    done = within("patterns", "chace", cwd=tmp_path)
    assert done.returncode == 1
    assert "did you mean cache?" in done.stderr


def test_works_where_nothing_can_be_kept(run: Run, tmp_path: Path) -> None:
    done = run("patterns", "cache", cwd=tmp_path, env_more={"HOME": "/proc/none"})
    assert done.returncode == 0
    assert "Redis" in done.stdout


def test_every_requirement_exists_and_none_is_circular(catalogue: Catalogue) -> None:
    for pattern in catalogue:
        assert pattern.name not in catalogue.requirements(pattern.name)
        assert set(pattern.requires) <= set(catalogue.patterns)


def test_catalogue_and_copier_agree_on_what_is_enabled(catalogue: Catalogue) -> None:
    from itertools import combinations

    form = Form(resources.files())
    for size in (0, 1, 2, len(catalogue.menu)):
        for asked in map(list, combinations(catalogue.menu, size)):
            values = {"catalogue": form.questions["catalogue"].default, "patterns": asked}
            assert form.default(form.questions["enabled"], values) == catalogue.enabled(asked)


def test_former_names_are_understood() -> None:
    manifest = {
        "name": "hot",
        "title": "Hot",
        "help": "",
        "section": "",
        "kind": "plugin",
        "core": False,
        "presets": [],
        "requires": [],
        "dependencies": [],
        "dev_dependencies": [],
        "formerly": ["cold"],
        "servers": [],
        "files": [],
        "traces": {},
    }
    assert Catalogue([manifest]).get("cold").name == "hot"
    with pytest.raises(Refused, match="did you mean hot"):
        Catalogue([manifest]).get("hat")


def test_help_imports_nothing_slow(env: dict[str, str]) -> None:
    code = (
        "import sys; from perfgen.cli import run; run(['--help']); run(['new', '--help']);"
        "print([name for name in ('copier', 'jinja2', 'yaml', 'questionary', 'rich', 'packaging')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_the_list_brings_missing_releases_into_the_store(
    env: dict[str, str], tmp_path: Path
) -> None:
    def listed() -> str:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "perfgen", "patterns"],
            env=env | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr

    tags = tmp_path / ".local/share/perfgen/template/.git/refs/tags"
    carried = {f"v{path.stem}" for path in (resources.root() / "releases").glob("*.bundle")}
    assert "perfgen.sources" in listed()
    assert {path.name for path in tags.iterdir()} == carried
    assert "perfgen.sources" not in listed()  # which takes as long as the list
    (tags / max(carried)).unlink()
    assert "perfgen.sources" in listed()
    assert {path.name for path in tags.iterdir()} == carried


def test_the_list_needs_no_store(run: Run, tmp_path: Path) -> None:
    done = run("patterns", "--json", cwd=tmp_path, env_more={"HOME": f"/{'far' * 100}"})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["patterns"]


def test_the_list_points_the_store_again(env: dict[str, str], tmp_path: Path) -> None:
    main = tmp_path / ".local/share/perfgen/template/.git/refs/heads/main"
    for _ in range(2):
        command = [sys.executable, "-m", "perfgen", "patterns"]
        subprocess.run(command, env=env | {"HOME": str(tmp_path)}, check=True, capture_output=True)
        assert main.is_file()
        main.unlink()  # as where perfgen was killed before
