"""What the template holds of one pattern."""

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

from perfgen import sources
from perfgen.catalogue import Pattern


def contents(pattern: Pattern, catalogue: Iterable[Pattern]) -> dict[str, Any]:
    """The files a service gets with the pattern, the tests among them, the settings they read, their metrics.

    with: by the path of a file of a pair, the further patterns that it needs
    """
    files = sources.embedded(None).files("template")
    service = {relative(path): content for path, content in files.items()}
    others = [other for other in catalogue if other.name != pattern.name]
    own = {
        path: content
        for path, content in sorted(service.items())
        if _named_for(path, pattern)
        or (listed(path, pattern) and not any(_named_for(path, other) for other in others))
    }
    further = {
        path: [other.name for other in others if not other.core and belongs(path, other)]
        for path in own
    }
    return described(own, pattern) | {
        "with": {path: names for path, names in further.items() if names},
        "files": [path for path in own if not path.startswith("tests/")],
        "tests": [path for path in own if path.startswith("tests/") and path.endswith(".py")],
    }


def described(own: Mapping[str, bytes], pattern: Pattern) -> dict[str, list[str]]:
    """The settings that these files of a pattern read, and the metrics that they count."""
    text = b"\n".join(own.values()).decode("utf-8", "replace")
    mentioned = _words(text, pattern.traces.get("environment", []), r"[A-Z0-9_]+(?![A-Z0-9_*])")
    return {"settings": sorted({*mentioned, *_settings(own)}), "metrics": _metrics(own)}


def relative(path: str) -> str:
    """`template/<<project>>/app/main.py.jinja` → `app/main.py`."""
    return path.split("/", 2)[-1].removesuffix(".jinja")


def belongs(path: str, pattern: Pattern) -> bool:
    """Whether a service without the pattern lacks the file."""
    return _named_for(path, pattern) or listed(path, pattern)


def _named_for(path: str, pattern: Pattern) -> bool:
    """Whether a service without the pattern lacks the file by its name: the rules of `_exclude` in copier.yml."""
    name = pattern.name
    return _under(
        path,
        f"app/{name}",
        f"app/*/with_{name}.py",
        f"app/*/example_with_{name}.py",
        f"app/*/example_with_{name}_and_*.py",
        f"app/*/example_with_*_and_{name}.py",
        f"tests/{name}",
        f"tests/*/test_with_{name}.py",
        f"tests/*/test_example_with_{name}.py",
        f"tests/*/test_example_with_{name}_and_*.py",
        f"tests/*/test_example_with_*_and_{name}.py",
        f"migrations/versions/{name}",
        f"deploy/components/{name}",
        f"dev/{name}.*",
        f"bench/{name}.*",
        f"monitoring/*/{name}.*",
    )


def listed(path: str, pattern: Pattern) -> bool:
    """The same by the `files` of its manifest."""
    return _under(path, *(file.lstrip("/") for file in pattern.files))


def _under(path: str, *rules: str) -> bool:
    return any(fnmatch(path, rule) or fnmatch(path, f"{rule}/*") for rule in rules)


def _settings(files: Mapping[str, bytes]) -> Iterator[str]:
    """The variables of the classes over `Settings`: their prefix, and the names of their fields."""
    for path, content in files.items():
        if fnmatch(path, "app/*settings.py"):
            # not by ast: Python 3.11 does not know the syntax that services may use
            code = re.sub(r'""".*?"""', "", content.decode(), flags=re.DOTALL)
            for body in re.findall(
                r"^class \w+\(Settings\):\n((?:\n|    .*\n)+)", code, re.MULTILINE
            ):
                prefix = re.search(r'env_prefix="(\w+)"', body)
                for name in re.findall(r"^    (\w+): ", body, re.MULTILINE):
                    yield f"{prefix[1] if prefix else ''}{name}".upper()


def _metrics(files: Mapping[str, bytes]) -> list[str]:
    """The metrics that the files define, as Prometheus names them."""
    kinds = r"(Counter|Gauge|Histogram)(?:MetricFamily)?"
    definition = re.compile(rf"""\b(?:Loop)?{kinds}\(\s*["']([a-zA-Z0-9_:]+)["']""")
    found = (
        match
        for path, content in files.items()
        if not path.startswith("tests/")
        for match in definition.findall(content.decode("utf-8", "replace"))
    )
    return sorted(
        {
            f"{name.removesuffix('_total')}_total" if kind == "Counter" else name
            for kind, name in found
        }
    )


def _words(text: str, prefixes: list[str], rest: str) -> list[str]:
    found = {
        word for prefix in prefixes for word in re.findall(rf"\b{re.escape(prefix)}{rest}", text)
    }
    return sorted(word.rstrip("_") for word in found if len(word) > 3)
