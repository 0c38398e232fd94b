"""From flags and files to the answers that are given; what is wrong is refused by name."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import yaml

from perfgen.catalogue import Catalogue
from perfgen.errors import Refused
from perfgen.errors import nearest
from perfgen.questions import Form
from perfgen.questions import Values

# Where a question can be answered; any other goes by `--set NAME=VALUE`.
FLAGS = {
    "description": "--description",
    "python_version": "--python",
    "patterns": "--preset or --with",
    "max_connections": "--max-connections",
    "max_replicas": "--max-replicas",
}


@dataclass
class Flags:
    """The flags of `perfgen new` that answer questions, as they were typed."""

    preset: str | None = None
    with_: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    answers: str | None = None
    own: dict[str, Any] = field(
        default_factory=dict
    )  # from flags with a name of their own; None is not given


def flag(name: str) -> str:
    """The flag that answers a question."""
    return FLAGS.get(name, f"--set {name}=VALUE")


def once(flag: str, values: list[str] | None) -> str | None:
    """The value of a flag that answers one question, however often it is given."""
    if len(set(values or [])) > 1:
        raise Refused(f"{flag} is given twice, with different values.", "Decide for one of them.")
    return values[0] if values else None


def gather(form: Form, project: str, flags: Flags) -> Values:
    """What is answered already: by the file, and over it by the flags, which may not contradict each other."""
    given: Values = {}
    if flags.answers:
        given = {
            name: value for name, value in _file(flags.answers).items() if not name.startswith("_")
        }
    settings = parse_settings(flags.settings)
    if settings.get("project", project) != project:
        raise Refused(
            f"The service cannot be called both {project} and {settings['project']}.",
            "Leave --set project out.",
        )
    own = {name: value for name, value in flags.own.items() if value is not None}
    for name in own:
        if settings.get(name, own[name]) != own[name]:
            raise _twice(name, f"--set {name}={settings[name]}", f"{flag(name)} {own[name]}")
    preset = form.catalogue.presets.get(flags.preset or "")
    listed = _names([settings.get("patterns", "").strip().strip("[]")])
    if "patterns" in settings and preset is not None and set(listed) != set(preset):
        raise _twice(
            "patterns", f"--set patterns={settings['patterns']}", f"--preset {flags.preset}"
        )
    given |= settings | own | {"project": project}
    if "preset" in given and "preset" not in form.questions:
        raise Refused(
            "preset is no setting of an answers file or --set.",
            "Give --preset, or list the patterns: `patterns: [cache, docker]`.",
        )
    for name in given:
        form.question(name)
    return _with_patterns(form, given, flags)


def parse_settings(settings: Iterable[str]) -> dict[str, str]:
    """The answers that `--set NAME=VALUE` gives; refused when one has no value, or two."""
    found: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.strip()
        if not equals:
            raise Refused(f"--set {setting!r} has no value.", "Write --set NAME=VALUE.")
        if found.get(name, value) != value:
            raise _twice(name, f"--set {name}={found[name]}", f"--set {setting}")
        found[name] = value
    return found


def _twice(name: str, first: str, second: str) -> Refused:
    """Two flags that answer a question differently."""
    shown = [text if text.isprintable() else ascii(text) for text in (first, second)]
    return Refused(
        f"{name} is answered twice: by {shown[0]} and by {shown[1]}.", "Decide for one of them."
    )


def _with_patterns(form: Form, given: Values, flags: Flags) -> Values:
    """The patterns of the preset, else of the file, else the default; more by --with, less by --without."""
    catalogue = form.catalogue
    more, less = _names(flags.with_), _names(flags.without)
    base: list[str] | None = None
    if flags.preset is not None:
        if flags.preset not in catalogue.presets:
            raise Refused(
                f"There is no preset {flags.preset!r}: {nearest(flags.preset, catalogue.presets)}"
            )
        base = catalogue.presets[flags.preset]
    elif "patterns" in given:
        base = asked(
            catalogue,
            form.parse(
                form.question("patterns"),
                _healed(catalogue, given["patterns"]),
                {**given, "catalogue": form.questions["catalogue"].default},
            ),
        )
    elif more or less:
        base = form.default(
            form.question("patterns"), {"catalogue": form.questions["catalogue"].default}
        )
    if base is None:
        return given
    return given | {"patterns": select(catalogue, base, more, less)}


def select(
    catalogue: Catalogue, base: Iterable[str], more: Iterable[str], less: Iterable[str]
) -> list[str]:
    """The patterns to ask for; refused when what is left out is needed, or is no choice."""
    added, removed = asked(catalogue, more), [catalogue.get(name).name for name in less]
    for name in removed:
        if catalogue.patterns[name].core:
            raise Refused(
                f"{name} is part of every service and cannot be left out.",
                f"Drop --without {name}.",
            )
        if name in added:
            raise Refused(f"{name} is both in --with and in --without.", "Decide for one of them.")
    chosen = [name for name in dict.fromkeys([*base, *added]) if name not in removed]
    for name in removed:
        users = [user for user in catalogue.dependents(name) if user in chosen]
        if users:
            also = " ".join(f"--without {user}" for user in users)
            verb = "needs" if len(users) == 1 else "need"
            raise Refused(
                f"{' and '.join(users)} {verb} {name}, so it cannot be left out.", f"Add {also}."
            )
    return sorted(chosen)


def asked(catalogue: Catalogue, names: Iterable[str]) -> list[str]:
    """Names that can be asked for, former ones brought up to date; the core goes without saying."""
    patterns = [catalogue.get(name) for name in names]
    for pattern in patterns:
        if not pattern.asked and not pattern.core:
            users = ", ".join(catalogue.dependents(pattern.name))
            raise Refused(f"{pattern.name} cannot be chosen by itself: it comes with {users}.")
    return [pattern.name for pattern in patterns if not pattern.core]


def _healed(catalogue: Catalogue, answer: Any) -> Any:
    """The answer with the core taken out and former names replaced; anything but a list is left for the form."""
    words = (
        answer.split(",")
        if isinstance(answer, str) and not answer.strip().startswith("[")
        else answer
    )
    if not isinstance(words, list):
        return answer
    names = [word.strip() if isinstance(word, str) else word for word in words]
    return asked(catalogue, [str(name) for name in names if name != ""])


def _names(flags: Iterable[str]) -> list[str]:
    return [name.strip() for value in flags for name in value.split(",") if name.strip()]


def _file(path: str) -> dict[str, Any]:
    """The mapping in an answers file, YAML or JSON; `-` is standard input."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).expanduser().read_text("utf-8")
        data = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except OSError as error:
        raise Refused(f"The answers file {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise Refused(f"The answers file {path} is neither YAML nor JSON{where}.") from error
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise Refused(
            f"The answers file {path} must map names to values.",
            "For example `description: Sells tea`.",
        )
    return data
