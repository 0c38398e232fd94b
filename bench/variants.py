"""The generated service with and without each pattern, rendered to be compared."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

import yaml

from bench.costing import Compared
from bench.harness.servers import Server
from bench.private import HERE
from bench.private import server
from tests.proofs.harness.service import every_pattern
from tests.proofs.harness.service import render
from tests.proofs.harness.service import sync

BASE = {*every_pattern("standard"), "fields"}
# Nothing is left to measure without them.
NEEDED = {
    "database": "every pattern with a route requires it, and items are read from it",
    "example": "the routes that are measured are its own",
}
COLLECTED = "tracing to a collector"
COLLECTING = "tracing-collector"  # its server


class Variants:
    """The services to be compared, as rendered, and one environment that all of them run in."""

    def __init__(self, folder: Path, only: set[str]) -> None:
        """Render all, or those of `only`; ValueError when one of these cannot be compared."""
        self.folder = folder
        self.compared: list[Compared] = []
        self.left_out = {} if only else dict(NEEDED)
        self.everything = self._rendered("everything", {*every_pattern()})
        self.base = self._rendered("base", BASE)
        for name in sorted({*every_pattern()} - NEEDED.keys()):
            if not only or any(name == one.split()[0] for one in only):
                self._add(name)
        self.compared = [one for one in self.compared if not only or one.name in only]
        if unknown := only - {one.name for one in self.compared}:
            raise ValueError(f"not among what can be compared: {', '.join(sorted(unknown))}")
        sync(self.everything)

    def _rendered(self, name: str, patterns: set[str]) -> Path:
        """Anew; an environment that is there is kept, as `sync` brings it up to date."""
        place = self.folder / name
        kept = self.folder / "kept-environment"
        if (place / ".venv").exists():
            (place / ".venv").rename(kept)
        shutil.rmtree(place, ignore_errors=True)
        render(place, without={*every_pattern()} - patterns)
        if kept.exists():
            kept.rename(place / ".venv")
        return place

    def _add(self, name: str) -> None:
        """Compare the base with the base and this pattern, or without it and what requires it."""
        if name in BASE:
            gone = BASE & {name, *requirers(name)}
            others = ", ".join(sorted(gone - {name}))
            note = f"without {others} as well" if others else ""
            place = self._rendered(name, BASE - gone)
            compared = Compared(name, "base", name, note)
        else:
            place = self._rendered(name, BASE | {name})
            compared = Compared(name, name, "base")
        if same(place / "app", self.base / "app"):
            self.left_out[name] = f"the code is the same with and without it {note_of(compared)}"
            return
        self.compared.append(compared)
        if name == "tracing":
            self.compared.append(Compared(COLLECTED, COLLECTING, "base"))

    def servers(self, port: int) -> dict[str, Server]:
        """One for each service, on ports from this one on; a collector has the port before it."""
        names = ["base", *dict.fromkeys(other_of(compared) for compared in self.compared)]
        start = [str(self.everything / ".venv/bin/python"), "-m", "app", "api"]
        found: dict[str, Server] = {}
        for number, name in enumerate(names):
            env: dict[str, str] = {}
            if name == COLLECTING:
                env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port - 1}"
            place = self.folder / name.removesuffix("-collector")
            found[name] = server(name, port + number, cwd=str(place), start=start, env=env)
        migrate = ["env", "-C", str(self.everything), start[0], "-m", "app", "migrate"]
        found["base"].spec["prepare"] = [migrate]  # one schema for all, that of everything
        return found


def requirers(name: str) -> set[str]:
    """The patterns that require this one."""
    manifests = [yaml.safe_load(p.read_text()) for p in (HERE.parent / "patterns").glob("*.yml")]
    direct = {m["name"] for m in manifests if name in m["requires"]}
    return direct.union(*map(requirers, direct))


def other_of(compared: Compared) -> str:
    """The server that is not the base."""
    return compared.without if compared.with_it == "base" else compared.with_it


def note_of(compared: Compared) -> str:
    """The note in brackets, if there is one."""
    return f"({compared.note})" if compared.note else ""


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same Python files with the same content."""
    files = {p.relative_to(one) for p in one.rglob("*.py")}
    if files != {p.relative_to(other) for p in other.rglob("*.py")}:
        return False
    return all(filecmp.cmp(one / file, other / file, shallow=False) for file in files)
