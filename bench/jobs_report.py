"""What jobs.py has measured: checked, compared, and shown as tables and as a plot. No servers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any
from typing import NamedTuple

# measure -> (title, digits)
MEASURES = {
    "enqueue_one": ("enqueue one by one, jobs/s", 0),
    "enqueue_32": ("enqueue 32 at a time, jobs/s", 0),
    "enqueue_bulk": ("enqueue in bulk, 100 at once, jobs/s", 0),
    "complete_10": ("complete, concurrency 10, jobs/s", 0),
    "worker_cpu_10": ("… CPU-ms of the worker per job", 3),
    "backends_cpu_10": ("… CPU-ms of the backends per job", 3),
    "complete_100": ("complete, concurrency 100, jobs/s", 0),
    "worker_cpu_100": ("… CPU-ms of the worker per job", 3),
    "backends_cpu_100": ("… CPU-ms of the backends per job", 3),
    "latency_p50": ("from enqueue to start, p50, ms", 2),
    "latency_p99": ("… p99, ms", 2),
}
TICKS = {
    "enqueue_one": "enqueue\none by one",
    "enqueue_32": "enqueue\n32 at a time",
    "enqueue_bulk": "enqueue\n100 at once",
    "complete_10": "complete\n10 at once",
    "worker_cpu_10": "worker\n10 at once",
    "backends_cpu_10": "backends\n10 at once",
    "complete_100": "complete\n100 at once",
    "worker_cpu_100": "worker\n100 at once",
    "backends_cpu_100": "backends\n100 at once",
    "latency_p50": "p50",
    "latency_p99": "p99",
}
OURS = "perfgen"
# table -> (title, systems)
TABLES = {
    "off": ("Durability off", (OURS, "bullmq")),
    "on": ("Durable", (OURS, "bullmq-everysec", "bullmq-always")),
}
LABELS = {
    OURS: "perfgen (PostgreSQL)",
    "bullmq": "BullMQ (Redis)",
    "bullmq-everysec": "BullMQ (everysec)",
    "bullmq-always": "BullMQ (always)",
}
LOSS = (
    "With `appendfsync everysec` a crash of the machine may lose about a second of jobs that were said to "
    "be enqueued; PostgreSQL, and Redis with `appendfsync always`, lose none of them."
)


class Sample(NamedTuple):
    """One measure of one system in one round; `failed` says why it does not count."""

    turn: int
    table: str
    system: str
    measure: str
    value: float | None
    failed: str = ""


def exactly_once(done: Collection[int], count: int, left: int) -> str:
    """What is wrong with the numbers of the jobs that were done; nothing if each of 0 to count - 1
    was done once and none is `left` in the queue."""
    times = Counter(done)
    missing = sum(n not in times for n in range(count))
    again = sum(many - 1 for many in times.values())
    strange = sum(not 0 <= n < count for n in times)
    found = {"not done": missing, "done again": again, "unknown": strange, "left": left}
    return ", ".join(f"{many} {what}" for what, many in found.items() if many)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def values(samples: list[Sample], table: str, system: str, measure: str) -> dict[int, float]:
    """Round -> value; none at all if it has failed in any."""
    wanted = (table, system, measure)
    mine = [s for s in samples if (s.table, s.system, s.measure) == wanted]
    if any(s.failed for s in mine):
        return {}
    return {s.turn: s.value for s in mine if s.value is not None}


def ratios(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Ours to theirs, within each round that has both."""
    return [ours[turn] / theirs[turn] for turn in sorted(ours) if theirs.get(turn)]


def cell(samples: list[Sample], table: str, system: str, measure: str) -> str:
    """Median and range; or that it has failed, in any round."""
    wanted = (table, system, measure)
    mine = [s for s in samples if (s.table, s.system, s.measure) == wanted]
    if failures := [s.failed for s in mine if s.failed]:
        return f"failed: {failures[0]}"
    found = [s.value for s in mine if s.value is not None]
    if not found:
        return "not measured"
    digits = MEASURES[measure][1]
    spread = f"{min(found):.{digits}f}-{max(found):.{digits}f}"
    return f"{median(found):.{digits}f} ({spread})"


def table_of(samples: list[Sample], table: str) -> str:
    """Medians and ranges over rounds, and the median of the ratios within rounds."""
    systems = TABLES[table][1]
    head = ["", *(LABELS[s] for s in systems)]
    head += [f"perfgen to {LABELS[s]}" for s in systems[1:]]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for measure, (title, _) in MEASURES.items():
        row = [title, *(cell(samples, table, system, measure) for system in systems)]
        ours = values(samples, table, OURS, measure)
        for system in systems[1:]:
            found = ratios(ours, values(samples, table, system, measure))
            row.append(f"{median(found):.2f}" if found else "")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def report(samples: list[Sample], facts: dict[str, Any]) -> str:
    """The whole report, as Markdown."""
    parts = [
        "# Jobs: the service's queue beside BullMQ",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        "Medians over rounds, with ranges; ratios are taken within a round, then the median. Of jobs/s more is "
        "better, of all else less. A row is *failed* where not each job was done exactly once.",
    ]
    for table, (title, _) in TABLES.items():
        parts += [f"## {title}", table_of(samples, table)]
    return "\n\n".join([*parts, LOSS, "![plot](jobs.svg)"]) + "\n"


def plot(samples: list[Sample], target: Path) -> None:
    """Bars of the medians, with ranges: a row per table. The same samples give the same bytes."""
    os.environ.setdefault("MPLBACKEND", "svg")
    from matplotlib import pyplot as plt  # slow to import, and only needed here

    panels = (
        ("jobs/s (more is better)", [m for m in MEASURES if m.startswith(("enq", "com"))]),
        ("CPU-ms per job (less is better)", [m for m in MEASURES if "cpu" in m]),
        ("ms from enqueue to start (less is better)", ["latency_p50", "latency_p99"]),
    )
    with plt.rc_context({"svg.hashsalt": "perfgen", "font.size": 8, "svg.fonttype": "path"}):
        figure, grid = plt.subplots(2, 3, figsize=(13, 6.5), layout="constrained", squeeze=False)
        for row, (table, (title, systems)) in zip(grid, TABLES.items(), strict=True):
            for axes, (what, measures) in zip(row, panels, strict=True):
                _bars(axes, samples, table, systems, measures)
                axes.set_title(f"{title}: {what}", fontsize=9)
            if row[0].containers:
                row[0].legend(fontsize=7)
        figure.savefig(target, format="svg", metadata={"Date": None})
        plt.close(figure)


def _bars(
    axes: Any, samples: list[Sample], table: str, systems: Sequence[str], measures: list[str]
) -> None:
    width = 0.8 / len(systems)
    for nth, system in enumerate(systems):
        label: str | None = LABELS[system]
        for at, measure in enumerate(measures):
            found = list(values(samples, table, system, measure).values())
            if not found:
                continue
            middle = median(found)
            reach = [[middle - min(found)], [max(found) - middle]]
            place = at + (nth - (len(systems) - 1) / 2) * width
            thin = {"linewidth": 0.8}
            axes.bar(
                place, middle, width, yerr=reach, capsize=2, color=f"C{nth}", label=label, error_kw=thin
            )  # fmt: skip
            label = None  # once is enough
    axes.set_xticks(range(len(measures)), [TICKS[measure] for measure in measures])
    axes.grid(axis="y", linewidth=0.3)
    axes.set_axisbelow(True)
