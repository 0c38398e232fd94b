"""Where the time goes: the stacks of all threads, a hundred times a second.

A thread of its own reads them (`sys._current_frames`), so that what is profiled runs as ever. It
gets its turn when another thread lets go of the GIL. What holds it for longer than that counts
as long as it did; and threads are made to let go soon, else most samples were taken where they do
so by themselves, at the next call to the system.
"""

from __future__ import annotations

import sys
import threading
from time import monotonic
from typing import Any

from app.about import NAME
from app.profiling.stacks import Place
from app.profiling.stacks import Stack
from app.profiling.stacks import shortened
from app.profiling.stacks import stack_of

# Not a round number, so as not to keep step with what happens a hundred times a second.
INTERVAL_S = 1 / 97
SWITCH_S = 0.0005  # how long a thread keeps the GIL when another one wants it; usually 5 ms


class CpuProfile:
    """Seconds by thread and stack."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[Stack, float]] = {}

    def add(self, thread: str, stack: Stack, seconds: float) -> None:
        """Count one sample."""
        stacks = self.seconds.setdefault(thread, {})
        stacks[stack] = stacks.get(stack, 0.0) + seconds

    def collapsed(self) -> str:
        """One line a stack with its milliseconds, as flamegraph.pl reads it."""
        lines = [
            ";".join([thread, *(str(place).replace(";", ":") for place in stack)])
            + f" {round(seconds * 1000)}"
            for thread, stacks in self.seconds.items()
            for stack, seconds in stacks.items()
        ]
        return "\n".join([*lines, ""])

    def speedscope(self) -> dict[str, Any]:
        """The document that https://www.speedscope.app shows, one profile a thread."""
        places: dict[Place, int] = {}
        profiles = []
        for thread, stacks in self.seconds.items():
            samples = [
                [places.setdefault(place, len(places)) for place in stack] for stack in stacks
            ]
            profiles.append(
                {
                    "type": "sampled",
                    "name": thread,
                    "unit": "seconds",
                    "startValue": 0,
                    "endValue": sum(stacks.values()),
                    "samples": samples,
                    "weights": list(stacks.values()),
                }
            )
        frames = [
            {"name": place.function, "file": shortened(place.file), "line": place.line}
            for place in places
        ]
        return {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "name": NAME,
            "shared": {"frames": frames},
            "profiles": profiles,
        }


class Sampler:
    """`with Sampler() as profile`: samples until the block ends."""

    def __init__(self) -> None:
        self._profile = CpuProfile()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="sampler", daemon=True)

    def __enter__(self) -> CpuProfile:
        self._usual_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()
        return self._profile

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        sys.setswitchinterval(self._usual_s)

    def _sample(self) -> None:
        last = monotonic()
        while not self._stop.wait(INTERVAL_S):
            now = monotonic()
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                if ident != self._thread.ident:
                    self._profile.add(names.get(ident, "other"), stack_of(frame), now - last)
            last = now
