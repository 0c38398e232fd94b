"""A small template in two versions that differ in every way a file can, and services made from it."""

import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.generator.kinds import Git
from tests.generator.kinds import Run

SERVICE = Path("template") / "<<project>>"
LINES = [f"line {number}\n" for number in range(1, 41)]
GONE = "".join(f"{number} and gone\n" for number in range(1, 31))
BINARY = bytes(range(256)) * 8
ODD = ("with space é.txt", "tab\there.txt", 'quo"te.txt', "-dash.txt")
ANSWERS = "<<_copier_conf.answers_file>>.jinja"
SETTINGS = "# How many\n#SIZE=10\n# Where\n#PLACE=here\n# How fast\n#SPEED=1\n"
NEWER_SETTINGS = (
    "# How many\n#SIZE=20\n# Where\n#PLACE=here\n# How long\n#LENGTH=5\n# Last\n#LAST=1\n"
)


def manifest(name: str, **more: object) -> dict[str, object]:
    """A pattern of the test's own."""
    lists = (
        "presets",
        "requires",
        "formerly",
        "dependencies",
        "dev_dependencies",
        "servers",
        "files",
    )
    plain: dict[str, object] = {"name": name, "title": name.capitalize(), "help": f"has {name}"}
    plain |= {"section": "1", "kind": "own", "core": False, "traces": {}}
    return plain | {key: [] for key in lists} | more


PATTERNS = [
    manifest("health", core=True),
    manifest("redis", title=""),
    manifest("cache", requires=["redis"], presets=["standard"]),
    manifest("limit", requires=["redis"]),
    manifest("database", presets=["standard"]),
    manifest("example", requires=["database"], presets=["standard"]),
    manifest("tracing"),
]


def changed(number: int, text: str = "template\n") -> str:
    """The forty lines, one of them replaced."""
    return "".join([*LINES[: number - 1], text, *LINES[number:]])


def first() -> dict[str, bytes]:
    """The files of the first version."""
    text = "".join(LINES)
    files: dict[str, str | bytes] = dict.fromkeys(
        ("text.txt", "gone.txt", "old/name.txt", "stays.txt", "local.cfg", *ODD), text
    )
    files["gone.txt"] = GONE
    files |= {"image.bin": BINARY, "run.sh": "#!/bin/sh\ntrue\n", "tool.sh": "#!/bin/sh\n" + text}
    files |= {".env.example": SETTINGS, "uv.lock": "version = 1\n" + text, ".gitignore": "*.log\n"}
    files |= {"migrations/versions/service/.gitkeep": "", "lone/only.txt": "only " + text}
    wiring = "# <% for name in enabled %>\nimport << name >>\n# <% endfor %>\n"
    files |= {
        "app/wiring.py.jinja": wiring,
        ANSWERS: "# Written by perfgen\n<< _copier_answers | to_nice_yaml >>",
    }
    for pattern in PATTERNS:
        name = str(pattern["name"])
        files[f"app/{name}/__init__.py"] = text + f"# of {name}\n" * 3  # nearly alike
    files["migrations/versions/database/0001_first.py"] = "revision = '0001'\n" + text
    return {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}


def second() -> dict[str, bytes]:
    """The files of the second version."""
    files = first()
    for name in ("text.txt", "local.cfg", *ODD):
        files[name] = changed(5).encode()
    del files["gone.txt"], files["old/name.txt"]
    files["new/name.txt"] = changed(30).encode()
    files["image.bin"] = BINARY[::-1]
    files["tool.sh"] = b"#!/bin/sh\n" + changed(5).encode()
    files["added.txt"] = b"added by the template\n"
    files["deep/er/added.txt"] = b"deep\n"
    files["lone/only.txt"] = b"only " + changed(20).encode()
    files[".env.example"] = NEWER_SETTINGS.encode()
    files["uv.lock"] = b"version = 2\n" + "".join(LINES).encode()
    files["migrations/versions/database/0002_second.py"] = b"revision = '0002'\n"
    return files


EXECUTABLE = {"v1.0.0": {"tool.sh"}, "v1.1.0": {"tool.sh", "run.sh"}}


@dataclass
class Shelf:
    """A template's repository."""

    folder: Path
    git: Git

    def release(self, tag: str, files: dict[str, bytes], executable: Collection[str] = ()) -> None:
        """Commit these files of the service as a version."""
        service = self.folder / SERVICE
        shutil.rmtree(service, ignore_errors=True)
        for name, content in files.items():
            path = service / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if name in executable else 0o644)
        self.git("add", "-A", "-f", cwd=self.folder)
        self.git("commit", "-q", "--allow-empty", "-m", tag, cwd=self.folder)
        self.git("tag", tag, cwd=self.folder)

    def patterns(self, manifests: list[dict[str, object]]) -> None:
        """Have these patterns from the next version on."""
        shutil.rmtree(self.folder / "patterns", ignore_errors=True)
        (self.folder / "patterns").mkdir()
        for one in manifests:
            path = self.folder / "patterns" / f"{one['name']}.yml"
            path.write_text(yaml.safe_dump(one))


def make(folder: Path, root: Path, git: Git) -> Shelf:
    """The repository with v1.0.0 and v1.1.0, with the questions of the real one."""
    folder.mkdir(parents=True)
    shelf = Shelf(folder, git)
    git("init", "-q", cwd=folder)
    shutil.copy(root / "copier.yml", folder)
    shelf.patterns(PATTERNS)
    shelf.release("v1.0.0", first(), EXECUTABLE["v1.0.0"])
    shelf.release("v1.1.0", second(), EXECUTABLE["v1.1.0"])
    return shelf


def new(run: Run, shelf: Shelf, parent: Path, *flags: str, name: str = "shop") -> Path:
    """A service of v1.0.0 with its first commit, unless told otherwise."""
    options = ["--template", str(shelf.folder), "--defaults", "--python", "3.13"]
    if not {"--template-version"} & set(flags):
        options += ["--template-version", "v1.0.0"]
    done = run("new", name, *options, *flags, cwd=parent)
    assert done.returncode == 0, done.stderr
    return parent / name


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All there is in a folder, `.git` and empty folders as well: mode, and content or a link's target."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        content = (
            str(path.readlink()).encode()
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else b"<folder>"
        )
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def status(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """`git status` by path; what is clean is not in it."""
    command = ["git", "status", "--porcelain", "-z", "--no-renames", "-uall"]
    listed = subprocess.check_output(command, cwd=folder, env=env).decode()
    return {line[3:]: line[:2] for line in listed.split("\0") if line}


def assert_same(now: dict[str, tuple[int, bytes]], before: dict[str, tuple[int, bytes]]) -> None:
    """All is as it was, but for what git keeps of objects nobody needs, and times in its index."""

    def own(found: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
        return {
            name: content
            for name, content in found.items()
            if not name.startswith(".git/objects/") and name != ".git/index"
        }

    assert own(now) == own(before)
