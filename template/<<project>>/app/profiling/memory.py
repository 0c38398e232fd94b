"""What grows: memory by the line that took it, and objects by their type."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from typing import Any

from app.profiling.stacks import shortened

SHOWN = 40


def count_objects() -> Counter[str]:
    """How many objects there are of each type, without what the start has set aside.

    Only those that the garbage collector knows: what can hold others. Without garbage.
    """
    gc.collect()
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())


class MemoryGrowth:
    """`begin`, and after a while `end`. Python's memory is traced in between, which slows it down.

    Both take some 100 ms for a million objects, so they belong into a thread; `stop` is to be
    called whatever happens.
    """

    def __init__(self) -> None:
        self._before: Counter[str] = Counter()

    def begin(self) -> None:
        """Count, and begin to trace."""
        self._before = count_objects()
        tracemalloc.start()

    def end(self) -> dict[str, Any]:
        """What was taken since then and is still there, the most first."""
        after = count_objects()
        snapshot = tracemalloc.take_snapshot()
        growth = Counter({kind: after[kind] - self._before[kind] for kind in after})
        statistics = snapshot.filter_traces(
            [
                tracemalloc.Filter(False, tracemalloc.__file__),
                tracemalloc.Filter(False, __file__),
            ]
        ).statistics("lineno")
        return {
            "lines": [
                {
                    "line": f"{shortened(one.traceback[0].filename)}:{one.traceback[0].lineno}",
                    "bytes": one.size,
                    "blocks": one.count,
                }
                for one in statistics[:SHOWN]
            ],
            "objects": [
                {"type": kind, "growth": more, "count": after[kind]}
                for kind, more in growth.most_common(SHOWN)
                if more > 0
            ],
        }

    def stop(self) -> None:
        """Trace no more."""
        tracemalloc.stop()
