"""`make bench`: build what is compared, measure the service, its queue, growth and patterns, then the generator.

    python -m bench                    everything, ten rounds: two to three hours
    python -m bench --quick            everything, a round of each: to see that it works
    python -m bench --service-only     only the service beside its peers, with any option of run.py: --rounds 2
    python -m bench --build-only       render the service and install the peers
    python -m bench --growth-only      only how the service grows, with any option of growth.py
    python -m bench --costs-only       only what each pattern costs, with any option of costs.py
    python -m bench --profile-only     only where each microsecond goes, with any option of profile.py
    python -m bench --jobs-only        only the queue, with any option of jobs.py
    python -m bench --generator-only   only the generator: new services, and changes of one

Each part writes its report to build/bench/results/<time>/, and there is one of them all. The builds are kept in
build/bench (BENCH_BUILD names another folder); delete it to build anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.proofs.harness.service import every_pattern
from tests.proofs.harness.service import find_uv
from tests.proofs.harness.service import render
from tests.proofs.harness.service import sync

HERE = Path(__file__).parent
BUILD = Path(os.environ.get("BENCH_BUILD") or HERE.parent / "build/bench").resolve()
LAST_WAIT_S = 60  # for a part to end what it has started
SCENARIOS = (
    "user_hit,items_page,items_page_gzip,items_fields,item_create,items_bulk,job_enqueue,mixed"
)


def build_service(folder: Path) -> None:
    """The service as this checkout generates it; granian is added for the comparison with it."""
    environment = folder / ".venv"
    kept = folder.with_name("kept-environment")
    if environment.exists():
        environment.rename(kept)
    shutil.rmtree(folder, ignore_errors=True)
    same = {*every_pattern("standard"), "fields"}  # what seed-express has
    render(folder, without={*every_pattern()} - same)
    if kept.exists():
        kept.rename(environment)
    sync(folder)
    command = [find_uv(), "pip", "install", "-q", "--python", str(environment), "granian"]
    subprocess.run(command, check=True)


def build_seed(folder: Path) -> None:
    """seed-express, with its packages."""
    shutil.copytree(HERE / "seed-express", folder, dirs_exist_ok=True)
    if not (folder / "node_modules").exists():
        command = ["npm", "install", "--omit=dev", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True)


def build_bullmq(folder: Path) -> None:
    """What the queue is compared with, in the versions of its lock; again if they have changed."""
    kept = folder / "package-lock.json"
    locked = (HERE / "bullmq/package-lock.json").read_bytes()
    same = kept.exists() and kept.read_bytes() == locked and (folder / "node_modules").exists()
    shutil.copytree(HERE / "bullmq", folder, dirs_exist_ok=True)
    if not same:
        command = ["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True)


def run(module: str, *options: str) -> int:
    """One measurement, to its end; its exit code, 1 when a signal has ended it."""
    process = subprocess.Popen([sys.executable, "-m", module, *options])
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # Ctrl-C reaches it as well: it ends what it has started, for which subprocess.run has no patience
        with suppress(subprocess.TimeoutExpired):
            process.wait(LAST_WAIT_S)
        process.terminate()
        raise
    return code if code >= 0 else 1


def measure(part: str, out: Path, options: list[str]) -> int:
    """One part, with these options of its own, reported in a folder; its exit code."""
    if part != "service":
        return run(f"bench.{part}", *options, "--out", str(out))
    given = ["--build", str(BUILD), "--servers", str(HERE / "perfgen.toml")]
    given += ["--scenarios", SCENARIOS, "--only", "seed-express,perfgen,perfgen-log,floor-full"]
    return run("bench.run", *given, "--rounds", "10", "--out", str(out), *options)


def commit() -> str:
    """What is measured: the checkout's commit, and whether there is more than that."""
    command = ["git", "-C", str(HERE.parent), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return found or "an unknown commit"


def join(results: Path, notes: Sequence[str] = ()) -> None:
    """One report.md of the parts' own, their plots included, under what there is to know of all."""
    texts = []
    for part in ALL:
        report = results / part / "report.md"
        if report.exists():
            text = re.sub(r"(?m)^# .*\n+", "", report.read_text())
            plots_there = re.sub(r"(!\[[^]]*\]\()", rf"\g<1>{part}/", text)
            texts.append(f"# {part}\n\n{plots_there}")
    if texts:
        told = "\n".join(f"{note}\n" for note in [f"Of {commit()}.", *notes])
        (results / "report.md").write_text("\n".join([told, *texts]))
        print(f"The whole report is {results / 'report.md'}")


def main(options: list[str]) -> int:
    """Build and measure; an exit code."""
    only = [option for option in options if option in ONLY]
    rest = [option for option in options if option not in only]
    if not only and {"-h", "--help"} & {*rest}:
        print(__doc__)
        return 0
    if len(only) > 1 or not (only or rest in ([], ["--quick"])):
        sys.exit(
            "Options are those of one part, as --service-only --rounds 2; for all there is --quick."
        )
    parts = ONLY[only[0]] if only else ALL
    build(parts)
    quick = not only and bool(rest)
    results, codes = BUILD / "results" / time.strftime("%Y%m%d-%H%M%S"), {}
    for part in parts:
        if part != "build":
            codes[part] = measure(part, results / part, QUICK[part] if quick else rest)
    notes = ["One round of each, to see that it works: nothing to be quoted."] if quick else []
    if failed := [part for part, code in codes.items() if code]:
        notes.append(f"Not as it should be, its output says why: {', '.join(failed)}.")
    join(results, notes)
    for note in notes:
        print(note)
    return max(codes.values(), default=0)


def build(parts: Sequence[str]) -> None:
    """What these parts measure."""
    if {"build", "service", "growth", "profile", "jobs"} & {*parts}:
        BUILD.mkdir(parents=True, exist_ok=True)
        build_service(BUILD / "service")
    if {"build", "service"} & {*parts}:
        build_seed(BUILD / "seed-express")
    if {"build", "jobs"} & {*parts}:
        build_bullmq(BUILD / "bullmq")


ALL = ("service", "profile", "jobs", "growth", "costs", "generator", "changes")
QUICK = {
    "service": ["--quick"],
    "profile": ["--seconds", "2"],
    "jobs": ["--quick"],
    "growth": ["--quick"],
    "costs": ["--quick"],
    "generator": ["1"],
    "changes": ["1"],
}
ONLY = {
    "--build-only": ("build",),
    "--service-only": ("service",),
    "--growth-only": ("growth",),
    "--costs-only": ("costs",),
    "--profile-only": ("profile",),
    "--jobs-only": ("jobs",),
    "--generator-only": ("generator", "changes"),
}

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
