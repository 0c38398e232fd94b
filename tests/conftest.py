"""What all tests share; and the table of what was proved, at the end of a run."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs.harness.table import Table
from tests.proofs.harness.table import markdown

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would everything that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was proved."""
    if text := markdown(terminalreporter):
        terminalreporter.section("what was proved")
        terminalreporter.write_line(text)


@pytest.fixture
def table(record_property: Callable[[str, object], None]) -> Table:
    """Where a proof notes what it found."""
    return Table(record_property)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[1]
