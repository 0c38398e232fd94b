"""What a pattern costs, from samples with and without it. Nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from bench.plots import Bar
from bench.tables import Sample
from bench.tables import cpu_by_round
from bench.tables import markdown

PAGE = "items_page"
ALLOWED = 0.10  # of a page request

# What may cost more than that, up to what share of a page request, and why.
EXCUSED = {
    "compression": (0.60, "compressing what is asked for compressed is its point"),
    "rate_limit": (0.15, "one call of Redis for each request, which other processes must see"),
    "tracing to a collector": (
        0.25,
        "a tenth of the requests recorded, packed and sent by the same process",
    ),
}


@dataclass(frozen=True)
class Compared:
    """A pattern, and the servers that were measured with and without it.

    note: what had to be taken or left out together with it
    """

    name: str
    with_it: str
    without: str
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """CPU-ms per request of one route; ratios are taken within a round.

    of_page: what it adds, as a share of a page request without it in the same round
    """

    compared: Compared
    scenario: str
    with_ms: float
    without_ms: float
    ratios: Sequence[float]
    of_page: float

    @property
    def ratio(self) -> float:
        """The median over rounds."""
        return statistics.median(self.ratios)

    @property
    def within(self) -> bool:
        """Whether it adds at most ALLOWED of a page request."""
        return self.of_page <= ALLOWED


def costs_of(samples: Sequence[Sample], compared: Compared) -> list[Cost]:
    """The cost on each route that was measured both ways in the same round, pages first."""
    page = cpu_by_round(samples, compared.without, PAGE)
    found: list[Cost] = []
    for scenario in dict.fromkeys(one["scenario"] for one in samples):
        mine = cpu_by_round(samples, compared.with_it, scenario)
        others = cpu_by_round(samples, compared.without, scenario)
        rounds = sorted(mine.keys() & others.keys() & page.keys())
        if rounds:
            cost = Cost(
                compared,
                scenario,
                statistics.median(mine[r] for r in rounds),
                statistics.median(others[r] for r in rounds),
                [mine[r] / others[r] for r in rounds],
                statistics.median((mine[r] - others[r]) / page[r] for r in rounds),
            )
            found.append(cost)
    return found


def verdict(cost: Cost) -> str:
    """Whether it is within what is allowed, and if not, why."""
    if cost.within:
        return f"within {100 * ALLOWED:.0f} %"
    most, why = EXCUSED.get(cost.compared.name, (ALLOWED, ""))
    return why if cost.of_page <= most else f"**more than {100 * most:.0f} %**"


def table(costs: Iterable[Cost]) -> str:
    """A row for each pattern and route."""
    head = ["pattern", "route", "verdict", "note", "without, CPU-ms", "with", "ratio", "range"]
    rows = [
        [
            cost.compared.name,
            cost.scenario,
            verdict(cost),
            cost.compared.note,
            f"{cost.without_ms:.3f}",
            f"{cost.with_ms:.3f}",
            f"{cost.ratio:.2f}",
            f"{min(cost.ratios):.2f}-{max(cost.ratios):.2f}",
            f"{100 * cost.of_page:+.1f} %",
        ]
        for cost in costs
    ]
    return markdown([*head, "added, of a page"], rows, texts=4)


def not_measured(reasons: Mapping[str, str]) -> str:
    """A row for each pattern that there is nothing to measure of."""
    return markdown(["pattern", "why"], [[name, why] for name, why in reasons.items()], texts=2)


def bars(costs: Iterable[Cost], scenario: str) -> list[Bar]:
    """The ratios on one route, the largest first."""
    mine = sorted((c for c in costs if c.scenario == scenario), key=lambda c: -c.ratio)
    return [Bar(c.compared.name, c.ratio, min(c.ratios), max(c.ratios)) for c in mine]
