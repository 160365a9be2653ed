"""What an agent asks, as ACP asks it, and what the answers mean to Podium.

```
permission               session/request_permission
questions                elicitation/create with a form, where the client shows forms; else one after the other:
    one of some options  session/request_permission with these options
    anything else        words of the agent; the prompt ends, and the next one is the answer
```
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from diminuendo.acp.translation.params import FormAnswer, PermissionAnswer
from diminuendo.acp.translation.updates import Update, chunk
from diminuendo.domain.events import PermissionRequested, Question, QuestionRequested
from podium.wire.commands import AnswerContent

REQUEST_PERMISSION: Final = "session/request_permission"
CREATE_ELICITATION: Final = "elicitation/create"


class Call(NamedTuple):
    """A request to the client."""

    method: str
    params: dict[str, Any]


class Words(NamedTuple):
    """Something the agent says; what the person says next is the answer."""

    text: str


class Permission:
    """A permission. `tool_call` is what the client is told of the call it is for."""

    def __init__(self, asked: PermissionRequested, tool_call: dict[str, Any]) -> None:
        self.request_id = asked.request_id
        self._options = [
            {"optionId": option.option_id, "name": option.name, "kind": option.kind or "allow_once"}
            for option in asked.options
        ]
        self._tool_call = tool_call

    def next(self) -> Call | Words | None:
        """What is to be asked now; None: all is answered."""
        return Call(REQUEST_PERMISSION, {"toolCall": self._tool_call, "options": self._options})

    def take(self, answer: Any) -> AnswerContent | None:
        """The answer for Podium, if this was the last that was needed. Nonsense and a closed dialogue dismiss it."""
        chosen = _chosen(answer)
        if chosen is None or all(option["optionId"] != chosen for option in self._options):
            return AnswerContent(self.request_id, dismissed=True)
        return AnswerContent(self.request_id, option_id=chosen)


class Questions:
    """Questions, one after the other."""

    def __init__(self, asked: QuestionRequested) -> None:
        self.request_id = asked.request_id
        self._left = list(asked.questions)
        self._answers: dict[str, Any] = {}

    def next(self) -> Call | Words | None:
        """See `Permission.next`."""
        if not self._left:
            return None
        question = self._left[0]
        if _one_of_some(question):
            return Call(REQUEST_PERMISSION, self._choice(question))
        return Words(_worded(question))

    def take(self, answer: Any) -> AnswerContent | None:
        """See `Permission.take`. Words are an answer as they are."""
        question = self._left.pop(0)
        if isinstance(answer, str):
            self._answers[question.id] = _read(question, answer)
        else:
            chosen = _chosen(answer)
            place = int(chosen) if chosen is not None and chosen.isascii() and chosen.isdigit() else -1
            options = question.options or []
            if not 0 <= place < len(options):
                return AnswerContent(self.request_id, dismissed=True)
            self._answers[question.id] = options[place]
        return None if self._left else AnswerContent(self.request_id, answers=self._answers)

    def _choice(self, question: Question) -> dict[str, Any]:
        options = [
            {"optionId": str(place), "name": option, "kind": "allow_once"}
            for place, option in enumerate(question.options or ())
        ]
        title = {"toolCallId": f"{self.request_id}:{question.id}", "title": question.question, "kind": "other"}
        return {"toolCall": {**title, "status": "pending"}, "options": options}


class Form:
    """Questions as one form."""

    def __init__(self, asked: QuestionRequested) -> None:
        self.request_id = asked.request_id
        self._asked: Sequence[Question] = asked.questions

    def next(self) -> Call | Words | None:
        """See `Permission.next`."""
        message = self._asked[0].question if len(self._asked) == 1 else "The agent has some questions."
        schema = {
            "type": "object",
            "properties": {question.id: _property(question) for question in self._asked},
            "required": [question.id for question in self._asked],
        }
        return Call(CREATE_ELICITATION, {"mode": "form", "message": message, "requestedSchema": schema})

    def take(self, answer: Any) -> AnswerContent | None:
        """See `Permission.take`."""
        try:
            given = msgspec.convert(answer, FormAnswer)
        except msgspec.ValidationError:
            return AnswerContent(self.request_id, dismissed=True)
        content = given.content or {}
        known = {question.id: content[question.id] for question in self._asked if question.id in content}
        if given.action != "accept" or not known:
            return AnswerContent(self.request_id, dismissed=True)
        return AnswerContent(self.request_id, answers=known)


Asking = Permission | Questions | Form
"""One request of the agent, on its way to an answer."""


def asking(asked: QuestionRequested, *, forms: bool) -> Asking:
    """Questions, in the way the client can be asked."""
    return Form(asked) if forms and asked.questions else Questions(asked)


def transcript(asked: QuestionRequested, answers: Mapping[str, Any]) -> list[Update]:
    """Questions that were answered, and the answers, as parts of a conversation."""
    told: list[Update] = []
    for question in asked.questions:
        answer = answers.get(question.id)
        words = ", ".join(map(str, answer)) if isinstance(answer, list) else "" if answer is None else str(answer)
        message_id = f"{asked.request_id}:{question.id}"
        told.append(chunk("agent_message_chunk", _worded(question), f"ask-{message_id}"))
        if words:
            told.append(chunk("user_message_chunk", words, f"answer-{message_id}"))
    return told


def _chosen(answer: Any) -> str | None:
    try:
        outcome = msgspec.convert(answer, PermissionAnswer).outcome
    except msgspec.ValidationError:
        return None
    return outcome.option_id if outcome.outcome == "selected" else None


def _one_of_some(question: Question) -> bool:
    return bool(question.options) and not question.multiple


def _worded(question: Question) -> str:
    options = "".join(f"\n- {option}" for option in question.options or ())
    hint = "\n\n(several, with commas between them)" if options and question.multiple else ""
    return f"{question.question}{options}{hint}\n"


def _read(question: Question, text: str) -> Any:
    """What words mean for a question: for one with options those that are named, else the words."""
    words = text.strip()
    if not question.options:
        return words
    known = {option.casefold(): option for option in question.options}
    parts = [part.strip() for part in words.split(",") if part.strip()]
    return [known.get(part.casefold(), part) for part in parts]


def _property(question: Question) -> dict[str, Any]:
    title = {"title": question.question}
    if not question.options:
        return {"type": "string", **title}
    if question.multiple:
        return {"type": "array", **title, "items": {"type": "string", "enum": list(question.options)}}
    return {"type": "string", **title, "enum": list(question.options)}
