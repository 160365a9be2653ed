"""What an agent asks, as a list of prompts, and what the typed answers mean. Pure."""

from typing import Any, Final, NamedTuple

import msgspec

from podium.cli.chat.pieces import Look, Piece, clean, shortened
from podium.cli.chat.transcript import summary
from podium.client.event import PodiumEvent
from podium.wire.commands import AnswerContent
from podium.wire.events import PermissionRequested, Question, QuestionRequested

ASKING: Final = frozenset({"tool.question_requested", "tool.permission_requested"})
"""Events that want an answer."""


class Prompt(NamedTuple):
    """One thing to ask. `options`: what the numbers 1, 2, … stand for; empty when any text will do."""

    id: str
    title: str
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    multiple: bool = False

    def pieces(self) -> list[Piece]:
        """The prompt as it is shown above the line where the person types."""
        numbered = [f"  {number} {label}" for number, label in enumerate(self.labels, 1)]
        head = Piece(f"? {self.title}\n", Look.ASK)
        return [head, *([Piece("   ".join(numbered) + "\n", Look.ASK)] if numbered else [])]

    def read(self, typed: str) -> Any | None:
        """What `typed` means: an option, a list of them, or text; None when it means nothing here."""
        text = typed.strip()
        if not self.options:
            return text or None
        if not self.multiple:
            return self._option(text)
        chosen = [self._option(part.strip()) for part in text.split(",") if part.strip()]
        return chosen if chosen and None not in chosen else None

    def _option(self, text: str) -> str | None:
        if text.isdigit() and 1 <= int(text) <= len(self.options):
            return self.options[int(text) - 1]
        wanted = text.casefold()
        named = zip(self.options, self.labels, strict=True)
        return next((option for option, label in named if wanted in (option.casefold(), label.casefold())), None)


class Asked(NamedTuple):
    """A question or permission that waits."""

    request_id: str
    permission: bool
    prompts: tuple[Prompt, ...]
    refusal: str | None = None
    """The option that refuses a permission, if there is one."""

    def answer(self, given: dict[str, Any]) -> AnswerContent:
        """The answer from what was read for each prompt's id."""
        if self.permission:
            return AnswerContent(self.request_id, option_id=str(given[""]))
        return AnswerContent(self.request_id, answers=given)

    def dismissal(self) -> AnswerContent:
        """The answer of somebody who does not want to answer: a permission is refused when it can be."""
        if self.refusal is not None:
            return AnswerContent(self.request_id, option_id=self.refusal)
        return AnswerContent(self.request_id, dismissed=True)


def asked_by(event: PodiumEvent) -> Asked | None:
    """What the event asks; None when it asks nothing or can't be read."""
    try:
        if event.kind == "tool.permission_requested":
            return _permission(msgspec.convert(event.content, PermissionRequested))
        if event.kind == "tool.question_requested":
            return _questions(msgspec.convert(event.content, QuestionRequested))
    except msgspec.ValidationError:
        # An agent that asks in a shape we do not know can still be answered by other means.
        return None
    return None


def _permission(content: PermissionRequested) -> Asked:
    arguments = summary(content.arguments)
    title = f"allow {shortened(content.tool_name, 40)}{f' ({arguments})' if arguments else ''}?"
    options = tuple(option.option_id for option in content.options)
    labels = tuple(shortened(option.name, 40) for option in content.options)
    refusal = next((option.option_id for option in content.options if option.kind.startswith("reject")), None)
    return Asked(content.request_id, True, (Prompt("", title, options, labels),), refusal)


def _questions(content: QuestionRequested) -> Asked:
    return Asked(content.request_id, False, tuple(_prompt(question) for question in content.questions))


def _prompt(question: Question) -> Prompt:
    options = tuple(question.options or ())
    labels = tuple(shortened(option, 60) for option in options)
    hint = " (several, with commas)" if question.multiple and options else ""
    return Prompt(question.id, clean(question.question) + hint, options, labels, question.multiple)
