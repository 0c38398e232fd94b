"""The questions of `copier.yml`, so that every answer is known to be right before copier starts."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from fnmatch import fnmatch
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Any

import yaml

from perfgen.catalogue import Catalogue
from perfgen.errors import Fault
from perfgen.errors import Refused
from perfgen.errors import nearest

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

Values = dict[str, Any]
UNANSWERED = object()
# ten times as fast, where PyYAML was built with libyaml (its wheels are)
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TYPES = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


@dataclass(frozen=True)
class Question:
    """One question as the template states it; the texts are Jinja still."""

    name: str
    type: str = "str"
    help: str = ""
    default: Any = None
    choices: Any = ()
    multiselect: bool = False
    validator: str = ""
    when: Any = True
    given: frozenset[str] = field(default_factory=frozenset)  # what the template states at all

    @property
    def asked(self) -> bool:
        """Whether it can ever be answered: `when: false` marks what the template computes."""
        return self.when is not False

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return "default" not in self.given


class Form:
    """All questions of one version of a template, and its catalogue."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        documents = _documents(files)
        items = [(name, value) for document in documents for name, value in document.items()]
        settings = {name: value for name, value in items if name.startswith("_")}
        self.questions = {
            name: _question(name, value) for name, value in items if not name.startswith("_")
        }
        catalogue = self.questions.get("catalogue")
        if catalogue is None or not isinstance(catalogue.default, list):
            raise Refused(
                "This is not a perfgen template: its copier.yml has no catalogue of patterns."
            )
        self.catalogue = Catalogue(catalogue.default)
        self._options = dict(settings.get("_envops", {}))
        self._templates: dict[str, Template] = {}

    @cached_property
    def jinja(self) -> SandboxedEnvironment:
        """As copier makes it; not before it is needed, for the catalogue alone needs none."""
        from jinja2 import StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        options = self._options | {"undefined": StrictUndefined}
        filters = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"
        return SandboxedEnvironment(extensions=[filters], **options)

    def question(self, name: str) -> Question:
        """The question of that name; refused with the nearest name when it cannot be answered."""
        known = {question.name for question in self.questions.values() if question.asked}
        if name not in known:
            raise Refused(
                f"There is no setting {name!r}: {nearest(name, known)}", "See `perfgen new --help`."
            )
        return self.questions[name]

    def fill(self, given: Values, ask: Callable[[Question, Any, Values], Any]) -> Values:
        """Go through the questions in order and return what copier is to be told.

        `given` answers some; `ask` gets the others with their default and all values so far, and
        may leave one UNANSWERED to see what else is missing.
        """
        values: Values = {}
        for question in self.questions.values():
            applies = self._applies(question, values)
            if question.name in given and not applies:
                raise Refused(
                    f"{question.name} does not apply to this choice of patterns.",
                    "Leave it out, or add the pattern it belongs to.",
                )
            if question.name in given:
                answer = given[question.name]
            else:
                default = None if question.required else self.default(question, values)
                answer = ask(question, default, values) if applies else default
            known = applies and answer is not UNANSWERED
            values[question.name] = self.checked(question, answer, values) if known else answer
        return {
            name: values[name]
            for name, question in self.questions.items()
            if self._applies(question, values)
        }

    def checked(self, question: Question, answer: Any, values: Values) -> Any:
        """The answer in its type; refused when it is of another type, not a choice, or found wrong."""
        parsed = self.parse(question, answer, values)
        known = {**values, question.name: parsed}
        words = self._render(question.validator, known, f"The check of {question.name}").strip()
        if words:
            shown = "" if question.name in words else f" ({_shown(answer)})"
            raise Refused(f"{question.name}{shown}: {words}.")
        return parsed

    def parse(self, question: Question, answer: Any, values: Values) -> Any:
        """The answer in the question's type."""
        allowed = list(self.choices(question, values).values())
        if question.multiselect:
            return [choice for choice in allowed if choice in _listed(question, answer, allowed)]
        if allowed and str(answer) in map(str, allowed) and not isinstance(answer, bool):
            return next(choice for choice in allowed if str(choice) == str(answer))
        if allowed:
            raise Refused(
                f"{question.name} cannot be {_shown(answer)}: choose {_or(map(str, allowed))}."
            )
        return _typed(question, answer)

    def choices(self, question: Question, values: Values) -> dict[str, Any]:
        """The titles of the choices with their values."""
        choices = question.choices
        if isinstance(choices, str):
            about = f"The choice of {question.name}"
            choices = yaml.safe_load(self._render(choices, values, about))
        if isinstance(choices, Mapping):
            return {str(title): value for title, value in choices.items()}
        return {str(value): value for value in choices or ()}

    def default(self, question: Question, values: Values) -> Any:
        """The default in the question's type."""
        value = question.default
        if isinstance(value, str):
            value = self._render(value, values, f"The default of {question.name}")
            if question.type not in ("str", "path") or question.multiselect:
                value = yaml.safe_load(value)
        return value

    def _applies(self, question: Question, values: Values) -> bool:
        when = question.when
        if isinstance(when, str):
            when = yaml.safe_load(self._render(when, values, f"The condition of {question.name}"))
        return bool(when)

    def _render(self, text: str, values: Values, about: str) -> str:
        from jinja2 import TemplateError

        try:
            if text not in self._templates:
                self._templates[text] = self.jinja.from_string(text)
            return self._templates[text].render(values)
        except TemplateError as error:
            raise Fault(f"{about} in the template failed: {error}.") from error


def _documents(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The documents of `copier.yml`, with `!include` as copier reads it."""

    Loader: Any = type("Loader", (_SafeLoader,), {})  # noqa: N806

    def include(loader: Any, node: yaml.ScalarNode) -> list[Any]:
        pattern = loader.construct_scalar(node)
        return [
            yaml.load(files[name], Loader)  # noqa: S506 (it is a SafeLoader)
            for name in sorted(files)
            if fnmatch(name, str(pattern))
        ]

    Loader.add_constructor("!include", include)
    if "copier.yml" not in files:
        raise Refused("This is not a perfgen template: it has no copier.yml.")
    try:
        return [document for document in yaml.load_all(files["copier.yml"], Loader) if document]
    except yaml.YAMLError as error:
        raise Fault(f"The template's copier.yml cannot be read: {error}.") from error


def _question(name: str, value: Any) -> Question:
    if not isinstance(value, Mapping):
        return Question(
            name, type=type(value).__name__, default=value, given=frozenset({"default"})
        )
    known = {key: value[key] for key in Question.__dataclass_fields__ if key in value}
    return Question(name, **known, given=frozenset(value))


def _typed(question: Question, answer: Any) -> Any:
    """The answer as text, number or truth value; text that stands for one is taken for it."""
    kind = question.type
    if kind in ("str", "path") and isinstance(answer, str):
        return answer
    if kind == "int" and (whole := _whole(answer)) is not None:
        return whole
    if kind == "float" and not isinstance(answer, bool):
        try:
            return float(answer)
        except (TypeError, ValueError):
            pass
    if kind == "bool":
        truth = yaml.safe_load(answer) if isinstance(answer, str) and answer.isalpha() else answer
        if isinstance(truth, bool):
            return truth
    if kind in ("yaml", "json"):
        return answer
    raise Refused(f"{question.name} must be {TYPES.get(kind, kind)}, not {_shown(answer)}.")


def _whole(answer: Any) -> int | None:
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int):
        return answer
    text = answer.strip() if isinstance(answer, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _listed(question: Question, answer: Any, allowed: list[Any]) -> list[Any]:
    """The answer to a multiple choice as a list: of YAML, or separated by commas."""
    if isinstance(answer, str):
        loaded = _list(answer) if answer.strip().startswith("[") else answer.split(",")
        answer = [word.strip() if isinstance(word, str) else word for word in loaded if word != ""]
    if not isinstance(answer, list):
        raise Refused(f"{question.name} must be a list, not {_shown(answer)}.")
    for word in answer:
        if word not in allowed:
            raise Refused(
                f"{question.name} cannot be {_shown(word)}: {nearest(str(word), [str(one) for one in allowed])}"
            )
    return answer


def _list(text: str) -> list[Any]:
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError:
        loaded = None
    return loaded if isinstance(loaded, list) else [text]


def _or(words: Any) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else str(last)


def _shown(answer: Any) -> str:
    """The answer as a message can quote it: short and printable."""
    text = ascii(answer)
    return text if len(text) <= 60 else f"{text[:57]}..."
