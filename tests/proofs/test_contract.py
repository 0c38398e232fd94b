"""Every answer is as the API's own document describes it, whatever is sent: schemathesis against everything."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .harness.service import Service
from .harness.table import Table

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
LEAST, OPERATION = 2_000, 250  # cases in all, and at most for each operation and phase
# A method that no route has is answered by Starlette, with the methods of the first route of that path only.
LEFT_OUT = "allow_header_conformance"


@pytest.mark.slow
def test_no_5xx_and_no_surprise(service: Service, tmp_path: Path, table: Table) -> None:
    with service.processes(1, "api", None, SERVE_DOCS="true") as (api,):
        status, document = api.probe("/openapi.json")
        assert status == 200
        described = json.loads(document)
        described["servers"] = [{"url": f"http://127.0.0.1:{api.port}"}]
        (tmp_path / "openapi.json").write_text(json.dumps(described))
        command = [str(SCHEMATHESIS), "run", "openapi.json", "--no-color", "--continue-on-failure"]
        command += ["--header", f"Authorization: Bearer {service.key}", "--report", "ndjson"]
        command += [
            "--url",
            f"http://127.0.0.1:{api.port}",
            "--report-ndjson-path",
            "events.ndjson",
        ]
        command += [
            "--max-examples",
            str(OPERATION),
            "--checks",
            "all",
            "--exclude-checks",
            LEFT_OUT,
        ]
        command += ["--generation-database", "none", "--suppress-health-check", "all"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        shutil.copy(tmp_path / "events.ndjson", "/tmp/events.ndjson")
        print(done.stdout)
        assert done.returncode == 0, done.stdout
