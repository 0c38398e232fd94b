"""What all tests share; and the table of what was proved, at the end of a run."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs.harness.table import Table
from tests.proofs.harness.table import found
from tests.proofs.harness.table import markdown
from tests.proofs.harness.table import with_earlier

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would everything that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let several runs have one table."""
    parser.addoption(
        "--table", type=Path, help="keep the table of what was proved in this file, and add to it"
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was proved."""
    rows = found(terminalreporter)
    if kept := config.getoption("--table"):
        rows = with_earlier(rows, kept)
    if rows:
        terminalreporter.section("what was proved")
        terminalreporter.write_line(markdown(rows))


@pytest.fixture
def table(record_property: Callable[[str, object], None]) -> Table:
    """Where a proof notes what it found."""
    return Table(record_property)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[1]
