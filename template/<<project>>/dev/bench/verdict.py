"""What the requests say of the objectives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from dev.bench.load import BROKEN_OFF
from dev.bench.load import TIMEOUT
from dev.bench.load import UNREACHABLE
from dev.bench.load import Sample
from dev.bench.objectives import Load
from dev.bench.objectives import Objectives
from dev.bench.objectives import Route

# How far behind the generator may be at the end, as a share of the duration.
MOST_BEHIND = 0.01
_MEANING = {
    TIMEOUT: "no answer in time",
    UNREACHABLE: "no connection",
    BROKEN_OFF: "connection ended without the whole answer",
    401: "401, no valid KEY",
    429: "429, more than this KEY may ask",
}
_HEAD = ("route", "requests", "a second", "p50 ms", "p95 ms", "p99 ms", "errors", "objective", "")


class NotMeasured(Exception):
    """Nothing can be said of the objectives; `str()` is a sentence that says why."""


def percentile(ascending: Sequence[float], share: float) -> float:
    """The least value that this share of them does not exceed."""
    return ascending[max(0, ceil(round(share * len(ascending), 6)) - 1)]


@dataclass(frozen=True)
class Row:
    """One route's requests. A request without an answer took as long as it was waited for."""

    route: Route
    samples: list[Sample]

    @cached_property
    def took(self) -> list[float]:
        """Milliseconds from when a request was due."""
        return sorted(1000 * sample.took for sample in self.samples)

    @cached_property
    def served(self) -> list[float]:
        """Milliseconds from when it was sent: without what the load generator was late."""
        return sorted(1000 * (sample.took - sample.late) for sample in self.samples)

    @property
    def errors(self) -> float:
        """The share of answers that are not as expected, and of none."""
        return self.wrong.total() / len(self.samples)

    @cached_property
    def wrong(self) -> Counter[int]:
        """How often there was which of them."""
        statuses = (sample.status for sample in self.samples)
        return Counter(status for status in statuses if not self.route.is_good(status))

    @property
    def missed(self) -> list[str]:
        """Which objectives were not met."""
        return self._missed(self.took)

    @property
    def missed_by_service(self) -> bool:
        """Whether there are such even without what the load generator was late."""
        return bool(self._missed(self.served))

    def _missed(self, ascending: list[float]) -> list[str]:
        route = self.route
        wanted = {"p95": (0.95, route.p95_ms), "p99": (0.99, route.p99_ms)}
        return [
            *(
                name
                for name, (share, most) in wanted.items()
                if most is not None and percentile(ascending, share) > most
            ),
            *["errors"] * (self.errors > route.errors),
        ]


@dataclass(frozen=True)
class Verdict:
    """One row a route, and whether all is met."""

    load: Load
    rows: list[Row]
    left_out: list[Route]

    @property
    def met(self) -> bool:
        """Whether every objective is."""
        return not any(row.missed for row in self.rows)

    def __str__(self) -> str:
        how = f"{self.load.rate:g} requests a second for {self.load.duration_s:g} s"
        skipped = ", ".join(route.name for route in self.left_out)
        more = f" Left out, as it writes: {skipped}." if skipped else ""
        if self.met:
            return f"Met: every objective, at {how}.{more}"
        missed = (f"{row.route.name} ({', '.join(row.missed)})" for row in self.rows if row.missed)
        return f"Missed at {how}: {', '.join(missed)}.{more}"

    def table(self) -> list[str]:
        """The rows for people, and what answers there were that are not as expected."""
        lines = [_HEAD, *map(self._cells, self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
        shown = [
            "  ".join(
                cell.rjust(width) if 0 < column < 7 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return [*shown, *(line for row in self.rows for line in _wrong(row))]

    def _cells(self, row: Row) -> tuple[str, ...]:
        route, count = row.route, len(row.samples)
        wanted = [f"p95 {route.p95_ms:g}"] if route.p95_ms else []
        wanted += [f"p99 {route.p99_ms:g}", f"errors {_percent(route.errors)}"]
        figures = (f"{percentile(row.took, share):.1f}" for share in (0.5, 0.95, 0.99))
        rate = f"{count / self.load.duration_s:.1f}"
        end = ", ".join(wanted), "missed" if row.missed else "met"
        return route.name, str(count), rate, *figures, _percent(row.errors), *end


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _wrong(row: Row) -> list[str]:
    said = [f"{count} x {_MEANING.get(status, status)}" for status, count in row.wrong.items()]
    return [f"{row.route.name}: {', '.join(said)}"] * bool(said)


def judge(objectives: Objectives, samples: Sequence[Sample], left_out: list[Route]) -> Verdict:
    """The verdict, where there can be one.

    Raises NotMeasured when less was sent than was asked for, when nobody was there, when a route
    got no request, or when an objective was missed only because the load generator was late.
    """
    load, routes = objectives.load, objectives.routes
    _check_rate(load, samples)
    if all(sample.status == UNREACHABLE for sample in samples):
        raise NotMeasured("No connection to the service came about.")
    of_route: list[list[Sample]] = [[] for _ in routes]
    for sample in samples:
        of_route[sample.route].append(sample)
    rows = [Row(route, found) for route, found in zip(routes, of_route, strict=True)]
    for row in rows:
        if not row.samples:
            raise NotMeasured(f"{row.route.name} got no request: its share of the load is too low.")
    verdict = Verdict(load, rows, left_out)
    if not verdict.met and not any(row.missed_by_service for row in rows):
        late = percentile(sorted(1000 * sample.late for sample in samples), 0.99)
        raise NotMeasured(
            f"The load generator was late (p99 {late:.4g} ms), which alone may have missed an "
            "objective: ask for a lower rate, or from a machine that has more time."
        )
    return verdict


def _check_rate(load: Load, samples: Sequence[Sample]) -> None:
    """Whether all that was asked for was sent in its time.

    The last tenth tells: who could not keep the rate is late with all of it.
    """
    wanted = round(load.rate * load.duration_s)
    if len(samples) < wanted:
        raise NotMeasured(f"{len(samples)} requests were sent, and {wanted} were to be.")
    last = sorted(sample.sequence for sample in samples)[-max(1, wanted // 10)]
    behind = min(sample.late for sample in samples if sample.sequence >= last)
    if behind > MOST_BEHIND * load.duration_s:
        raise NotMeasured(
            f"The load generator could not keep {load.rate:g} requests a second: at the end it "
            f"was {behind:.2g} s behind."
        )
