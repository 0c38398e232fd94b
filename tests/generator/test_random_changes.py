"""Random edits, random changes of patterns, random versions: no line that the owner wrote goes without a word."""

import os
import random
import shutil
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from perfgen import landing
from perfgen import releases
from perfgen import sources
from perfgen import unfinished
from perfgen.change import Change
from perfgen.change import merged
from perfgen.errors import Refused
from perfgen.scratch import Entry
from perfgen.service import Service
from tests.generator.edits import Owner
from tests.generator.kinds import Git
from tests.generator.promises import examine
from tests.generator.renders import Asked
from tests.generator.renders import Renders
from tests.generator.renders import synthetic
from tests.generator.shelf import everything
from tests.proofs.harness.table import Table

pytestmark = pytest.mark.proof

SEED = int(os.environ.get("CHANGES_SEED") or random.randrange(10**6))
BATCHES, SIZE, QUICK = 40, 30, 2
REAL = [
    ("cache", "database", "docker", "example"),
    ("cache",),
    ("database", "example"),
    (),
    ("docker", "database"),
    ("cache", "docker"),
]
SMALL = [
    (),
    ("cache",),
    ("limit", "tracing"),
    ("cache", "database", "example", "limit", "tracing"),
    ("database",),
    ("tracing", "database", "cache"),
]
NEWER = [("ci", "queue", "scheduler"), ("compression", "kubernetes", "rate_limit"), ()]


@pytest.fixture(scope="module", autouse=True)
def surroundings(env: dict[str, str]) -> Iterator[None]:
    """This process has the home of the tests, as perfgen run in one of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name not in env and name[:7] != "PYTEST_"]:
            patch.delenv(name)
        patch.setenv("HOME", env["HOME"])
        yield


@pytest.fixture(scope="module")
def renders(
    surroundings: None, root: Path, git: Git, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Renders]:
    """A template of eight made-up versions, and perfgen's own: the releases, and as it lies here."""
    folder = tmp_path_factory.mktemp("renders")
    small = synthetic(root, folder / "source", git, Random(SEED))
    released = [str(one.version) for one in releases.bundled(root / "releases")]
    real = [sources.embedded(version) for version in (*released, None)]
    return {
        "small": Renders(small, SMALL, folder / "small", git),
        "quick": Renders(real, REAL[:3], folder / "quick", git),
        "real": Renders(real, REAL, folder / "real", git),
        "newer": Renders(real[-1:], [*REAL[:1], *NEWER], folder / "newer", git),
    }


@pytest.mark.parametrize(
    "batch",
    [pytest.param(n, marks=[] if n < QUICK else pytest.mark.slow) for n in range(BATCHES)],
)
def test_no_line_is_lost(
    batch: int,
    renders: dict[str, Renders],
    tmp_path: Path,
    git: Git,
    table: Table,
) -> None:
    found, faults = Counter[str](), []
    for number in range(SIZE):
        case = f"CHANGES_SEED={SEED} batch {batch} case {number}"
        chance = Random(case)
        name = chance.choice(
            ("small", "small", "real", "newer") if batch >= QUICK else ("small", "quick")
        )
        work = tmp_path / str(number)
        before, after = renders[name].step(chance)
        service, owner = edited(renders[name], before, after, work, chance, git)
        try:
            change = change_of(service, renders[name], before, after, work)
            told = looked_at(service, change, chance, found)
        except Exception:
            told = [traceback.format_exc()]
        if told:
            faults.append("\n  ".join([f"{case}: {name} {before} to {after}", *owner.done, *told]))
        else:
            shutil.rmtree(work)
    assert not faults, "\n" + "\n\n".join(faults)
    done = "random edits, other patterns, other versions"
    table.tally("no line of the owner's goes without a word", done, dict(found), "no line")


def looked_at(service: Service, change: Change, chance: Random, found: Counter[str]) -> list[str]:
    """What is wrong with the change; what was looked at is counted."""
    seen = examine(change)
    lands = chance.random() < 0.25 and not change.empty  # what changes nothing is not brought in
    wrong = landed_and_back(service, change) if lands else []
    found["cases"] += 1
    found["with conflicts"] += bool(change.stages)
    found["landed and undone"] += lands
    found["lines of the owner's"] += seen.user_lines
    return seen.faults + wrong


def edited(
    renders: Renders, before: Asked, after: Asked, work: Path, chance: Random, git: Git
) -> tuple[Service, Owner]:
    """A service of `before` with committed edits."""
    folder = Path(shutil.copytree(renders.of(before), work / "shop", symlinks=True))
    owner = Owner(folder, renders.of(after), chance)
    owner.work()
    git("add", "-A", cwd=folder)
    # Git added them by the attributes of before; where those were edited, too, it would see edits later on.
    git("add", "--renormalize", ".", cwd=folder)
    git("commit", "-q", "--allow-empty", "-m", "mine", cwd=folder)
    return Service.open(folder), owner


def change_of(
    service: Service, renders: Renders, before: Asked, after: Asked, work: Path
) -> Change:
    """What an update works out, from renders that are there already."""
    ignored = shutil.ignore_patterns(".git")
    base = Path(shutil.copytree(renders.of(before), work / "base", ignore=ignored))
    target = Path(shutil.copytree(renders.of(after), work / "target", ignore=ignored))
    version = renders.versions[after[0]].version
    return merged(service, base, target, work, version, moved=before[0] != after[0])


def landed_and_back(service: Service, change: Change) -> list[str]:
    """Bring the change in, look at git's index and the files, and undo it: what is wrong with that."""
    kept, wrong = _bytes(service), []
    try:
        landing.land(service, change, "perfgen update", "message")
    except Refused as error:
        if "is in the way" not in str(error):
            wrong.append(f"refused: {error}")
    else:
        if _index(service) != _expected(change):
            wrong.append("the index is not as worked out")
        unlike = service.git("diff", "--name-only", "-z").decode().split("\0")
        wrong += [
            f"{path} is not as in the index"
            for path in unlike
            if path and path not in change.stages
        ]
        unfinished.abort(service, kept=[])
    if _bytes(service) != kept:
        wrong.append("undoing it did not bring back every byte")
    if service.dirty():
        wrong.append("something is staged after undoing it")
    return wrong


def _bytes(service: Service) -> dict[str, tuple[int, bytes]]:
    return {
        path: content
        for path, content in everything(service.folder).items()
        if not path.startswith(".git/objects") and path != ".git/index"
    }


def _index(service: Service) -> set[tuple[str, int, Entry]]:
    lines = service.git("ls-files", "-s", "-z").split(b"\0")
    fields = [(line.split(b"\t", 1)) for line in lines if line]
    return {
        (os.fsdecode(path), int(meta.split()[2]), Entry(*meta.decode().split()[:2]))
        for meta, path in fields
    }


def _expected(change: Change) -> set[tuple[str, int, Entry]]:
    found = {(path, 0, e) for path, e in change.result.items() if path not in change.stages}
    return found | {(p, n, e) for p, stages in change.stages.items() for n, e in stages.items()}
