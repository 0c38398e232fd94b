"""What one run of load costs: the gauges around it, and the sample of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.harness.load import Load
from bench.harness.load import failures


@dataclass(frozen=True)
class Times:
    """In seconds: the clock, and the CPU time of the server, of all on its CPUs, of the backends."""

    wall: float
    server: float
    cpus: float
    backends: float

    def __sub__(self, before: Times) -> Times:
        return Times(
            self.wall - before.wall,
            self.server - before.server,
            self.cpus - before.cpus,
            self.backends - before.backends,
        )


@dataclass(frozen=True)
class Counters:
    """What PostgreSQL and Redis were asked."""

    transactions: int
    commands: int

    def __sub__(self, before: Counters) -> Counters:
        return Counters(self.transactions - before.transactions, self.commands - before.commands)


def sampled(load: Load, used: Times, asked: Counters, cpus: int) -> dict[str, Any]:
    """The figures of a run: times in milliseconds, costs for one request, shares of `cpus` CPUs."""
    n = max(load["requests"], 1)
    return {
        "rps": load["requests"] / (load["duration_us"] / 1e6),
        "p50_ms": load["p50_us"] / 1000,
        "p99_ms": load["p99_us"] / 1000,
        "cpu_ms": used.server * 1000 / n,
        "backend_cpu_ms": used.backends * 1000 / n,
        "server_cpu_share": used.server / used.wall,
        "other_cpu_share": max(used.cpus - used.server, 0) / used.wall / cpus,
        "pg_xacts": asked.transactions / n,
        "redis_commands": asked.commands / n,
        "bytes": load["bytes"] / n,
        "requests": load["requests"],
        "failed": failures(load),
    }


def told(sample: dict[str, Any]) -> str:
    """The sample in a line."""
    return (
        f"  {sample['server']:24} {sample['scenario']:16} {sample['rps']:8.0f} req/s  "
        f"{sample['cpu_ms']:.3f} CPU-ms/req  p50 {sample['p50_ms']:.1f}  "
        f"p99 {sample['p99_ms']:.1f} ms  failed {sample['failed']}  "
        f"(server {100 * sample['server_cpu_share']:.0f}% of its CPU, others "
        f"{100 * sample['other_cpu_share']:.0f}%, spin {sample['spin_ms']:.0f} ms)"
    )
