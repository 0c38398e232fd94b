"""The files perfgen brings along: the checkout it runs from, or what the wheel carries."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
PARTS = (
    "copier.yml",
    "patterns",
    "template",
    "CHANGELOG.md",
)  # what one version of the template consists of

# Recorded in every service, so it is the same for everyone who works on one: no XDG variable moves it.
STORE = "~/.local/share/perfgen/template"


def checkout() -> Path | None:
    """The source checkout that this package runs from (an editable install), if it does."""
    root = _PACKAGE.parents[1]
    if (root / "generator" / "perfgen").resolve() == _PACKAGE and (root / "copier.yml").is_file():
        return root
    return None


def root() -> Path:
    """The folder with `copier.yml`, `patterns/` and `releases/`."""
    return checkout() or _PACKAGE / "data"


def files() -> dict[str, bytes]:
    """`copier.yml` and the manifests, by their path in the template."""
    top = root()
    paths = [top / "copier.yml", *sorted((top / "patterns").glob("*.yml"))]
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in paths}


def are_stored() -> bool:
    """Whether the store has a version by the name of each release here, and points to one; as its files say."""
    refs = Path(STORE).expanduser() / ".git" / "refs"
    carried = (root() / "releases").glob("*.bundle")
    tags = (refs / "tags" / f"v{path.stem}" for path in carried)
    return all(path.is_file() for path in (refs / "heads" / "main", *tags))
