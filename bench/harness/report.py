"""The samples as tables."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from bench.harness.servers import SCENARIOS

if TYPE_CHECKING:
    from bench.harness.measuring import Bench
    from bench.harness.servers import Server

Row = dict[str, Any]

LIMIT = "floor-full"  # the server that says what is possible

# of a sample
MEASURED = (
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
# of a server: medians, and what is counted of its drain
OF_SERVERS = ("startup_s", "rss_idle", "pss_idle", "rss_loaded", "pss_loaded", "drain_s")
DRAINED = ("after_ok", "after_lost", "after_truncated", "after_bad_status", "after_refused")
SETTINGS = (
    "rounds",
    "duration",
    "warmup",
    "connections",
    "server_cpus",
    "load_cpus",
    "backend_cpus",
)


def paired(
    samples: list[Row], scenario: str, name: str, ref: str, key: str, less_is_better: bool
) -> list[float]:
    """The ratios to the reference, each within a round; above 1 is better."""

    def by_round(server: str) -> dict[int, float]:
        return {
            s["round"]: s[key]
            for s in samples
            if (s["scenario"], s["server"]) == (scenario, server) and s[key]
        }

    mine, theirs = by_round(name), by_round(ref)
    return [
        theirs[r] / mine[r] if less_is_better else mine[r] / theirs[r] for r in mine.keys() & theirs
    ]


def medians_of(samples: list[Row], ratio_to: str) -> dict[str, dict[str, Row]]:
    """By scenario and server: medians over the rounds, ratios, the best round, the spread."""
    medians: dict[str, dict[str, Row]] = {}
    for scenario, name in dict.fromkeys((s["scenario"], s["server"]) for s in samples):
        mine = [s for s in samples if (s["scenario"], s["server"]) == (scenario, name)]
        row = {key: statistics.median(s[key] for s in mine) for key in MEASURED}
        speed = paired(samples, scenario, name, ratio_to, "rps", less_is_better=False)
        cpu = paired(samples, scenario, name, ratio_to, "cpu_ms", less_is_better=True)
        limit = paired(samples, scenario, name, LIMIT, "cpu_ms", less_is_better=False)
        every = [s["cpu_ms"] for s in mine]
        row |= {
            "rps_ratio": statistics.median(speed) if speed else None,
            "cpu_ratio": statistics.median(cpu) if cpu else None,
            "cpu_ratio_range": (min(cpu), max(cpu)) if cpu else None,
            "of_limit": statistics.median(limit) if limit else None,
            "of_limit_range": (min(limit), max(limit)) if limit else None,
            "cpu_ms_best": min(every),
            "cpu_ms_spread": max(every) - min(every) if len(every) > 1 else None,
            "failed": sum(s["failed"] for s in mine),
        }
        medians.setdefault(scenario, {})[name] = row
    return medians


def facts_of(facts: list[Row], servers: list[Server]) -> dict[str, Row]:
    """By server: start, memory, and what came of its drains."""
    found: dict[str, Row] = {}
    for server in servers:
        mine = [f for f in facts if f["server"] == server.name]
        fact: Row = {}
        for key in OF_SERVERS:
            values = [f[key] for f in mine if f.get(key) is not None]
            fact[key] = statistics.median(values) if values else None
        fact |= {key: sum(f.get(key, 0) for f in mine) for key in DRAINED}
        fact["exits"] = [f.get("exit") for f in mine if "drain_s" in f]
        fact["features"] = server.features
        found[server.name] = fact
    return found


def number(value: float | None, digits: int) -> str:
    """A cell of a table."""
    return "–" if value is None else f"{value:.{digits}f}"


def ratio(row: Row, of: str = "cpu_ratio") -> str:
    """Median and range over the rounds."""
    if row[of] is None:
        return "–"
    low, high = row[f"{of}_range"]
    return f"{row[of]:.2f} [{low:.2f}–{high:.2f}]"


def matrix(
    medians: dict[str, dict[str, Row]], order: list[str], cell: Callable[[Row], str]
) -> list[str]:
    """A table of servers and scenarios."""
    scenarios = [s for s in SCENARIOS if s in medians]
    lines = ["| server | " + " | ".join(scenarios) + " |", "|---|" + "---:|" * len(scenarios)]
    for name in order:
        rows = [medians[s].get(name) for s in scenarios]
        if any(rows):
            cells = [cell(row) if row else "–" for row in rows]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def head(bench: Bench, ratio_to: str) -> list[str]:
    """How it was measured, and how quiet the machine was."""
    args = bench.args
    others = [s["other_cpu_share"] for s in bench.samples] or [0]
    spins = [s["spin_ms"] for s in bench.samples] or [0]
    return [
        "# Benchmark report",
        "",
        f"{args.rounds} round(s), {args.duration:g} s per scenario after {args.warmup:g} s of warm-up, "
        f"{args.connections} connections; server on CPU {args.server_cpus}, load on {args.load_cpus}, "
        f"Postgres and Redis on {args.backend_cpus}. Medians over rounds. Ratios are to `{ratio_to}`; "
        "above 1 is better than it, in both columns.",
        "",
        f"CPU time on the server's CPU that was not the server's: median {100 * statistics.median(others):.0f} %, "
        f"worst {100 * max(others):.0f} % of the wall time "
        "(kernel network work is part of it even on a quiet machine). A fixed loop took between "
        f"{min(spins):.0f} and {max(spins):.0f} ms of CPU, median {statistics.median(spins):.0f}: where that "
        "range is wide, the CPU itself was slowed by neighbours, and CPU-ms with it.",
    ]


def servers_table(facts: dict[str, Row], order: list[str]) -> list[str]:
    """Start, memory and drain of each server."""
    lines = [
        "| server | features | first 200, s | RSS idle, MiB | RSS after load | PSS after load | "
        "drain, s | exit | ok after TERM | lost | truncated | 5xx | refused |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|",
    ]
    for name in order:
        f = facts[name]
        tail = " | ".join(str(f[key]) if f["exits"] else "–" for key in DRAINED)
        lines.append(
            f"| {name} | {', '.join(f['features']) or '–'} | {number(f['startup_s'], 2)} | "
            f"{number(f['rss_idle'], 0)} | {number(f['rss_loaded'], 0)} | {number(f['pss_loaded'], 0)} | "
            f"{number(f['drain_s'], 2)} | {', '.join(map(str, f['exits'])) or '–'} | {tail} |"
        )
    return lines


def scenario_row(name: str, row: Row) -> str:
    """All that was measured of one server in one scenario."""
    return (
        f"| {name} | {row['rps']:.0f} | {number(row['rps_ratio'], 2)} | {row['cpu_ms']:.3f} | "
        f"{number(row['cpu_ratio'], 2)} | {number(row['cpu_ms_spread'], 3)} | {row['p50_ms']:.2f} | "
        f"{row['p99_ms']:.1f} | {row['backend_cpu_ms']:.3f} | {row['pg_xacts']:.2f} | "
        f"{row['redis_commands']:.2f} | {row['bytes']:.0f} | {row['failed']} | "
        f"{100 * row['server_cpu_share']:.0f} | {100 * row['other_cpu_share']:.0f} |"
    )


def scenario_table(rows: dict[str, Row], order: list[str]) -> list[str]:
    """The servers in one scenario."""
    return [
        "| server | req/s | × | CPU-ms/req | × | ± | p50 ms | p99 ms | Postgres+Redis CPU-ms/req | "
        "Postgres transactions/req | Redis commands/req | bytes/req | failed | server CPU % | others % |",
        "|---|" + "---:|" * 14,
        *(scenario_row(name, rows[name]) for name in order if name in rows),
    ]


def report(bench: Bench, servers: list[Server], ratio_to: str) -> tuple[str, Row]:
    """The report in Markdown, and all that it is made of."""
    medians = medians_of(bench.samples, ratio_to)
    facts = facts_of(bench.facts, servers)
    order = [server.name for server in servers]
    sections: dict[str, list[str]] = {
        "CPU-ms per request (server process tree)": matrix(
            medians, order, lambda row: f"{row['cpu_ms']:.3f}"
        ),
        "CPU-ms per request, each server's best round (noise only ever adds)": matrix(
            medians, order, lambda row: f"{row['cpu_ms_best']:.3f}"
        ),
        f"CPU efficiency relative to {ratio_to} (its CPU per request / this one's; range over rounds)": matrix(
            medians, order, ratio
        ),
        f"CPU per request, of {LIMIT}'s (range over rounds)": matrix(
            medians, order, lambda row: ratio(row, "of_limit")
        ),
        "Requests per second": matrix(medians, order, lambda row: f"{row['rps']:.0f}"),
        "p99 latency, ms": matrix(medians, order, lambda row: f"{row['p99_ms']:.1f}"),
        "Servers": servers_table(facts, order),
    }
    sections |= {s: scenario_table(medians[s], order) for s in SCENARIOS if s in medians}
    if bench.problems:
        sections["Problems"] = [
            f"- {name}, {what}: {text}"
            for name, wrong in bench.problems.items()
            for what, text in wrong.items()
        ]
    lines = head(bench, ratio_to)
    for title, body in sections.items():
        lines += ["", f"## {title}", "", *body]
    others = [s["other_cpu_share"] for s in bench.samples]
    document = {
        "settings": {key: value for key, value in vars(bench.args).items() if key in SETTINGS},
        "ratio_to": ratio_to,
        "cpus": os.cpu_count(),
        "noise_median": statistics.median(others) if others else 0,
        "medians": medians,
        "servers": facts,
        "problems": bench.problems,
        "samples": bench.samples,
        "turns": bench.facts,
    }
    return "\n".join(lines) + "\n", document
