"""The answers that a changed service is to have, made from those it has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perfgen.answers import parse_settings
from perfgen.errors import Refused
from perfgen.output import Output
from perfgen.output import terminal
from perfgen.questions import UNANSWERED
from perfgen.questions import Form
from perfgen.questions import Question
from perfgen.questions import Values


@dataclass(frozen=True)
class Answers:
    """What copier is to be told, and what to tell the user of it."""

    values: Values
    changed: Values  # those that the service did not have, or had otherwise
    notes: list[str]


def answer(
    form: Form, recorded: Values, patterns: list[str] | None, settings: list[str], output: Output
) -> Answers:
    """Carry `recorded` over to the version of `form`, with other `patterns` unless None, and `--set` over all.

    What is asked for the first time is asked on a terminal, and elsewhere takes its default. Refused
    when an answer is wrong, no longer fits the others, or is missing and has no default.
    """
    given: Values = dict(parse_settings(settings))
    for name in given:
        form.question(name)
    if "patterns" in given:
        raise Refused(
            "--set does not change the patterns.", "Use `perfgen add` and `perfgen remove`."
        )
    if patterns is not None:
        given["patterns"] = patterns
    healed: list[str] = []
    try:
        values = form.fill(given, _carried(form, recorded, healed, output))
    except Refused as error:
        if not error.hint:
            error.hint = "Answer it by --set NAME=VALUE."
        raise
    _require_answered(values)
    changed = {
        name: value
        for name, value in values.items()
        if name not in recorded or recorded[name] != value
    }
    notes = [
        f"{name} was {_shown(recorded[name])}, which this version of the template has not got;"
        f" it is {_shown(values[name])} now."
        for name in healed
    ]
    return Answers(values, changed, notes)


def _carried(
    form: Form, recorded: Values, healed: list[str], output: Output
) -> Callable[[Question, Any, Values], Any]:
    """The answer to a question that nobody answers now: the recorded one, healed when it is no choice any more."""

    def ask(question: Question, default: Any, values: Values) -> Any:
        name = question.name
        if name in recorded:
            try:
                return form.parse(question, recorded[name], values)
            except Refused:
                # as copier does it: a default may look at the earlier answer
                healed.append(name)
                return form.default(question, {**values, name: recorded[name]})
        if not output.as_json and not output.quiet and terminal():
            from perfgen.prompts import Prompts

            return Prompts(form).ask(question, default, values)
        return UNANSWERED if question.required else default

    return ask


def _require_answered(values: Values) -> None:
    lacking = [name for name, value in values.items() if value is UNANSWERED]
    if lacking:
        flags = " ".join(f"--set {name}=VALUE" for name in lacking)
        raise Refused(
            f"The template asks for {', '.join(lacking)} as well, and has no default for it.",
            f"Answer by {flags}",
        )


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
