"""`make bench`: the service, the load, the verdict."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values

from app.settings import SettingsError
from dev.bench.load import Order
from dev.bench.load import Result
from dev.bench.objectives import Objectives
from dev.bench.objectives import ObjectivesError
from dev.bench.objectives import read
from dev.bench.target import Target
from dev.bench.target import started
from dev.bench.verdict import NotMeasured
from dev.bench.verdict import judge
from dev.processes import Process
from dev.run import interrupt
from dev.servers import ROOT
from dev.servers import ServersError

MET, MISSED, UNKNOWN = 0, 1, 2


def main() -> int:
    """Measure; return the exit code: MET, MISSED, or UNKNOWN when neither can be told."""
    arguments = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    from_file = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value}
    os.environ |= from_file | os.environ
    try:
        load = {"rate": arguments.rate, "duration_s": arguments.duration}
        objectives = read(ROOT / "bench", **load)
        return _measure(objectives, arguments.url, arguments.writes)
    except KeyboardInterrupt:
        print("Not measured: it was interrupted.", file=sys.stderr)
    except (ObjectivesError, NotMeasured, ServersError, SettingsError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
    return UNKNOWN


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dev.bench",
        description="What `make bench` runs: a load, and a verdict by bench/*.toml. Exit code 0 "
        "when all objectives are met, 1 when one is missed, 2 when neither can be told. The "
        "environment variable KEY is the API key for --url.",
    )
    parser.add_argument("--url", help="of a deployed service; by default one is started here")
    parser.add_argument("--writes", choices=["yes", "no"], help="whether to write there")
    parser.add_argument("--rate", type=_number, help="requests a second")
    parser.add_argument("--duration", type=_number, help="seconds")
    return parser.parse_args()


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # which is then refused with the objectives


def _measure(objectives: Objectives, url: str | None, writes: str | None) -> int:
    if url:
        _check(url)
    writing = [route for route in objectives.routes if route.writes]
    left_out = writing if url and writes != "yes" else []
    if left_out and not writes:
        raise NotMeasured(
            f"{left_out[0].name} writes to {url}: WRITES=yes has it done, WRITES=no leaves it out."
        )
    routes = [route for route in objectives.routes if route not in left_out]
    if not routes:
        raise NotMeasured("Every route writes, so that nothing is left.")
    asked = objectives.model_copy(update={"routes": routes})
    with _target(url) as target:
        _say(asked, target)
        result = _applied(asked, target)
    if result.problem:
        rate = f"{asked.load.rate:g} requests a second"
        raise NotMeasured(f"The load generator could not keep {rate}: {result.problem}.")
    verdict = judge(asked, result.samples, left_out)
    print(*verdict.table(), "", verdict, sep="\n")
    return MET if verdict.met else MISSED


@contextmanager
def _target(url: str | None) -> Iterator[Target]:
    if not url:
        with started() as target:
            yield target
        return
    key = os.environ.get("KEY", "")
    yield Target(url, key, {} if key else {"Key": "none; KEY=... sends one"})


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.query
    except ValueError:
        usable = False
    if not usable:
        raise NotMeasured(f"{url} is not the URL of a service.")


def _say(objectives: Objectives, target: Target) -> None:
    load = objectives.load
    lines = {
        "Service": target.url,
        **target.said,
        "Load": f"{load.rate:g} requests a second for {load.duration_s:g} s, "
        f"after {load.warm_up_s:g} s to warm up",
    }
    width = max(map(len, lines)) + 2
    print(*(f"{title:{width}}{text}" for title, text in lines.items()), "", sep="\n", flush=True)


def _applied(objectives: Objectives, target: Target) -> Result:
    """The load, by a process of its own: this one may be running embedded servers."""
    order = Order(
        url=target.url,
        key=target.key,
        load=objectives.load.model_dump(),
        routes=[route.model_dump() for route in objectives.routes],
    )
    with TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, "-m", "dev.bench.load", str(file)]
        process = Process(command, cwd=ROOT, stdin=subprocess.PIPE)
        try:
            with suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(msgspec.json.encode(order))
            code = process.wait()
        finally:
            process.stop()
        if code:
            raise NotMeasured("The load generator failed; its last words are above.")
        return msgspec.json.decode(file.read_bytes(), type=Result)
