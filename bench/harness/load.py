"""One run of wrk, which takes the requests of a scenario at random."""

from __future__ import annotations

import json
from pathlib import Path

from bench.harness.processes import Process
from bench.harness.servers import Request

LUA = """
local data = %s
local reqs = {}
function init(args)
  for i, r in ipairs(data) do
    local h = {}
    for k, v in pairs(r[3]) do h[k] = v end
    reqs[i] = wrk.format(r[1], r[2], h, r[4])
  end
  math.randomseed(42)
end
function request() return reqs[math.random(#reqs)] end
function done(s, l, r)
  io.write(string.format(
    'JSON {"requests":%%d,"duration_us":%%d,"bytes":%%d,"connect":%%d,"read":%%d,"write":%%d,' ..
    '"status":%%d,"timeout":%%d,"p50_us":%%d,"p90_us":%%d,"p99_us":%%d,"max_us":%%d}\\n',
    s.requests, s.duration, s.bytes, s.errors.connect, s.errors.read, s.errors.write,
    s.errors.status, s.errors.timeout, l:percentile(50), l:percentile(90), l:percentile(99), l.max))
end
"""

Load = dict[str, int]  # the names above: counts, bytes, times in microseconds


def wrk(
    port: int, requests: list[Request], connections: int, seconds: float, place: Path, cpus: str
) -> Load:
    """Load on a loopback port; `place` names wrk's files, `cpus` where it may run.

    RuntimeError: wrk told no figures."""
    script, out = Path(f"{place}.lua"), Path(f"{place}.wrk")
    script.write_text(LUA % ("{\n" + ",\n".join(map(_row, requests)) + "\n}"))
    whole = max(1, round(seconds))
    options = f"-t1 -c{connections} -d{whole}s --timeout 5s".split()
    argv = ["wrk", *options, "-s", str(script), f"http://127.0.0.1:{port}"]
    child = Process(argv, cpus, out)
    try:
        child.popen.wait(whole + 30)
    finally:
        child.stop()
    text = out.read_text(errors="replace")
    out.unlink()
    for line in text.splitlines():
        if line.startswith("JSON "):
            found: Load = json.loads(line[5:])
            return found
    raise RuntimeError(f"wrk said: {text[-400:]}")


def failures(load: Load) -> int:
    """Requests without an answer, or with one that is no 2xx or 3xx."""
    return sum(load[what] for what in ("connect", "read", "write", "status", "timeout"))


def _row(request: Request) -> str:
    method, path, headers, body = request
    head = ", ".join(f"[{lua(k)}] = {lua(v)}" for k, v in headers.items())
    return f"{{{lua(method)}, {lua(path)}, {{{head}}}, {lua(body)}}}"


def lua(value: str | None) -> str:
    if value is None:
        return "nil"
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    )
    return f'"{escaped}"'
