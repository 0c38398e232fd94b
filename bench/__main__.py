"""`make bench`: build what is compared, measure the service, its queue, then the generator.

    python -m bench                    everything, ten rounds: about two hours
    python -m bench --rounds 2         with any option of run.py
    python -m bench --build-only       render the service and install the peers
    python -m bench --generator-only   only the generator: new services, and changes of one
    python -m bench --jobs-only        only the queue, with any option of jobs.py

The builds are kept in build/bench (BENCH_BUILD names another folder); delete it to build anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.proofs.harness.service import every_pattern
from tests.proofs.harness.service import find_uv
from tests.proofs.harness.service import render
from tests.proofs.harness.service import sync

HERE = Path(__file__).parent
BUILD = Path(os.environ.get("BENCH_BUILD") or HERE.parent / "build/bench").resolve()
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


def main(options: list[str]) -> int:
    """Build and measure; an exit code."""
    jobs = [sys.executable, "-m", "bench.jobs"]
    if "--jobs-only" in options:
        BUILD.mkdir(parents=True, exist_ok=True)
        build_service(BUILD / "service")
        return subprocess.run([*jobs, *(o for o in options if o != "--jobs-only")]).returncode
    if "--generator-only" not in options:
        BUILD.mkdir(parents=True, exist_ok=True)
        build_service(BUILD / "service")
        build_seed(BUILD / "seed-express")
        build_bullmq(BUILD / "bullmq")
        if "--build-only" in options:
            return 0
        command = [sys.executable, "-m", "bench.run", "--build", str(BUILD)]
        command += ["--servers", str(HERE / "perfgen.toml"), "--scenarios", SCENARIOS]
        command += ["--only", "seed-express,perfgen,perfgen-log", "--rounds", "10", *options]
        if code := subprocess.run(command).returncode:
            return code
        if code := subprocess.run([*jobs, *(o for o in options if o == "--quick")]).returncode:
            return code
    modules = ("bench.generator", "bench.changes")
    return max(subprocess.run([sys.executable, "-m", module]).returncode for module in modules)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
