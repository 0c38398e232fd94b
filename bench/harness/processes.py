"""What runs: processes on CPUs of their own, their CPU time and memory, ended by pid."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from typing import ClassVar

HZ = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
        except OSError:
            continue
        found.extend(int(child) for child in text.split())
    return found


def tree(pid: int) -> list[int]:
    pids, queue = [], [pid]
    while queue:
        current = queue.pop()
        pids.append(current)
        queue.extend(children(current))
    return pids


def cpu_seconds(pid: int) -> float:
    """CPU of the process, of its live descendants and of the children they have reaped."""
    ticks = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(fields[i]) for i in (11, 12, 13, 14))
    return ticks / HZ


def memory(pid: int) -> tuple[float, float]:
    """(RSS, PSS) of the tree, in MiB. RSS counts pages shared by workers once per worker."""
    rss = pss = 0
    for one in tree(pid):
        try:
            rss += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    pss += int(line.split()[1]) * 1024
        except OSError:
            continue
    return rss / 2**20, pss / 2**20


def cpu_busy(cpus: list[int]) -> float:
    """Busy seconds of these CPUs since boot, whoever used them."""
    busy = 0
    wanted = {f"cpu{n}" for n in cpus}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name in wanted:
            n = [int(v) for v in values]
            busy += n[0] + n[1] + n[2] + n[5] + n[6] + n[7]
    return busy / HZ


def spin(cpu: int) -> float:
    """CPU milliseconds of a fixed loop on this CPU: how fast the CPU is just now.

    A busy neighbour (the sibling hyperthread, the host) slows it without showing up as load.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    started = time.thread_time()
    n = 0
    for i in range(400_000):
        n += i & 3
    took = time.thread_time() - started
    os.sched_setaffinity(0, before)
    return took * 1000


def parse_cpus(text: str) -> list[int]:
    cpus: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


class Process:
    """A child that is pinned, logged, and ended by pid."""

    live: ClassVar[list[Process]] = []

    def __init__(
        self,
        argv: list[str],
        cpus: str,
        log: Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        extra: dict[str, Any] = {}
        if user:
            entry = pwd.getpwnam(user)
            extra = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                ["taskset", "-c", cpus, *argv],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **extra,
            )
        self.pid = self.popen.pid
        Process.live.append(self)

    def alive(self) -> bool:
        return self.popen.poll() is None

    def stop(self, sig: int = signal.SIGTERM, wait: float = 15) -> None:
        if self not in Process.live:
            return
        started = {pid: starttime(pid) for pid in tree(self.pid)} if self.alive() else {}
        if self.alive():
            self.popen.send_signal(sig)
            try:
                self.popen.wait(wait)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid, when in started.items():  # descendants that outlived their parent
            if pid != self.pid and when is not None and starttime(pid) == when:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        Process.live.remove(self)


def starttime(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
