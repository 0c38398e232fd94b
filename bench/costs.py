"""What each pattern costs: the service with and without it, measured in turns.

python -m bench.costs [--quick] [--rounds N] [--only NAME,...] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.costing import ALLOWED
from bench.costing import PAGE
from bench.costing import Compared
from bench.costing import Cost
from bench.costing import bars
from bench.costing import costs_of
from bench.costing import not_measured
from bench.costing import table
from bench.harness.measuring import Bench
from bench.harness.processes import Process
from bench.harness.processes import say
from bench.harness.servers import Server
from bench.plots import draw_bars
from bench.private import HERE
from bench.private import arguments
from bench.private import failed
from bench.private import opened
from bench.tables import noise
from bench.variants import COLLECTED
from bench.variants import Variants
from bench.variants import other_of

TURNS = 2  # of each server within a round: A B A B
ROUTES = (PAGE, "user_hit")
# Whose work is elsewhere: a route that there is with and without them.
OTHER_ROUTES = {"compression": "items_page_gzip", "idempotency": "item_create"}


class Rounds:
    """The base, and beside it one service after the other.

    A process is warmed once, when it is new. Each round has new ones: no two processes of the same
    code cost quite the same.
    """

    def __init__(self, bench: Bench, servers: dict[str, Server]) -> None:
        self.bench, self.servers = bench, servers
        self.warmup, bench.args.warmup = bench.args.warmup, 0

    def run(self, number: int, compared: list[Compared]) -> None:
        """One round, with fresh data."""
        base = self.servers["base"]
        self.bench.backends.reset(base.seed(self.bench))
        base.start(self.bench)
        try:
            cursors = self.bench.cursors(base)
            self.bench.warm_users(base)
            for scenario in (*ROUTES, *OTHER_ROUTES.values()):
                self._warm(base, scenario, cursors)
            for one in compared:
                say(f"round {number}: {one.name}")
                self._compare(base, one, cursors, number)
        finally:
            base.stop()

    def _warm(self, server: Server, scenario: str, cursors: list[str]) -> None:
        self.bench.wrk(server, server.requests(scenario, cursors), self.warmup, "warm")

    def _compare(self, base: Server, compared: Compared, cursors: list[str], number: int) -> None:
        other = self.servers[other_of(compared)]
        routes = [*ROUTES, *filter(None, [OTHER_ROUTES.get(compared.name)])]
        other.start(self.bench)
        try:
            for scenario in routes:
                self._warm(other, scenario, cursors)
                for _ in range(TURNS):
                    for server in (base, other):
                        self.bench.measure(server, scenario, cursors, number)
                        self.bench.samples[-1]["pair"] = compared.name
        finally:
            other.stop()


def start_collector(bench: Bench) -> Process:
    """What takes the traces, on the CPU of the load."""
    command = [sys.executable, "-m", "bench.collector", str(bench.args.port)]
    log = bench.work / "collector.log"
    return Process(command, bench.args.load_cpus, log, cwd=HERE.parent)


def measure(args: argparse.Namespace, variants: Variants) -> Bench:
    """All rounds. RuntimeError when tracing was measured and the collector got no traces."""
    servers = variants.servers(args.port + 1)
    bench = opened(args)
    try:
        collector = start_collector(bench)
        rounds = Rounds(bench, servers)
        for number in range(1, args.rounds + 1):
            rounds.run(number, variants.compared)
        traced = any(compared.name == COLLECTED for compared in variants.compared)
        if traced and not collector.log.read_text().split():
            raise RuntimeError("the collector got no traces")
    finally:
        bench.close()
    return bench


def write(bench: Bench, costs: list[Cost], left_out: dict[str, str], out: Path) -> None:
    """report.md, results.json and a plot for each of the two routes."""
    args = bench.args
    lines = [
        "# What each pattern costs",
        "",
        "The generated service, preset standard with `fields`, with and without each pattern: CPU-ms per request of "
        f"the server's processes. {args.rounds} round(s) of {TURNS} turns of {args.duration} s for each of the two, "
        f"{args.connections} connections. Ratios are taken within a round; their median and range over rounds. "
        f"A pattern is to add at most {100 * ALLOWED:.0f} % of a page request.",
        "",
        noise(bench.samples),
        "",
        table(costs),
    ]
    if left_out:
        lines += ["", "Not measured:", "", not_measured(left_out)]
    (out / "report.md").write_text("\n".join(lines) + "\n")
    document = {"rounds": args.rounds, "duration_s": args.duration, "samples": bench.samples}
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    for route in ROUTES:
        title = f"{route}: CPU-ms per request with the pattern / without"
        x = "median of the rounds' ratios; black: their range"
        draw_bars(bars(costs, route), title, x, 1 + ALLOWED, out / f"{route}.svg")
    print((out / "report.md").read_text())
    say(f"written to {out}")


def main() -> int:
    """Render, measure and write; an exit code: 1 when a request failed."""
    args = arguments(__doc__, "costs", rounds=3, duration=1, parts="patterns")
    say("rendering the services")
    only = {name for name in args.only.split(",") if name}
    try:
        variants = Variants(Path(args.build) / "costs-services", only)
    except ValueError as error:
        sys.exit(str(error))
    try:
        bench = measure(args, variants)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    costs: list[Cost] = []
    for compared in variants.compared:
        mine = [sample for sample in bench.samples if sample["pair"] == compared.name]
        costs += costs_of(mine, compared)
    write(bench, costs, variants.left_out, args.out)
    if lost := failed(bench):
        say(f"{lost} requests failed")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
