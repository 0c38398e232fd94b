"""What is in the database is there after whatever perfgen does to the service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maintain import template as source
from maintain import uv
from perfgen import releases
from perfgen.resources import STORE
from tests.proofs.harness.postgres import Postgres
from tests.template import machine
from tests.template import servers
from tests.template import versions
from tests.template.running import Answer
from tests.template.running import running
from tests.template.sets import DEFAULT_PYTHON
from tests.template.tree import Tree

EARLIER = releases.bundled(source.ROOT / "releases")
PATTERNS = ["database", "example"]
# A job that has failed, one for next year, and one that is done and answers for its key; and when a schedule is due.
JOBS = """
INSERT INTO queue_jobs (kind, payload, key, state, due_at, attempts, max_attempts, error) VALUES
  ('welcome', '{"user_id": 1}', NULL, 'failed', now(), 3, 3, 'the mail server is away'),
  ('welcome', '{"user_id": 2}', NULL, 'delayed', now() + interval '1 year', 0, 3, NULL),
  ('welcome', '{"user_id": 3}', 'welcome-3', 'done', now() + interval '1 year', 1, 3, NULL);
INSERT INTO schedules (name, cron, zone, next_at, last_job, seen_at) VALUES
  ('digest', '0 7 * * *', 'Europe/Berlin', now() + interval '1 day', 3, now())
"""
OLD, NEW = ("users", "items"), ("queue_jobs", "schedules")


class Owner:
    """Somebody with a service, a database of it, and perfgen."""

    def __init__(self, service: Path, home: Path, url: str, postgres: Postgres) -> None:
        self.service = service
        self._home = {"HOME": str(home)}
        self._env = {"DATABASE_URL": url, "ENVIRONMENT": "development"}
        self._database = url.rpartition("/")[2]
        self._postgres = postgres

    def perfgen(self, *words: str) -> str:
        """Run it, with a clean exit; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "perfgen", *words],
            cwd=self.service,
            env=uv.environment() | versions.GIT | self._home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"perfgen {words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def changes(self, *words: str) -> None:
        """Have perfgen change the service, commit that, and bring the database to it."""
        self.perfgen(*words)
        versions.commit(self.service, " ".join(words))
        self.app("migrate")

    def app(self, *words: str) -> str:
        """Run a command of the service in an environment of its lock."""
        return machine.run(self._python(), "-m", "app", *words, cwd=self.service, env=self._env)

    def asks(self, path: str) -> Answer:
        """Run the service as in production and GET this path."""
        urls = {"DATABASE_URL": self._env["DATABASE_URL"]}
        log = self.service.with_name("service.log")
        with running(self.service, self._python(), urls, log) as service:
            return service.get(path)

    def _python(self) -> Path:
        return machine.environment(self.service, DEFAULT_PYTHON, dev=False) / "bin" / "python"

    def sql(self, statement: str) -> str:
        """Run a statement in its database."""
        return self._postgres.sql(statement, self._database)

    def rows(self, *tables: str) -> dict[str, str]:
        """Each table's content, as its number of rows and their digest."""
        what = "count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"
        return {table: self.sql(f"SELECT {what} FROM {table} t") for table in tables}


@pytest.fixture(
    params=[
        pytest.param(one.tag, marks=[] if one is EARLIER[0] else pytest.mark.slow)
        for one in EARLIER
    ]
)
def owner(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path
) -> Iterator[Owner]:
    """Somebody whose service is of an earlier release; it is migrated, and has users and items."""
    home = tmp_path / "home"
    store = Path(STORE.replace("~", str(home)))
    releases.create(store)
    releases.load(EARLIER, store)
    with pytest.MonkeyPatch.context() as patch:  # recorded as ~, as perfgen does
        patch.setenv("HOME", str(home))
        service = versions.new(STORE, tmp_path / "shop", PATTERNS, request.param)
    with servers.database(postgres) as url:
        one = Owner(service, home, url, postgres)
        one.app("migrate")
        one.app("seed")
        yield one


def test_rows_outlive_every_change_by_perfgen(owner: Owner) -> None:
    """From that release to the present, and patterns with tables of their own come, go and come again."""
    made_by, before = Tree(owner.service).answers["_commit"], owner.rows(*OLD)
    assert before["items"].startswith("100 ")
    owner.changes("update")
    assert owner.rows(*OLD) == before
    owner.changes("add", "queue", "scheduler")
    assert owner.rows(*OLD) == before
    # the newest release may be what the template is at present
    assert Tree(owner.service).answers["_commit"] != made_by or made_by == EARLIER[-1].tag
    owner.sql(JOBS)
    before = owner.rows(*OLD, *NEW)
    assert [before[name].split()[0] for name in NEW] == ["3", "1"]
    listed = owner.app("jobs", "list")
    assert "the mail server is away" in listed

    owner.changes("remove", "queue", "scheduler")
    assert not (owner.service / "migrations" / "versions" / "queue").exists()
    assert owner.asks("/items?limit=1").status == 200
    assert owner.rows(*OLD, *NEW) == before

    owner.changes("add", "scheduler")  # and with it what it requires
    assert owner.rows(*OLD, *NEW) == before
    assert owner.app("jobs", "list") == listed
