"""Medians, ranges and ratios of samples, and tables of them. Nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

# What a measurement by bench/harness gives, by name.
Sample = Mapping[str, Any]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table; the first `texts` columns are text, the others numbers."""
    marks = ["---" if number < texts else "---:" for number in range(len(head))]
    lines = [head, marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """With three digits that say something; no exponents."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def median_of(samples: Iterable[Sample], key: str, **having: Any) -> float:
    """The median of one value over the samples that have these; statistics.StatisticsError when
    there are none."""
    return statistics.median(
        float(sample[key]) for sample in samples if all(sample[k] == v for k, v in having.items())
    )


def cpu_by_round(samples: Iterable[Sample], server: str, scenario: str) -> dict[int, float]:
    """CPU-ms per request in each round: of all that its turns took, over all their requests."""
    cpu: dict[int, float] = {}
    requests: dict[int, int] = {}
    for one in samples:
        if (one["server"], one["scenario"]) == (server, scenario):
            turn = one["round"]
            cpu[turn] = cpu.get(turn, 0) + one["cpu_ms"] * one["requests"]
            requests[turn] = requests.get(turn, 0) + one["requests"]
    return {turn: cpu[turn] / requests[turn] for turn in cpu if requests[turn]}


def noise(samples: Sequence[Sample]) -> str:
    """The two gauges of noise, in a sentence; '' without samples."""
    if not samples:
        return ""
    others = [one["other_cpu_share"] for one in samples]
    spins = [one["spin_ms"] for one in samples]
    return (
        f"Noise: the server's CPU did something else in {100 * statistics.median(others):.0f} % of the time "
        f"(worst {100 * max(others):.0f} %); a fixed loop took {min(spins):.0f} to {max(spins):.0f} ms of CPU."
    )
