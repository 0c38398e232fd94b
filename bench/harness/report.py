"""The samples as tables."""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING
from typing import Any

from bench.harness.servers import SCENARIOS

if TYPE_CHECKING:
    from bench.harness.measuring import Bench
    from bench.harness.servers import Server


def paired(
    samples: list[dict[str, Any]],
    scenario: str,
    name: str,
    ref: str,
    key: str,
    less_is_better: bool,
) -> float | None:
    """Median over rounds of the ratio to the reference in the same round; above 1 is better."""

    def by_round(server: str) -> dict[int, float]:
        return {
            s["round"]: s[key]
            for s in samples
            if (s["scenario"], s["server"]) == (scenario, server) and s[key]
        }

    mine, theirs = by_round(name), by_round(ref)
    ratios = [
        theirs[r] / mine[r] if less_is_better else mine[r] / theirs[r] for r in mine.keys() & theirs
    ]
    return statistics.median(ratios) if ratios else None


def report(bench: Bench, servers: list[Server], ratio_to: str) -> tuple[str, dict[str, Any]]:
    args = bench.args
    keys = (
        "rps",
        "p50_ms",
        "p99_ms",
        "cpu_ms",
        "backend_cpu_ms",
        "server_cpu_share",
        "other_cpu_share",
        "spin_ms",
        "pg_xacts",
        "redis_commands",
        "bytes",
    )
    medians: dict[str, dict[str, dict[str, Any]]] = {}
    for sample in bench.samples:
        medians.setdefault(sample["scenario"], {}).setdefault(sample["server"], {})
    for scenario, by_server in medians.items():
        for name, row in by_server.items():
            mine = [s for s in bench.samples if (s["scenario"], s["server"]) == (scenario, name)]
            row.update({k: statistics.median(s[k] for s in mine) for k in keys})
            row["rps_ratio"] = paired(bench.samples, scenario, name, ratio_to, "rps", False)
            row["cpu_ratio"] = paired(bench.samples, scenario, name, ratio_to, "cpu_ms", True)
            row["cpu_ms_best"] = min(s["cpu_ms"] for s in mine)
            row["cpu_ms_spread"] = max(s["cpu_ms"] for s in mine) - min(s["cpu_ms"] for s in mine)
            row["failed"] = sum(s["failed"] for s in mine)
    facts: dict[str, dict[str, Any]] = {}
    for server in servers:
        mine = [f for f in bench.facts if f["server"] == server.name]
        fact: dict[str, Any] = {}
        for key in ("startup_s", "rss_idle", "pss_idle", "rss_loaded", "pss_loaded", "drain_s"):
            values = [f[key] for f in mine if f.get(key) is not None]
            fact[key] = statistics.median(values) if values else None
        for key in (
            "after_ok",
            "after_lost",
            "after_truncated",
            "after_bad_status",
            "after_refused",
        ):
            fact[key] = sum(f.get(key, 0) for f in mine)
        fact["exits"] = [f.get("exit") for f in mine if "drain_s" in f]
        fact["features"] = server.features
        facts[server.name] = fact

    others = [s["other_cpu_share"] for s in bench.samples]
    noise = statistics.median(others) if others else 0
    spins = [s["spin_ms"] for s in bench.samples] or [0]
    order = [s.name for s in servers]
    lines = [
        "# Benchmark report",
        "",
        f"{args.rounds} round(s), {args.duration:g} s per scenario after {args.warmup:g} s of warm-up, "
        f"{args.connections} connections; server on CPU {args.server_cpus}, load on {args.load_cpus}, "
        f"Postgres and Redis on {args.backend_cpus}. Medians over rounds. Ratios are to `{ratio_to}`; "
        "above 1 is better than it, in both columns.",
        "",
        f"CPU time on the server's CPU that was not the server's: median {100 * noise:.0f} %, "
        f"worst {100 * max(others, default=0):.0f} % of the wall time "
        "(kernel network work is part of it even on a quiet machine). A fixed loop took between "
        f"{min(spins):.0f} and {max(spins):.0f} ms of CPU, median {statistics.median(spins):.0f}: where that "
        "range is wide, the CPU itself was slowed by neighbours, and CPU-ms with it.",
        "",
        "## CPU-ms per request (server process tree)",
        "",
    ]
    scenarios = [s for s in SCENARIOS if s in medians]

    def number(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    def matrix(cell: Any) -> list[str]:
        out = ["| server | " + " | ".join(scenarios) + " |", "|---|" + "---:|" * len(scenarios)]
        for name in order:
            cells = [cell(medians[s].get(name)) for s in scenarios]
            if any(c != "–" for c in cells):
                out.append(f"| {name} | " + " | ".join(cells) + " |")
        return out

    lines += matrix(lambda row: f"{row['cpu_ms']:.3f}" if row else "–")
    if args.rounds > 1:
        lines += ["", "## CPU-ms per request, each server's best round (noise only ever adds)", ""]
        lines += matrix(lambda row: f"{row['cpu_ms_best']:.3f}" if row else "–")
    lines += [
        "",
        f"## CPU efficiency relative to {ratio_to} (its CPU per request / this one's)",
        "",
    ]
    lines += matrix(lambda row: number(row["cpu_ratio"], 2) if row else "–")
    lines += ["", "## Requests per second", ""]
    lines += matrix(lambda row: f"{row['rps']:.0f}" if row else "–")
    lines += ["", "## p99 latency, ms", ""]
    lines += matrix(lambda row: f"{row['p99_ms']:.1f}" if row else "–")

    lines += [
        "",
        "## Servers",
        "",
        "| server | features | first 200, s | RSS idle, MiB | RSS after load | PSS after load | "
        "drain, s | exit | ok after TERM | lost | truncated | 5xx | refused |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|",
    ]

    for name in order:
        f = facts[name]
        drained = bool(f["exits"])
        tail = " | ".join(
            str(f[k]) if drained else "–"
            for k in (
                "after_ok",
                "after_lost",
                "after_truncated",
                "after_bad_status",
                "after_refused",
            )
        )
        lines.append(
            f"| {name} | {', '.join(f['features']) or '–'} | {number(f['startup_s'], 2)} | "
            f"{number(f['rss_idle'], 0)} | {number(f['rss_loaded'], 0)} | {number(f['pss_loaded'], 0)} | "
            f"{number(f['drain_s'], 2)} | {', '.join(map(str, f['exits'])) or '–'} | {tail} |"
        )

    for scenario in scenarios:
        lines += [
            "",
            f"## {scenario}",
            "",
            "| server | req/s | × | CPU-ms/req | × | ± | p50 ms | p99 ms | Postgres+Redis CPU-ms/req | "
            "Postgres transactions/req | Redis commands/req | bytes/req | failed | server CPU % | others % |",
            "|---|" + "---:|" * 14,
        ]
        for name in order:
            if name not in medians[scenario]:
                continue
            row = medians[scenario][name]
            speed, cpu = number(row["rps_ratio"], 2), number(row["cpu_ratio"], 2)
            lines.append(
                f"| {name} | {row['rps']:.0f} | {speed} | {row['cpu_ms']:.3f} | {cpu} | "
                f"{row['cpu_ms_spread']:.3f} | {row['p50_ms']:.2f} | {row['p99_ms']:.1f} | "
                f"{row['backend_cpu_ms']:.3f} | {row['pg_xacts']:.2f} | {row['redis_commands']:.2f} | "
                f"{row['bytes']:.0f} | {row['failed']} | {100 * row['server_cpu_share']:.0f} | "
                f"{100 * row['other_cpu_share']:.0f} |"
            )
    if bench.problems:
        lines += ["", "## Problems", ""]
        for name, wrong in bench.problems.items():
            lines += [f"- {name}, {what}: {text}" for what, text in wrong.items()]
    document = {
        "settings": {
            k: v
            for k, v in vars(args).items()
            if k
            in (
                "rounds",
                "duration",
                "warmup",
                "connections",
                "server_cpus",
                "load_cpus",
                "backend_cpus",
            )
        },
        "ratio_to": ratio_to,
        "cpus": os.cpu_count(),
        "noise_median": noise,
        "medians": medians,
        "servers": facts,
        "problems": bench.problems,
        "samples": bench.samples,
        "turns": bench.facts,
    }
    return "\n".join(lines) + "\n", document
