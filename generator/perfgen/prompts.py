"""The questions on a terminal."""

from typing import Any

import questionary

from perfgen.errors import Refused
from perfgen.questions import Form
from perfgen.questions import Question
from perfgen.questions import Values


class Prompts:
    """Asks what flags left open; every question has a default and one line of help."""

    def __init__(self, form: Form) -> None:
        self.form = form

    def ask(self, question: Question, default: Any, values: Values) -> Any:
        """The answer somebody typed or chose; it is known to be right."""
        if question.multiselect:
            return self._several(question, default or [], values)
        if question.choices:
            choices = self.form.choices(question, values)
            titles = [questionary.Choice(title, value=value) for title, value in choices.items()]
            return questionary.select(
                question.help or question.name, choices=titles, default=default
            ).unsafe_ask()
        if question.type == "bool":
            return questionary.confirm(
                question.help or question.name, default=bool(default)
            ).unsafe_ask()
        shown = "" if default is None else str(default)
        return questionary.text(
            question.help or question.name,
            default=shown,
            validate=lambda text: self._verdict(question, text, values),
        ).unsafe_ask()

    def confirm(self, question: str) -> bool:
        """Yes unless told otherwise."""
        return bool(questionary.confirm(question, default=True).unsafe_ask())

    def _several(self, question: Question, default: list[Any], values: Values) -> list[Any]:
        choices = self.form.choices(question, values)
        titles = [
            questionary.Choice(title, value=value, checked=value in default)
            for title, value in choices.items()
        ]
        answer: list[Any] = questionary.checkbox(
            question.help or question.name,
            choices=titles,
            instruction="(space chooses, enter goes on)",
        ).unsafe_ask()
        return answer

    def _verdict(self, question: Question, text: str, values: Values) -> bool | str:
        try:
            self.form.checked(question, text, values)
        except Refused as error:
            return error.sentence
        return True
