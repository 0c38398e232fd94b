"""Every answer is as the API's own document describes it, whatever is sent: schemathesis against everything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .harness.service import Service
from .harness.table import Table

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
LEAST = 2_000  # cases
# What a schema cannot say (that a cursor is one we have signed) is refused with 400. The `Allow` of a 405 names the
# methods of the first route of that path only: Starlette's way.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422"]
allow_header_conformance.enabled = false

# One credential at a time is the service's way, and ours is the key: sessions have their own proof.
[generation]
with-security-parameters = false

# A key is looked up before the route is: one that is known and comes with another method is 422.
[[operations]]
include-path-regex = "^/(items|items/bulk|jobs)$"
checks.unsupported_method.enabled = false

# A wrong password, also too often; and what only a session may do.
[[operations]]
include-path-regex = "^/sessions?"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "422", "429"]
"""


@pytest.mark.slow
def test_no_5xx_and_no_surprise(service: Service, tmp_path: Path, table: Table) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with service.processes(1, "api", None, DOCS="true") as (api,):
        status, document = api.probe("/openapi.json")
        assert status == 200
        (tmp_path / "openapi.json").write_text(document)
        done = subprocess.run(
            [
                *(str(SCHEMATHESIS), "run", "openapi.json", "--no-color", "--max-examples=100"),
                *("--header", f"Authorization: Bearer {service.key}"),
                *("--url", f"http://127.0.0.1:{api.port}", "--generation-database=none"),
                *("--suppress-health-check=all", "--continue-on-failure"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        errors = api.metric("http_request_duration_seconds_count", status_code="500")
    (cases,) = re.findall(r"(\d+) generated", done.stdout)
    assert int(cases) >= LEAST
    assert errors == 0
    operations = sum(len(path) for path in json.loads(document)["paths"].values())
    table.add(
        "every answer is as the API's document has it",
        f"schemathesis, all checks, {operations} operations",
        f"{int(cases):,} requests",
        "0 violations, 0 with 5xx",
    )
