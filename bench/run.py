"""Measures services side by side on one workload. See README.md for the contract and the measures.

Starts its own Postgres and Redis, gives every server the same fresh data, and ends by pid every
process it started.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from bench.harness.measuring import Bench
from bench.harness.processes import say
from bench.harness.report import report
from bench.harness.servers import SCENARIOS
from bench.harness.servers import Server

HERE = Path(__file__).resolve().parent


def arguments() -> argparse.Namespace:
    cpus = sorted(os.sched_getaffinity(0))
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--servers",
        action="append",
        default=[],
        metavar="FILE",
        help="one more TOML file of servers (servers.toml here is always read; repeatable)",
    )
    p.add_argument("--only", default="", help="comma-separated server or group names")
    p.add_argument("--skip", default="", help="comma-separated server or group names to leave out")
    p.add_argument(
        "--scenarios", default=",".join(SCENARIOS), help="comma-separated; all by default"
    )
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--duration", type=float, default=6, help="seconds measured per scenario")
    p.add_argument(
        "--warmup", type=float, default=2, help="seconds of load before each measurement"
    )
    p.add_argument(
        "--quick", action="store_true", help="1 round, 2 s after 1 s: to see that it works"
    )
    p.add_argument("--connections", type=int, default=32)
    p.add_argument("--server-cpus", default=str(cpus[0]))
    p.add_argument("--load-cpus", default=str(cpus[1] if len(cpus) > 1 else cpus[0]))
    p.add_argument(
        "--backend-cpus",
        default="",
        help="CPUs of Postgres and Redis: by default two of their own where there are "
        "four or more, else those of the load generator",
    )
    p.add_argument("--pg-port", type=int, default=15432)
    p.add_argument("--redis-port", type=int, default=16379)
    p.add_argument("--build", default=os.environ.get("BENCH_BUILD", "/tmp/bench-build"))
    p.add_argument("--out", default="", help="folder for report.md and results.json")
    p.add_argument("--ratio-to", default="")
    p.add_argument("--no-drain", dest="drain", action="store_false")
    p.add_argument(
        "--lag",
        type=float,
        default=1.0,
        help="drain: seconds after SIGTERM until the balancer opens no new connection",
    )
    p.add_argument("--drain-only", action="store_true", help="the contract and the drain, no load")
    p.add_argument("--check-only", action="store_true", help="only the contract, no load")
    p.add_argument("--keep", action="store_true", help="keep logs and the database folder")
    p.add_argument("--list", action="store_true", help="print the servers and stop")
    args = p.parse_args()
    if args.quick:
        args.rounds, args.duration, args.warmup = 1, 2, 1
    if args.check_only:
        args.rounds = 1
    if not args.backend_cpus:
        args.backend_cpus = f"{cpus[2]},{cpus[3]}" if len(cpus) >= 4 else args.load_cpus
    args.scenarios = [s for s in args.scenarios.split(",") if s]
    if unknown := set(args.scenarios) - set(SCENARIOS):
        p.error(f"unknown scenarios: {', '.join(sorted(unknown))}")
    return args


def main() -> int:
    args = arguments()
    specs: list[dict[str, Any]] = []
    ratio_to = args.ratio_to
    for path in [HERE / "servers.toml", *map(Path, args.servers)]:
        document = tomllib.loads(path.read_text())
        ratio_to = ratio_to or document.get("defaults", {}).get("ratio_to", "")
        specs += document.get("server", [])
    servers = [Server(spec) for spec in specs]
    only, skip = set(filter(None, args.only.split(","))), set(filter(None, args.skip.split(",")))
    servers = [
        s
        for s in servers
        if (not only or {s.name, s.group} & only) and not {s.name, s.group} & skip
    ]
    if args.list:
        for server in servers:
            print(f"{server.name:26} {server.group:10} {', '.join(server.features)}")
        return 0
    if not servers:
        sys.exit("no server selected")
    for tool in ("wrk", "redis-server", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"{tool} not found: see bench/README.md")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    bench = Bench(args)
    try:
        say(
            f"starting Postgres and Redis, seeding ({len(servers)} servers, {args.rounds} round(s))"
        )
        bench.backends.start()
        for turn in range(1, args.rounds + 1):
            for server in servers:
                say(f"round {turn}: {server.name}")
                bench.turn(server, turn)
    except KeyboardInterrupt:
        say("interrupted: reporting what there is")
    finally:
        bench.close()
    if args.check_only:
        return 1 if bench.problems else 0
    text, document = report(bench, servers, ratio_to)
    out = Path(args.out) if args.out else bench.build / "results" / time.strftime("%Y%m%d-%H%M%S")
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(text)
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    print(text)
    say(f"written to {out}")
    return 1 if bench.problems or any(sample["failed"] for sample in bench.samples) else 0


if __name__ == "__main__":
    sys.exit(main())
