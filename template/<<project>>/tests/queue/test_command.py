"""What the owner of the service can see and do about jobs."""

import asyncio
import sys
from collections.abc import Callable

import asyncpg
import pytest

from app.commands import main

type Run = Callable[..., tuple[int, str, str]]

INSERT = r"""
INSERT INTO queue_jobs (kind, payload, state, due_at, attempts, max_attempts, alone, error)
SELECT 'work', '{"n":1}', state, now(), 3, 3, true, 'LookupError: ' || repeat(E'long \n', 99)
FROM unnest($1::text[]) state
"""


@pytest.fixture
def run(
    servers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `python -m app jobs`: exit code, output, errors."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["app", "jobs", *arguments])
        capsys.readouterr()
        code = main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_command


def sql(servers: dict[str, str], query: str, *values: object) -> list[asyncpg.Record]:
    """What a query of somebody else gives."""

    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(servers["DATABASE_URL"])
        try:
            return await connection.fetch(query, *values)
        finally:
            await connection.close()

    return asyncio.run(ask())


def make(servers: dict[str, str], *states: str) -> None:
    """Jobs in these states, with ids from 1."""
    sql(servers, INSERT, list(states))


def states(servers: dict[str, str]) -> dict[int, str]:
    """The states of the jobs."""
    return {row["id"]: row["state"] for row in sql(servers, "SELECT id, state FROM queue_jobs")}


def test_failed_jobs_are_listed_within_bounds(run: Run, servers: dict[str, str]) -> None:
    make(servers, "ready", "failed", *["failed"] * 30)
    code, out, err = run("list")
    assert code == 0
    lines = out.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(32, 12, -1))
    assert all("failed" in line and len(line) < 160 for line in lines)
    assert err == "20 shown\n"
    assert len(run("list", "--limit", "25")[1].splitlines()) == 25
    assert len(run("list", "--state", "any", "--limit", "100")[1].splitlines()) == 32
    assert len(run("list", "--state", "ready")[1].splitlines()) == 1
    assert run("list", "--kind", "other")[1] == ""


@pytest.mark.parametrize("wrong", [["--limit", "1001"], ["--limit", "0"], ["--state", "sad"]])
def test_what_cannot_be_listed_is_refused(run: Run, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        run("list", *wrong)


def test_a_job_is_shown_whole(run: Run, servers: dict[str, str]) -> None:
    make(servers, "failed")
    code, out, _ = run("show", "1")
    assert code == 0
    assert '{"n":1}' in out
    assert out.count("long") == 99
    code, out, err = run("show", "2")
    assert (code, out) == (1, "")
    assert "no job 2" in err


def test_failed_jobs_are_redriven_with_all_their_attempts(
    run: Run, servers: dict[str, str]
) -> None:
    make(servers, "failed", "failed", "failed", "running", "delayed")
    assert run("redrive", "2", "4", "9")[:2] == (0, "1 ready again\n")
    assert states(servers) == {1: "failed", 2: "ready", 3: "failed", 4: "running", 5: "delayed"}
    [row] = sql(servers, "SELECT * FROM queue_jobs WHERE id = 2")
    assert (row["attempts"], row["alone"]) == (0, False)
    assert run("redrive", "--all", "--kind", "other")[:2] == (0, "0 ready again\n")
    assert run("redrive", "9")[:2] == (1, "0 ready again\n")
    assert run("redrive", "--all")[:2] == (0, "2 ready again\n")
    assert list(states(servers).values()).count("ready") == 3


def test_failed_jobs_are_purged_and_no_others(run: Run, servers: dict[str, str]) -> None:
    make(servers, "failed", "failed", "failed", "running", "ready")
    assert run("purge", "1", "4", "5")[:2] == (0, "1 deleted\n")
    assert run("purge", "--all", "--kind", "work")[:2] == (0, "2 deleted\n")
    assert states(servers) == {4: "running", 5: "ready"}


@pytest.mark.parametrize("action", ["redrive", "purge"])
@pytest.mark.parametrize("which", [[], ["1", "--all"], ["1", "--kind", "work"]])
def test_all_must_be_said(run: Run, servers: dict[str, str], action: str, which: list[str]) -> None:
    make(servers, "failed")
    code, out, err = run(action, *which)
    assert (code, out) == (1, "")
    assert "or say --all" in err
    assert states(servers) == {1: "failed"}
