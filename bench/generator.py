"""How long the generator takes, beside the least that Python and copier take for the same, and how that grows
with the number of patterns.

python -m bench.generator [ROUNDS] [--out DIR]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.plots import Line
from bench.plots import Panel
from bench.plots import draw_lines
from bench.tables import markdown
from tests.proofs.harness.service import every_pattern

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

# what is measured -> what it is compared with
COMPARED = {
    "perfgen --help": "python -c pass",
    "perfgen patterns": "python -c pass",
    "copier --help": "python -c pass",
    "perfgen new": "copier copy",
    "perfgen new --no-git": "copier copy",
}
# Sets of patterns, each with all before it: these added to minimal one after the other, then the preset standard, then
# these added to that, then everything.
TO_MINIMAL = (("database", "example"), ("cache", "compression"))
TO_STANDARD = (
    ("backpressure", "fields", "dataloader"),
    ("idempotency", "http_client", "local_cache"),
    ("profiling", "scheduler", "sessions"),
)


def commands(template: Path) -> dict[str, list[str]]:
    """What is run; `{}` stands for a folder that is not there yet. `template` is a clean clone."""
    new = [str(BIN / "perfgen"), "new", "bench", "--defaults", "--quiet", "--output", "{}"]
    copy = [str(BIN / "copier"), "copy", "--defaults", "--quiet", "--vcs-ref", "HEAD"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "perfgen --help": [str(BIN / "perfgen"), "--help"],
        "perfgen patterns": [str(BIN / "perfgen"), "patterns"],
        "copier --help": [str(BIN / "copier"), "--help"],
        "copier copy": [*copy, "--data", "project=bench", str(template), "{}/bench"],
        "perfgen new": new,
        "perfgen new --no-git": [*new, "--no-git"],
    }


def timed(command: list[str], folder: Path) -> float:
    """Wall-clock milliseconds of one run, which must succeed."""
    folder.mkdir()
    argv = [part.replace("{}", str(folder)) for part in command]
    started = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder)
    took = (time.perf_counter() - started) * 1000
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr or done.stdout}")
    return took


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds per command and round. They take turns, so that what slows the machine hits all
    alike; a round before the first warms the caches of files."""
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        template = scratch / "template"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(template)], check=True)
        found: dict[str, list[float]] = {name: [] for name in commands(template)}
        for turn in range(rounds + 1):
            for number, (name, command) in enumerate(commands(template).items()):
                took = timed(command, scratch / f"{turn}-{number}")
                if turn:
                    found[name].append(took)
    return found


def table(found: dict[str, list[float]], compared: dict[str, str]) -> str:
    """Medians and ranges; differences and ratios are taken within a round, then the median."""
    lines = ["| command | median, ms | range | compared with | ms more | ratio |"]
    lines += ["|---|---:|---|---|---:|---:|"]
    for name, times in found.items():
        line = f"| `{name}` | {statistics.median(times):.0f} | {min(times):.0f}-{max(times):.0f} |"
        if other := compared.get(name):
            pairs = list(zip(times, found[other], strict=True))
            more = statistics.median(mine - theirs for mine, theirs in pairs)
            ratio = statistics.median(mine / theirs for mine, theirs in pairs)
            line += f" `{other}` | {more:+.0f} | {ratio:.2f} |"
        else:
            line += " | | |"
        lines.append(line)
    return "\n".join(lines)


def nested_sets() -> list[list[str]]:
    """From the preset minimal through standard to everything; each is part of the next."""
    sets: list[set[str]] = []
    for preset, additions in (("minimal", TO_MINIMAL), ("standard", TO_STANDARD)):
        sets.append({*every_pattern(preset)})
        for added in additions:
            sets.append(sets[-1] | {*added})
    sets.append({*every_pattern()})
    return [sorted(one) for one in sets]


def sized(template: Path, patterns: list[str]) -> dict[str, list[str]]:
    """The commands that make a service with these patterns."""
    every = commands(template)
    minimal = {*every_pattern("minimal")}
    wanted = [word for name in patterns if name not in minimal for word in ("--with", name)]
    options = ["--preset", "minimal", *wanted]
    copy = every["copier copy"]
    data = ["--data", f"patterns=[{', '.join(patterns)}]"]
    return {
        "perfgen new": [*every["perfgen new"], *options],
        "perfgen new --no-git": [*every["perfgen new --no-git"], *options],
        "copier copy": [*copy[:-2], *data, *copy[-2:]],
    }


def measure_sizes(rounds: int) -> list[dict[str, float]]:
    """One document a set: its patterns and files, and the median milliseconds of each command."""
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        template = scratch / "template"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(template)], check=True)
        sets = [(len(patterns), sized(template, patterns)) for patterns in nested_sets()]
        times: dict[tuple[int, str], list[float]] = {}
        files: dict[int, int] = {}
        for turn in range(rounds + 1):
            for count, named in sets:
                for name, command in named.items():
                    place = scratch / "new"
                    took = timed(command, place)
                    files[count] = files_in(place / "bench")
                    shutil.rmtree(place)
                    if turn:
                        times.setdefault((count, name), []).append(took)
    return [
        {"patterns": count, "files": files[count]}
        | {name: statistics.median(times[count, name]) for name in named}
        for count, named in sets
    ]


def files_in(folder: Path) -> int:
    """Files of a service, without those of git."""
    return sum(len(names) for place, _, names in os.walk(folder) if ".git" not in Path(place).parts)


def sizes_table(sizes: list[dict[str, float]]) -> str:
    """A row for each set."""
    head = list(sizes[0])
    rows = [[f"{one[key]:.0f}" for key in head] for one in sizes]
    return markdown([*head[:2], *(f"`{name}`, ms" for name in head[2:])], rows, texts=0)


def draw_sizes(sizes: list[dict[str, float]], path: Path) -> None:
    """Milliseconds against patterns and against files."""
    names = [key for key in sizes[0] if key not in ("patterns", "files")]
    panels = [
        Panel(
            f"A new service, by its {of}",
            of,
            "milliseconds",
            [Line(n, [(one[of], one[n]) for one in sizes], n == "copier copy") for n in names],
        )
        for of in ("patterns", "files")
    ]
    draw_lines(panels, path)


def main() -> int:
    """Measure, print and write; an exit code."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("rounds", nargs="?", type=int, default=11)
    p.add_argument("--out", type=Path, default=ROOT / "build/bench/generator")
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    lines = [f"{args.rounds} rounds, Python {sys.version.split()[0]}", ""]
    lines += [table(measure(args.rounds), COMPARED), ""]
    sizes = measure_sizes(args.rounds)
    lines += [sizes_table(sizes), "", "![Time against patterns and files](sizes.svg)"]
    draw_sizes(sizes, args.out / "sizes.svg")
    text = "\n".join(lines) + "\n"
    (args.out / "report.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
