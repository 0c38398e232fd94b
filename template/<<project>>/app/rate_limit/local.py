"""The logs that a process keeps for itself while Redis is away."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic_ns

from app.rate_limit.policy import Policy

# Of so many senders the one that was not heard of for longest is forgotten; each has at most
# CELLS + 1 runs, 1.5 kB.
MOST_SENDERS = 10_000
CELLS = 10

type Run = list[int]  # the last microsecond of its cell, and how many were admitted in it


class LocalLogs:
    """The same window with coarser runs, in which each process admits its share of the limit.

    The share is at least 1, or somebody would wait for ever.
    """

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas
        self._logs: OrderedDict[str, list[Run]] = OrderedDict()

    def admit(self, policy: Policy, sender: str) -> tuple[int, int]:
        """`remaining` and `wait_us` of the decision."""
        now = monotonic_ns() // 1000
        limit = max(1, policy.limit // self._replicas)
        log = self._log(sender)
        while log and log[0][0] <= now - policy.window_us:
            del log[0]
        used = sum(count for _, count in log)
        if used >= limit:
            return -1, log[0][0] + policy.window_us - now
        if log and now <= log[-1][0]:
            log[-1][1] += 1
        else:
            cell = policy.window_us // CELLS
            log.append([now - now % cell + cell - 1, 1])
        return limit - used - 1, log[0][0] + policy.window_us - now

    def _log(self, sender: str) -> list[Run]:
        log = self._logs.pop(sender, [])
        self._logs[sender] = log
        if len(self._logs) > MOST_SENDERS:
            self._logs.popitem(last=False)
        return log
