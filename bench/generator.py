"""How long the generator takes, beside the least that Python and copier take for the same.

python -m bench.generator [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

# what is measured -> what it is compared with
COMPARED = {
    "perfgen --help": "python -c pass",
    "copier --help": "python -c pass",
    "perfgen new": "copier copy",
    "perfgen new --no-git": "copier copy",
}


def commands(template: Path) -> dict[str, list[str]]:
    """What is run; `{}` stands for a folder that is not there yet. `template` is a clean clone."""
    new = [str(BIN / "perfgen"), "new", "bench", "--defaults", "--quiet", "--output", "{}"]
    copy = [str(BIN / "copier"), "copy", "--defaults", "--quiet", "--vcs-ref", "HEAD"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "perfgen --help": [str(BIN / "perfgen"), "--help"],
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


def main() -> int:
    """Measure and print; an exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    print(f"{rounds} rounds, Python {sys.version.split()[0]}\n\n{table(measure(rounds), COMPARED)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
