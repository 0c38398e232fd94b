"""How long a change of a service takes, beside `copier update` of the same step.

python -m bench.changes [ROUNDS]

The service has a few patterns and edits; its template is a repository with 0.1.0 and this checkout's version.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.generator import BIN
from bench.generator import ROOT
from bench.generator import table
from perfgen import releases

FIRST = "v0.1.0"
FEWER = ["database", "docker", "example"]
MORE = [*FEWER, "cache"]

# what is measured -> what it is compared with
COMPARED = {
    "perfgen update": "copier update",
    "perfgen update --dry-run": "copier update",
    "perfgen add cache": "copier update, cache added",
    "perfgen add cache --dry-run": "copier update, cache added",
    "perfgen remove cache": "copier update, cache removed",
    "perfgen remove cache --dry-run": "copier update, cache removed",
}


@dataclass(frozen=True)
class Step:
    """A command, and the service it is run in."""

    service: Path
    command: list[str]


class Bench:
    """The template and the services, below one folder that is a home as well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "COPIER_"))}
        self.env = kept | {"HOME": str(folder)}
        (folder / ".gitconfig").write_text("[user]\nname = Bench\nemail = bench@localhost\n")
        store = folder / "store"
        releases.create(store)
        releases.load(releases.bundled(ROOT / "releases"), store)
        self.newest, _ = releases.development(ROOT, store)
        self.template = folder / "template"
        self.run("git", "clone", "-q", str(store), str(self.template))

    def run(self, *command: str, cwd: Path | None = None) -> None:
        """Run what must succeed."""
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self.env, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr or done.stdout}")

    def service(self, name: str, version: str, patterns: list[str]) -> Path:
        """A new one that was edited."""
        options = ["--template", str(self.template), "--template-version", version, "--defaults"]
        wanted = [word for pattern in patterns for word in ("--with", pattern)]
        new = [str(BIN / "perfgen"), "new", name, "--preset", "minimal", *options, *wanted]
        self.run(*new)
        return self.edited(self.folder / name)

    def edited(self, service: Path) -> Path:
        """With edits that merge."""
        with (service / "README.md").open("a") as file:
            file.write("\nOurs.\n")
        (service / "app" / "own.py").write_text("OURS = 1\n")
        self.run("git", "add", "-A", cwd=service)
        self.run("git", "commit", "-q", "-m", "ours", cwd=service)
        return service

    def steps(self) -> dict[str, Step]:
        """What is run, and in which service."""
        old = self.service("old", FIRST, MORE)
        fewer = self.service("fewer", self.newest, FEWER)
        more = self.service("more", self.newest, MORE)
        copier = [str(BIN / "copier"), "update", "--defaults", "--quiet"]
        copier += ["--vcs-ref", self.newest]
        perfgen = str(BIN / "perfgen")
        to = [perfgen, "update", "--to", self.newest, "--quiet"]
        found = {
            "copier update": Step(old, copier),
            "copier update, cache added": Step(fewer, [*copier, *_patterns(MORE)]),
            "copier update, cache removed": Step(more, [*copier, *_patterns(FEWER)]),
            "perfgen update": Step(old, to),
            "perfgen add cache": Step(fewer, [perfgen, "add", "cache", "--quiet"]),
            "perfgen remove cache": Step(more, [perfgen, "remove", "cache", "--quiet"]),
        }
        for name in [name for name in found if name.startswith("perfgen")]:
            step = found[name]
            found[f"{name} --dry-run"] = Step(step.service, [*step.command, "--dry-run"])
        return found

    def timed(self, step: Step) -> float:
        """Wall-clock milliseconds of one run in a fresh copy of the service."""
        place = self.folder / "copy"
        shutil.copytree(step.service, place, symlinks=True)
        self.run("git", "update-index", "-q", "--refresh", cwd=place)
        started = time.perf_counter()
        self.run(*step.command, cwd=place)
        took = (time.perf_counter() - started) * 1000
        shutil.rmtree(place)
        return took


def _patterns(names: list[str]) -> list[str]:
    return ["--data", f"patterns=[{', '.join(sorted(names))}]"]


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds per step and round; steps take turns, and a round before the first warms caches."""
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(Path(temporary))
        steps = bench.steps()
        found: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(rounds + 1):
            for name, step in steps.items():
                took = bench.timed(step)
                if turn:
                    found[name].append(took)
    return found


def main() -> int:
    """Measure, print and write; an exit code."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("rounds", nargs="?", type=int, default=11)
    p.add_argument("--out", type=Path, help="folder for report.md")
    args = p.parse_args()
    found = table(measure(args.rounds), COMPARED)
    text = f"{args.rounds} rounds, Python {sys.version.split()[0]}\n\n{found}\n"
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "report.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
