"""Where each microsecond of a request goes: the service under load, sampled by py-spy.

    python -m bench.profile [--scenarios user_hit,items_page] [--seconds 10] [--out DIR]

Each sample is counted for the innermost frame of the layers below, so a layer has its own time and that of what it
calls outside of them (C code, the standard library). Shares are of the server's CPU time; what they are in microseconds
is worked out with the CPU time a request took in a run without the sampler.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.harness.contract import check
from bench.harness.measuring import Bench
from bench.harness.processes import cpu_seconds
from bench.harness.servers import SCENARIOS
from bench.harness.servers import Server
from bench.private import BUILD

HERE = Path(__file__).parent
RATE = 500  # samples a second

# a part of a frame's file -> the layer; the first that fits
LAYERS = (
    ("app/http/edge", "edge: request id, headers, bounds"),
    ("app/metrics/", "metrics"),
    ("prometheus_client/", "metrics"),
    ("app/shutdown/", "drain"),
    ("app/auth/", "authentication"),
    ("app/rate_limit/", "rate limit"),
    ("app/compression/", "compression"),
    ("app/http/direct", "routing and parameters"),
    ("fastapi/", "routing and parameters"),
    ("starlette/routing", "routing and parameters"),
    ("pydantic/", "validation"),
    ("app/http/bodies", "validation"),
    ("starlette/", "request and response objects"),
    ("app/http/responses", "request and response objects"),
    ("app/cache/", "cache"),
    ("app/redis/", "Redis client"),
    ("redis/", "Redis client"),
    ("app/database/", "database client"),
    ("asyncpg/", "database client"),
    ("app/pagination/", "pages and cursors"),
    ("app/fields/", "fields"),
    ("app/queue/", "queue"),
    ("app/items/", "handlers"),
    ("app/users/", "handlers"),
    ("app/http/", "HTTP protocol"),
    ("uvicorn/", "HTTP protocol"),
    ("asyncio/runners", "event loop and kernel"),
    ("asyncio/streams", "Redis client"),
    ("asyncio/", "event loop and kernel"),
)


def layer_of(stack: str) -> str:
    """The layer of one stack as py-spy writes it: frames from the outermost on, separated by `;`."""
    for frame in reversed(stack.split(";")):
        place = frame.partition("(")[2]
        for part, layer in LAYERS:
            if part in place:
                return layer
    return "everything else"


def shares(raw: str) -> dict[str, float]:
    """The share of each layer in py-spy's raw output, the largest first."""
    counts: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack:
            counts[layer_of(stack)] += int(count)
    total = sum(counts.values())
    if not total:
        raise ValueError("py-spy has no samples")
    return {layer: count / total for layer, count in counts.most_common()}


def table(found: dict[str, tuple[float, dict[str, float]]]) -> str:
    """One row for each layer, microseconds for each scenario: {scenario: (CPU-ms, shares)}."""
    names = list(found)
    layers = sorted(
        {layer for _, parts in found.values() for layer in parts},
        key=lambda layer: -sum(ms * parts.get(layer, 0) for ms, parts in found.values()),
    )
    lines = ["| µs of CPU a request | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for layer in layers:
        cells = [f"{1000 * ms * parts.get(layer, 0):.1f}" for ms, parts in found.values()]
        lines.append(f"| {layer} | " + " | ".join(cells) + " |")
    totals = [f"**{1000 * ms:.0f}**" for ms, _ in found.values()]
    return "\n".join([*lines, "| all | " + " | ".join(totals) + " |"])


def profile(
    bench: Bench, server: Server, scenario: str, seconds: int
) -> tuple[float, dict[str, float]]:
    """CPU-ms a request, and the share of each layer."""
    assert server.process
    requests = server.requests(scenario, bench.cursors(server))
    name = f"profile-{scenario}"
    bench.wrk(server, requests, 2, name)
    before = cpu_seconds(server.process.pid)
    done = bench.wrk(server, requests, seconds, name)["requests"]
    cpu_ms = (cpu_seconds(server.process.pid) - before) * 1000 / done
    load = threading.Thread(target=bench.wrk, args=(server, requests, seconds + 1, name))
    load.start()
    time.sleep(0.5)
    out = bench.work / f"{name}.raw"
    command = ["py-spy", "record", "-d", str(seconds), "-r", str(RATE), "-f", "raw"]
    command[0] = str(Path(sys.executable).parent / "py-spy")
    try:
        subprocess.run(
            [*command, "-o", str(out), "--pid", str(server.process.pid)],
            check=True,
            capture_output=True,
        )
    finally:
        load.join()
    return cpu_ms, shares(out.read_text())


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--scenarios", default="user_hit,items_page,item_create,items_bulk")
    p.add_argument("--seconds", type=int, default=10)
    p.add_argument("--build", default=str(BUILD))
    p.add_argument("--out", default="", help="folder for report.md")
    args = p.parse_args()
    args.scenarios = args.scenarios.split(",")
    if unknown := set(args.scenarios) - set(SCENARIOS):
        p.error(f"unknown scenarios: {', '.join(sorted(unknown))}")
    return args


def main() -> int:
    """Profile and print; an exit code."""
    args = arguments()
    cpus = sorted(os.sched_getaffinity(0))
    settings: dict[str, Any] = {
        "build": args.build,
        "server_cpus": str(cpus[0]),
        "load_cpus": str(cpus[-1]),
        "backend_cpus": str(cpus[-1]),
        "pg_port": 15432,
        "redis_port": 16379,
        "connections": 32,
        "keep": False,
    }
    bench = Bench(SimpleNamespace(**settings))  # type: ignore[arg-type]
    specs = tomllib.loads((HERE / "perfgen.toml").read_text())["server"]
    server = Server(next(spec for spec in specs if spec["name"] == "perfgen"))
    found: dict[str, tuple[float, dict[str, float]]] = {}
    try:
        bench.backends.start()
        bench.backends.reset(server.seed(bench))
        server.start(bench)
        if wrong := check(server, bench.backends):
            print(f"The service breaks the contract: {wrong}", file=sys.stderr)
            return 1
        bench.warm_users(server)
        for scenario in args.scenarios:
            found[scenario] = profile(bench, server, scenario, args.seconds)
    finally:
        server.stop()
        bench.close()
    how = f"{RATE} samples a second for {args.seconds} s a route, 32 connections."
    text = f"# Where a request's CPU goes\n\n{how}\n\n{table(found)}"
    print(text)
    if args.out:
        Path(args.out).mkdir(parents=True, exist_ok=True)
        (Path(args.out) / "report.md").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
