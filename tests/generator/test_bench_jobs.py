"""What the bench of the queue makes of its samples; no servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.jobs_report import MEASURES
from bench.jobs_report import TICKS
from bench.jobs_report import Sample
from bench.jobs_report import cell
from bench.jobs_report import exactly_once
from bench.jobs_report import percentile
from bench.jobs_report import plot
from bench.jobs_report import ratios
from bench.jobs_report import report
from bench.jobs_report import table_of


def samples(ours: list[float], theirs: list[float], failed: str = "") -> list[Sample]:
    """One measure of two systems; what failed is ours, in the first round."""
    return [
        Sample(turn, "off", system, "complete_10", value, failed if system == "perfgen" else "")
        for system, values in (("perfgen", ours), ("bullmq", theirs))
        for turn, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(
    ("done", "left", "wrong"),
    [
        ([2, 0, 1], 0, ""),
        ([0, 1], 0, "1 not done"),
        ([0, 1, 1, 2], 0, "1 done again"),
        ([0, 1, 1], 0, "1 not done, 1 done again"),
        ([0, 1, 2, 3], 0, "1 unknown"),
        ([0, 1, 2], 4, "4 left"),
        ([], 0, "3 not done"),
    ],
)
def test_exactly_once(done: list[int], left: int, wrong: str) -> None:
    assert exactly_once(done, 3, left) == wrong


def test_percentile() -> None:
    numbers = [float(n) for n in range(100, 0, -1)]
    assert percentile(numbers, 0.5) == 50
    assert percentile(numbers, 0.99) == 99
    assert percentile([7.0], 0.99) == 7


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios({1: 10, 2: 30, 3: 1}, {1: 5, 2: 10}) == [2, 3]
    # median 2 of (1, 2, 8); the ratio of the medians would be 20 / 10
    row = table_of(samples([10, 20, 80], [10, 5, 40]), "off")
    assert "| complete, concurrency 10, jobs/s | 20 (10-80) | 10 (5-40) | 2.00 |" in row
    assert "| 4.00 |" in table_of(samples([40, 10, 20], [10, 20, 5]), "off")


def test_what_failed_has_neither_figures_nor_ratio() -> None:
    found = table_of(samples([10, 20], [10, 10], "1 not done"), "off")
    assert "| complete, concurrency 10, jobs/s | failed: 1 not done | 10 (10-10) |  |" in found
    assert cell(samples([1], [1]), "off", "perfgen", "latency_p50") == "not measured"


def test_one_failed_round_fails_the_row() -> None:
    mixed = [*samples([10, 20], [10, 10]), Sample(3, "off", "perfgen", "complete_10", None, "lost")]
    assert cell(mixed, "off", "perfgen", "complete_10") == "failed: lost"
    assert "| failed: lost | 10 (10-10) |  |" in table_of(mixed, "off")


def test_the_report_says_what_may_be_lost() -> None:
    found = report(samples([1], [1]), {"jobs": 3})
    assert "- jobs: 3" in found
    assert "`appendfsync everysec`" in found
    assert all(title in found for title, _ in MEASURES.values())


def test_the_plot_is_the_same_for_the_same_samples(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        plot(samples([10, 20], [10, 10]), tmp_path / name)
    text = (tmp_path / "a.svg").read_bytes()
    assert text == (tmp_path / "b.svg").read_bytes()
    assert text.startswith(b"<?xml")
    assert b"<dc:date>" not in text
    assert set(TICKS) == set(MEASURES)
