"""Logs are lines of JSON, whatever is logged."""

import json
import subprocess
import sys
from typing import Any

SCRIPT = """
import logging
from app.http import logs
from app.http.logs import log, request_id

logs.configure("info")
log.debug("hidden")
log.info("plain", number=7)
request_id.set("r-1")
log.warning("odd", value=object(), text="a\\nb", raw=b"x", key={1: 2})
try:
    password = "hunter2"
    raise RuntimeError("broken")
except RuntimeError:
    log.exception("failed")
logging.getLogger("library").warning("said %s", "this")
logging.getLogger("uvicorn.error").info("hidden")
"""


def lines() -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_line_is_a_document() -> None:
    plain, odd, failed, library = lines()
    assert (plain["event"], plain["level"], plain["number"]) == ("plain", "info", 7)
    assert "timestamp" in plain
    assert "service" in plain
    assert "request_id" not in plain
    assert odd["request_id"] == failed["request_id"] == library["request_id"] == "r-1"
    assert odd["text"] == "a\nb"
    assert failed["exception"][0]["exc_type"] == "RuntimeError"
    assert (library["event"], library["logger"]) == ("said this", "library")


def test_a_traceback_has_no_local_variables() -> None:
    assert "hunter2" not in json.dumps(lines())


def test_patterns_add_to_every_line() -> None:
    add = "logs.additions.append(lambda event: event.update(a=1))"
    script = SCRIPT.replace("log.debug", f"{add}\nlog.debug")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert [json.loads(line)["a"] for line in done.stdout.splitlines()] == [1] * 4
