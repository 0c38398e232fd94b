"""How the service grows with connections, rows and processes: tables and plots. Nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from bench.plots import Line
from bench.plots import Panel
from bench.plots import draw_lines
from bench.tables import Sample
from bench.tables import markdown
from bench.tables import median_of
from bench.tables import number

PLACES = ("beginning", "middle", "end")
NOT_FREE = (
    "**The cores were not free**: with fewer than four CPUs the second process shares its CPU with the load and the "
    "backends, so this says little of what two processes can do."
)
ROUTES = ("items_page", "user_hit")


def connections_table(samples: Sequence[Sample]) -> str:
    """A row for each route and number of connections."""
    keys = ("rps", "p50_ms", "p99_ms", "cpu_ms", "server_cpu_share", "other_cpu_share")
    head = ["route", "connections", "requests/s", "p50, ms", "p99, ms", "CPU-ms/request"]
    rows = []
    for route in ROUTES:
        for count in sorted({one["connections"] for one in samples}):
            having = {"scenario": route, "connections": count}
            values = [median_of(samples, key, **having) for key in keys]
            shares = [f"{100 * share:.0f}" for share in values[4:]]
            lost = sum(s["failed"] for s in samples if having.items() <= s.items())
            numbers = [number(value) for value in values[:3]]
            rows.append([route, f"{count}", *numbers, f"{values[3]:.3f}", *shares, f"{lost}"])
    return markdown([*head, "server's CPU, %", "others, %", "failed"], rows)


def draw_connections(samples: Sequence[Sample], path: Path) -> None:
    """Throughput, latencies and CPU against connections."""
    counts = sorted({one["connections"] for one in samples})

    def line(label: str, route: str, key: str, dashed: bool = False) -> Line:
        points = [(n, median_of(samples, key, scenario=route, connections=n)) for n in counts]
        return Line(label, points, dashed, group=route)

    x = "connections"
    late = [line(f"{r} p50", r, "p50_ms") for r in ROUTES]
    late += [line(f"{r} p99", r, "p99_ms", dashed=True) for r in ROUTES]
    rates = [line(r, r, "rps") for r in ROUTES]
    cpu = [line(r, r, "cpu_ms") for r in ROUTES]
    panels = [
        Panel("Throughput, one process", x, "requests per second", rates, log_x=True),
        Panel("Latency", x, "milliseconds", late, log_x=True, log_y=True),
        Panel("CPU of the server", x, "CPU-ms per request", cpu, log_x=True),
    ]
    draw_lines(panels, path)


def pages_table(samples: Sequence[Sample]) -> str:
    """The service's pages: a row for each size and place."""
    head = ["rows", "page at the", "requests/s", "p50, ms", "p99, ms", "CPU-ms/request"]
    rows = []
    for size in sorted({one["rows"] for one in samples}):
        for place in PLACES:
            having = {"rows": size, "place": place}
            keys = ("rps", "p50_ms", "p99_ms")
            numbers = [number(median_of(samples, key, **having)) for key in keys]
            cpu = [f"{median_of(samples, k, **having):.3f}" for k in ("cpu_ms", "backend_cpu_ms")]
            rows.append([f"{size:,}", place, *numbers, *cpu])
    return markdown([*head, "PostgreSQL's and Redis's CPU-ms"], rows, texts=2)


def queries_table(queries: Sequence[Sample]) -> str:
    """PostgreSQL's time for the same page, by keyset and by OFFSET."""
    head = ["rows", "rows before the page", "keyset, ms", "OFFSET, ms", "OFFSET / keyset"]
    rows = []
    for size, before in sorted({(one["rows"], one["before"]) for one in queries}):
        having = {"rows": size, "before": before}
        keyset, offset = (median_of(queries, k, **having) for k in ("keyset_ms", "offset_ms"))
        ratio = number(offset / keyset)
        rows.append([f"{size:,}", f"{before:,}", number(keyset), number(offset), ratio])
    return markdown(head, rows, texts=0)


def flatness(queries: Sequence[Sample]) -> str:
    """How much dearer the deepest page of the largest table is than its first, both ways."""
    largest = max(one["rows"] for one in queries)
    deepest = max(one["before"] for one in queries if one["rows"] == largest)

    def times(key: str) -> float:
        last = median_of(queries, key, rows=largest, before=deepest)
        return last / median_of(queries, key, rows=largest, before=0)

    return (
        f"Of {largest:,} rows, the page behind {deepest:,} takes {number(times('keyset_ms'))} times as long as the "
        f"first one by keyset, and {number(times('offset_ms'))} times by OFFSET."
    )


def draw_pages(queries: Sequence[Sample], samples: Sequence[Sample], path: Path) -> None:
    """Time against depth in the largest table, against size, and the service's own CPU."""
    sizes = sorted({one["rows"] for one in queries})
    depths = sorted({one["before"] for one in queries if one["rows"] == sizes[-1]})
    kinds = {"keyset": "keyset_ms", "OFFSET": "offset_ms"}

    def at_depth(key: str) -> list[tuple[float, float]]:
        return [(n, median_of(queries, key, rows=sizes[-1], before=n)) for n in depths]

    def at_size(key: str, place: str) -> list[tuple[float, float]]:
        return [(n, median_of(queries, key, rows=n, place=place)) for n in sizes]

    deep = [Line(kind, at_depth(key), kind == "OFFSET") for kind, key in kinds.items()]
    wide = [
        Line(f"{kind}, {place}", at_size(key, place), kind == "OFFSET", group=place)
        for kind, key in kinds.items()
        for place in PLACES
    ]
    cpu = [
        Line(p, [(n, median_of(samples, "cpu_ms", rows=n, place=p)) for n in sizes]) for p in PLACES
    ]
    time, rows = "time of the query, ms", "rows in the table"
    title = f"A page of 20, {sizes[-1]:,} rows"
    panels = [
        Panel(title, "rows before the page", time, deep, log_y=True, symlog_x=True),
        Panel("Pages in tables of each size", rows, time, wide, log_x=True, log_y=True),
        Panel("The service's CPU", rows, "CPU-ms per request", cpu, log_x=True),
    ]
    draw_lines(panels, path)


def processes_table(samples: Sequence[Sample]) -> str:
    """Two processes beside one: ratios within a round, then the median."""
    head = ["route", "one, requests/s", "two", "two / one", "range", "one, CPU-ms/request", "two"]
    rows = []
    for route in ROUTES:
        numbers = sorted({one["round"] for one in samples})
        ratios = []
        for turn in numbers:
            rates = [
                median_of(samples, "rps", scenario=route, processes=n, round=turn) for n in (1, 2)
            ]
            ratios.append(rates[1] / rates[0])
        rps, cpu = (
            [median_of(samples, key, scenario=route, processes=n) for n in (1, 2)]
            for key in ("rps", "cpu_ms")
        )
        middle = statistics.median(ratios)
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        row = [route, number(rps[0]), number(rps[1]), f"{middle:.2f}", spread]
        rows.append([*row, f"{cpu[0]:.3f}", f"{cpu[1]:.3f}"])
    return markdown(head, rows)


def report(found: Mapping[str, Sequence[Sample]], settings: str, gauges: str, *, free: bool) -> str:
    """The parts that were measured; `free` says whether each process had a CPU to itself."""
    lines = ["# How the service grows", "", settings, "", gauges]
    if samples := found.get("connections"):
        lines += ["", "## Connections, one process", "", connections_table(samples)]
        lines += ["", "![Throughput, latency and CPU against connections](connections.svg)"]
    if queries := found.get("queries"):
        how = "Time of one asyncpg call on one connection in the service's Python, one after the other."
        lines += ["", "## Depth", "", flatness(queries), how, "", queries_table(queries)]
        lines += [
            "",
            "![Time against depth and size](pages.svg)",
            "",
            "The service at these places:",
        ]
        lines += ["", pages_table(found["pages"])]
    if samples := found.get("processes"):
        cores = "Each had a CPU of its own." if free else NOT_FREE
        lines += ["", "## Two processes", "", cores, "", processes_table(samples)]
    return "\n".join(lines) + "\n"
