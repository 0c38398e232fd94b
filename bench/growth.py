"""How the generated service grows with connections, with rows, and with processes.

python -m bench.growth [--quick] [--rounds N] [--only connections,pages,processes] [--out DIR]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.growing import PLACES
from bench.growing import ROUTES
from bench.growing import draw_connections
from bench.growing import draw_pages
from bench.growing import report
from bench.harness.load import Load
from bench.harness.load import failures
from bench.harness.measuring import Bench
from bench.harness.processes import cpu_seconds
from bench.harness.processes import say
from bench.harness.servers import Server
from bench.private import HERE
from bench.private import arguments
from bench.private import failed
from bench.private import opened
from bench.private import server
from bench.tables import noise

CONNECTIONS = (1, 8, 32, 128, 512)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
LIMIT = 20  # rows of a page
PAGES = 15  # at each place, asked for at random: three places fit into the smallest table
QUERY_S = 1.0  # how long each query is repeated


class Growth:
    """The measurements, one method each; what they find is kept by part."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.args = bench, bench.args
        self.found: dict[str, list[dict[str, Any]]] = {}
        self.seed = self._server(1).seed(bench)

    def _server(self, number: int) -> Server:
        return server(f"perfgen-{number}", self.args.port + number)

    def _measure(self, one: Server, route: str, cursors: Any, turn: int, **having: Any) -> None:
        self.bench.measure(one, route, cursors, turn)
        self.found.setdefault(str(having["part"]), []).append(self.bench.samples[-1] | having)

    def connections(self) -> None:
        """Both routes at each number of connections."""
        self.bench.backends.reset(self.seed)
        one = self._server(1)
        one.start(self.bench)
        try:
            cursors = self.bench.cursors(one)
            self.bench.warm_users(one)
            for turn in range(1, self.args.rounds + 1):
                for count in CONNECTIONS:
                    say(f"round {turn}: {count} connections")
                    self.args.connections = count
                    for route in ROUTES:
                        part = {"part": "connections", "connections": count}
                        self._measure(one, route, cursors, turn, **part)
        finally:
            self.args.connections = 32
            one.stop()

    def pages(self) -> None:
        """Pages at three places of a table of each size."""
        for rows in ROWS[:3] if self.args.quick else ROWS:
            say(f"a table of {rows:,} items")
            self.bench.backends.reset(self.seed)
            sql = str(HERE / "sql/grow.sql")
            self.bench.backends.psql("bench", "-v", f"rows={rows}", "-f", sql)
            self._pages_of(rows)

    def _pages_of(self, rows: int) -> None:
        firsts = dict(zip(PLACES, (0, rows // 2, rows - LIMIT * PAGES), strict=True))
        wanted = [first + LIMIT * n for first in firsts.values() for n in range(PAGES)]
        one = self._server(1)
        one.start(self.bench)
        try:
            for turn in range(1, self.args.rounds + 1):
                deep = self._deep(one, wanted, depths(firsts))
                places = {before: place for place, before in firsts.items()}
                for query in deep["timed"]:
                    place = places.get(query["before"])
                    row = {"round": turn, "rows": rows, "place": place, **query}
                    self.found.setdefault("queries", []).append(row)
                for number, place in enumerate(PLACES):
                    cursors = deep["cursors"][number * PAGES : (number + 1) * PAGES]
                    check(one, cursors[0], rows - firsts[place])
                    part = {"part": "pages", "rows": rows, "place": place}
                    self._measure(one, "items_page", cursors, turn, **part)
        finally:
            one.stop()

    def _deep(self, one: Server, pages: list[int], timed: list[int]) -> dict[str, Any]:
        """What deep.py says, run by the service's Python on the CPU of the load."""
        service = self.bench.build / "service"
        asked = {
            "database_url": self.bench.places["database_url"],
            "secret": one.spec["env"]["PAGINATION_SECRETS"],
            "pages": pages,
            "timed": timed,
            "seconds": 0.1 if self.args.quick else QUERY_S,
        }
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        python = [str(service / ".venv/bin/python"), "-P", str(HERE / "deep.py")]
        done = subprocess.run(
            ["taskset", "-c", self.args.load_cpus, *python],
            cwd=service,
            env=env | {"PYTHONPATH": str(service)},
            input=json.dumps(asked),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"deep.py: {done.stderr[-600:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def processes(self) -> None:
        """One process, then two, each on a CPU of its own and with a wrk of its own.

        A process of the service is one instance: it listens on its own port, and a balancer would
        share the connections out as the two wrk do, half each.
        """
        for turn in range(1, self.args.rounds + 1):
            for count in (1, 2):
                self.bench.backends.reset(self.seed)
                running: list[Server] = []
                try:
                    for number in range(1, count + 1):
                        self.args.server_cpus = self.args.two_cpus[number - 1]
                        running.append(self._server(number))
                        running[-1].start(self.bench)
                    cursors = self.bench.cursors(running[0])
                    self.bench.warm_users(running[0])
                    for route in ROUTES:
                        self._together(running, route, cursors, turn)
                finally:
                    for one in running:
                        one.stop()

    def _together(self, running: list[Server], route: str, cursors: list[str], turn: int) -> None:
        self.args.connections = 64 // len(running)
        requests = running[0].requests(route, cursors)

        def load(seconds: float) -> list[Load]:
            with ThreadPoolExecutor(len(running)) as threads:
                jobs = [
                    threads.submit(self.bench.wrk, one, requests, seconds, one.name)
                    for one in running
                ]
                return [job.result() for job in jobs]

        def cpu() -> float:
            return sum(cpu_seconds(one.process.pid) for one in running if one.process)

        load(self.args.warmup)
        before = cpu()
        said = load(self.args.duration)
        count = sum(one["requests"] for one in said)
        row = {
            "round": turn,
            "processes": len(running),
            "scenario": route,
            "rps": sum(one["requests"] / one["duration_us"] * 1e6 for one in said),
            "cpu_ms": (cpu() - before) * 1000 / max(count, 1),
            "failed": sum(map(failures, said)),
        }
        self.found.setdefault("processes", []).append(row)
        self.args.connections = 32
        say(f"round {turn}: {len(running)} process(es), {route}: {row['rps']:.0f} requests/s")


def depths(firsts: dict[str, int]) -> list[int]:
    """Rows before the pages that are timed: the three places, and the powers of ten between."""
    powers = [10**n for n in range(1, 7) if 10**n < firsts["end"]]
    return sorted({*firsts.values(), *powers})


def check(one: Server, cursor: str | None, newest: int) -> None:
    """The service takes the cursor, and the page begins with this id; else RuntimeError."""
    status, _, body = one.fetch(one.page(cursor))
    ids = [item["id"] for item in json.loads(body)["data"]] if status == 200 else []
    if ids != list(range(newest, newest - LIMIT, -1)):
        raise RuntimeError(f"the page that begins with {newest}: {status} {body[:200]!r}")


def write(growth: Growth, out: Path) -> None:
    """report.md, results.json, and a plot for each part that has one."""
    found, args = growth.found, growth.args
    if "connections" in found:
        draw_connections(found["connections"], out / "connections.svg")
    if "pages" in found:
        draw_pages(found["queries"], found["pages"], out / "pages.svg")
    settings = (
        f"{args.rounds} round(s), {args.duration} s a measurement after {args.warmup} s of load; server on CPU "
        f"{args.two_cpus[0]} (two: and {args.two_cpus[1]}), load on {args.load_cpus}, PostgreSQL and Redis on "
        f"{args.backend_cpus}. Medians over rounds."
    )
    text = report(found, settings, noise(growth.bench.samples), free=args.free)
    (out / "report.md").write_text(text)
    document = {"rounds": args.rounds, "duration_s": args.duration, "cpus": os.cpu_count(), **found}
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    print(text)
    say(f"written to {out}")


def main() -> int:
    """Measure and write; an exit code: 1 when a request failed."""
    args = arguments(__doc__, "growth", rounds=5, duration=4, parts="of " + ", ".join(PARTS))
    chosen = [part for part in args.only.split(",") if part] or list(PARTS)
    if unknown := {*chosen} - {*PARTS}:
        sys.exit(f"not among {', '.join(PARTS)}: {', '.join(sorted(unknown))}")
    bench = None
    try:
        bench = opened(args)
        growth = Growth(bench)
        for part in chosen:
            PARTS[part](growth)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        if bench:
            bench.close()
    write(growth, args.out)
    lost = failed(bench) + sum(one["failed"] for one in growth.found.get("processes", []))
    if lost:
        say(f"{lost} requests failed")
    return 1 if lost else 0


PARTS = {
    "connections": Growth.connections,
    "pages": Growth.pages,
    "processes": Growth.processes,
}

if __name__ == "__main__":
    sys.exit(main())
