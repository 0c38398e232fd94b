"""Servers of the generated service for the measurements that have their own order of things."""

from __future__ import annotations

import argparse
import copy
import os
import signal
import tomllib
from pathlib import Path
from typing import Any

from bench.harness.measuring import Bench
from bench.harness.servers import Server

HERE = Path(__file__).parent
BUILD = Path(os.environ.get("BENCH_BUILD") or HERE.parent / "build/bench").resolve()


def arguments(
    description: str | None, out: str, *, rounds: int, duration: int, parts: str
) -> argparse.Namespace:
    """The options that growth and costs share, as bench/harness expects them."""
    cpus = sorted(os.sched_getaffinity(0))
    form = argparse.RawDescriptionHelpFormatter
    p = argparse.ArgumentParser(description=description, formatter_class=form)
    p.add_argument("--quick", action="store_true", help="1 round of 1 s: to see that it works")
    p.add_argument("--rounds", type=int, default=rounds)
    p.add_argument("--duration", type=int, default=duration, help="whole seconds a measurement")
    p.add_argument("--out", type=Path, default=BUILD / out, help="folder of the report and plots")
    p.add_argument("--build", default=str(BUILD), help="folder of what `--build-only` has built")
    p.add_argument("--pg-port", type=int, default=15432)
    p.add_argument("--redis-port", type=int, default=16379)
    p.add_argument("--port", type=int, default=18301, help="the first of the servers' ports")
    p.add_argument("--only", default="", help=f"comma-separated {parts}; all by default")
    args = p.parse_args()
    if args.quick:
        args.rounds = args.duration = 1
    args.warmup, args.connections, args.keep = 1, 32, False
    args.free = len(cpus) >= 4  # a CPU for each of two processes, the load, and the backends
    second = str(cpus[1] if len(cpus) > 1 else cpus[0])
    args.server_cpus, args.two_cpus = str(cpus[0]), (str(cpus[0]), second)
    args.load_cpus = str(cpus[2]) if args.free else second
    args.backend_cpus = ",".join(map(str, cpus[3:])) if args.free else second
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def server(name: str, port: int, **changes: Any) -> Server:
    """`perfgen` of perfgen.toml by another name and on other ports; `changes` are of its table, and
    those of `env` are added to it."""
    spec = copy.deepcopy(tomllib.loads((HERE / "perfgen.toml").read_text())["server"][0])
    # no balancer is there to notice that a server ends
    own = {"INTERNAL_PORT": str(port + 1000), "SHUTDOWN_DRAIN_S": "0"}
    env = spec["env"] | own | changes.pop("env", {})
    return Server({**spec, "name": name, "port": port, **changes, "env": env})


def opened(args: argparse.Namespace) -> Bench:
    """The harness with PostgreSQL and Redis started. SIGTERM is from now on as Ctrl-C, so that
    `finally` closes it."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    bench = Bench(args)
    try:
        bench.backends.start()
    except BaseException:
        bench.close()
        raise
    return bench


def failed(bench: Bench) -> int:
    """Requests that failed in all measurements."""
    return sum(sample["failed"] for sample in bench.samples)
