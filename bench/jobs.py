"""The service's queue beside BullMQ: how fast jobs get in, get done, and get started.

    python -m bench.jobs                        10,000 jobs, five rounds
    python -m bench.jobs --quick                500 jobs, one round: to see that it works
    python -m bench.jobs --rounds 3 --jobs 5000 --out DIR

Starts a PostgreSQL and a Redis of its own, first with durability off, then on; writes report.md,
results.json and jobs.svg. Exit code 1 when a job was not done exactly once, or nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.__main__ import BUILD
from bench.__main__ import build_bullmq
from bench.__main__ import build_service
from bench.harness.backends import Backends
from bench.harness.processes import Process
from bench.harness.processes import say
from bench.harness.processes import spin
from bench.jobs_measuring import Measured
from bench.jobs_measuring import Place
from bench.jobs_measuring import System
from bench.jobs_report import OURS
from bench.jobs_report import TABLES
from bench.jobs_report import Sample
from bench.jobs_report import plot
from bench.jobs_report import report
from bench.jobs_systems import BullMQ
from bench.jobs_systems import Perfgen

HERE = Path(__file__).resolve().parent


def arguments() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m bench.jobs", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--jobs", type=int, default=10_000, help="of each measurement of a rate")
    p.add_argument("--seconds", type=float, default=10, help="of steady load, for the latency")
    p.add_argument("--rate", type=float, default=200, help="jobs per second of that load")
    p.add_argument("--quick", action="store_true", help="500 jobs, 1 round, 2 s of steady load")
    p.add_argument("--out", type=Path, help="folder of the report")
    p.add_argument("--pg-port", type=int, default=15472)
    p.add_argument("--redis-port", type=int, default=16419)
    p.add_argument("--keep", action="store_true", help="keep logs and the databases' folders")
    args = p.parse_args()
    if args.quick:
        args.rounds, args.jobs, args.seconds = 1, 500, 2
    if min(args.rounds, args.jobs - 1, args.seconds * args.rate - 1) < 1:
        p.error("at least one round and two jobs")
    return args


def fdatasync_ms(folder: Path) -> float:
    """Median milliseconds until 8 KiB are on the disk: what each durable commit waits for."""
    took = []
    with (folder / "fdatasync").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(bytes(8192))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


class Bench:
    """One run: its servers, its samples, and the folder of its logs."""

    def __init__(self, args: argparse.Namespace) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        self.args = args
        self.work = Path(tempfile.mkdtemp(prefix="jobs-", dir=BUILD))
        self.work.chmod(0o755)  # PostgreSQL runs as a user of its own
        self.worker_cpus = str(cpus[0])
        self.backend_cpus = ",".join(map(str, cpus[2:4] if len(cpus) > 3 else cpus[1:] or cpus))
        self.producer_cpus = str(cpus[1]) if len(cpus) > 3 else self.worker_cpus
        self.samples: list[Sample] = []
        self.spins: list[float] = []
        self.backends: Backends | None = None

    def table(self, table: str) -> None:
        """All rounds with fresh servers; the systems take turns within each."""
        folder = self.work / table
        folder.mkdir(mode=0o755)
        say(f"durability {table}: starting PostgreSQL and Redis")
        self.backends = Backends(
            folder, self.backend_cpus, self.args.pg_port, self.args.redis_port, table == "on"
        )
        self.backends.start()
        place = Place(
            self.backends, BUILD, folder, worker_cpus=self.worker_cpus,
            producer_cpus=self.producer_cpus,
        )  # fmt: skip
        systems = [self.system(name, place) for name in TABLES[table][1]]
        for system in systems:
            system.prepare()
        for turn in range(1, self.args.rounds + 1):
            for system in systems:
                say(f"durability {table}, round {turn}: {system.name}")
                self.turn(system, table, turn)
        self.backends.stop()

    @staticmethod
    def system(name: str, place: Place) -> System:
        """The system of that name in TABLES."""
        if name == OURS:
            spec = tomllib.loads((HERE / "perfgen.toml").read_text())["server"][0]
            return Perfgen(name, place, spec["env"])
        return BullMQ(name, place, appendfsync="always" if name.endswith("always") else "everysec")

    def turn(self, system: System, table: str, turn: int) -> None:
        """Each measurement once."""
        self.spins.append(spin(int(self.worker_cpus)))
        jobs, rate = self.args.jobs, self.args.rate
        measurements: list[Callable[[], Measured]] = [
            lambda: system.rates("sequential", "enqueue_one", jobs, 10),
            lambda: system.rates("concurrent", "enqueue_32", jobs, 100),
            lambda: system.rates("bulk", "enqueue_bulk", jobs, None),
            lambda: system.latency(int(rate * self.args.seconds), rate),
        ]
        for measure_next in measurements:
            measured, failed = measure_next()
            if failed:
                say(f"  FAILED: {failed}")
            for measure, value in measured.items():
                shown = "-" if value is None else f"{value:.3f}"
                say(f"  {measure} {shown}")
                self.samples.append(Sample(turn, table, system.name, measure, value, failed))

    def close(self) -> None:
        """End what runs, servers last; remove the folder."""
        for number in (signal.SIGINT, signal.SIGTERM):  # asked again, it would leave servers behind
            signal.signal(number, signal.SIG_IGN)
        servers = [getattr(self.backends, name, None) for name in ("pg", "redis")]
        for process in list(Process.live):
            if process not in servers:
                process.stop(wait=5)
        if self.backends:
            self.backends.stop()
        if not self.args.keep:
            shutil.rmtree(self.work, ignore_errors=True)

    def facts(self) -> dict[str, Any]:
        """Under what conditions it was measured."""
        args = self.args
        lock = json.loads((HERE / "bullmq/package.json").read_text())["dependencies"]
        python = str(BUILD / "service/.venv/bin/python")
        return {
            "jobs": f"{args.jobs} of each rate; {args.rate:g} a second for {args.seconds:g} s of latency",
            "rounds": f"{args.rounds}",
            "versions": f"{first_line(python, '--version')}; Node {first_line('node', '--version')}, "
            f"BullMQ {lock['bullmq']}, ioredis {lock['ioredis']}; "
            f"{first_line(str(Backends.find_pg() / 'postgres'), '--version')}; "
            f"{first_line('redis-server', '--version')}",
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs; worker on {self.worker_cpus}, "
            f"producer on {self.producer_cpus}, backends on {self.backend_cpus}",
            "8 KiB to the disk": f"{fdatasync_ms(self.work):.2f} ms (fdatasync, median)",
            "spin": f"{min(self.spins, default=0):.1f}-{max(self.spins, default=0):.1f} ms",
        }


def first_line(*command: str) -> str:
    """Of what a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0].partition(" sha=")[0]


def write(bench: Bench, out: Path) -> None:
    """The report, the data and the plot."""
    facts = bench.facts()
    out.mkdir(parents=True, exist_ok=True)
    text = report(bench.samples, facts)
    (out / "report.md").write_text(text)
    document = {"facts": facts, "samples": [sample._asdict() for sample in bench.samples]}
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    plot(bench.samples, out / "jobs.svg")
    print(text)
    say(f"written to {out}")


def interrupted(*_: Any) -> None:
    """SIGTERM is as Ctrl-C."""
    raise KeyboardInterrupt


def main() -> int:
    """Build what is missing, measure and report; an exit code."""
    args = arguments()
    signal.signal(signal.SIGTERM, interrupted)
    BUILD.mkdir(parents=True, exist_ok=True)
    if not (BUILD / "service/.venv").exists():
        build_service(BUILD / "service")
    build_bullmq(BUILD / "bullmq")
    bench = Bench(args)
    code = 0
    try:
        for table in TABLES:
            bench.table(table)
    except KeyboardInterrupt:
        say("interrupted: reporting what there is")
        code = 130
    finally:
        try:
            if bench.samples:
                write(bench, args.out or BUILD / "results" / time.strftime("jobs-%Y%m%d-%H%M%S"))
        finally:
            bench.close()
    failed = any(sample.failed for sample in bench.samples)
    return code or (1 if failed or not bench.samples else 0)


if __name__ == "__main__":
    sys.exit(main())
