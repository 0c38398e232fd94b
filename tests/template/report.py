"""The table at the end of a run: how many sets were rendered, linted, typed, started and tested."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager

import pytest

PROOF, WIRING = "template-proof", "template-wiring"  # user properties; pytest-xdist carries them
STAGES = (
    "rendered",
    "lock checked",
    "formatted",
    "kustomized",
    "linted",
    "typed",
    "booted",
    "tested",
    "updated",
)
Proving = Callable[[str, object], AbstractContextManager[None]]
Record = Callable[[str, object], None]


def proving(record: Record) -> Proving:
    """`with proving("booted", chosen):` counts the block, when it succeeds, with its seconds."""

    @contextmanager
    def block(stage: str, what: object) -> Iterator[None]:
        start = time.perf_counter()
        yield
        record(PROOF, (stage, str(what), time.perf_counter() - start))

    return block


def write(reporter: pytest.TerminalReporter) -> None:
    """Print what the tests have recorded; nothing when none of them ran."""
    proofs: dict[str, dict[str, float]] = defaultdict(dict)
    wiring: list[tuple[str, int]] = []
    for report in reporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == PROOF:
                proofs[value[0]][value[1]] = value[2]
            elif name == WIRING:
                wiring.append(tuple(value))
    if proofs:
        _write_proofs(reporter, proofs)
    if wiring:
        _write_wiring(reporter, wiring)


def _write_proofs(reporter: pytest.TerminalReporter, proofs: dict[str, dict[str, float]]) -> None:
    reporter.section("services proved")
    reporter.write_line(f"{'':14}{'sets':>6}{'seconds':>10}  slowest")
    for stage in sorted(proofs, key=lambda name: (*STAGES, name).index(name)):
        sets = proofs[stage]
        slowest = max(sets, key=lambda name: sets[name])
        total = sum(sets.values())
        line = f"{stage:14}{len(sets):>6}{total:>10.1f}  {slowest} {sets[slowest]:.1f}"
        reporter.write_line(line)


def _write_wiring(reporter: pytest.TerminalReporter, wiring: list[tuple[str, int]]) -> None:
    reporter.section("templated files")
    for path, tags in sorted(wiring, key=lambda row: -row[1]):
        reporter.write_line(f"{tags:>4} tags  {path}")
