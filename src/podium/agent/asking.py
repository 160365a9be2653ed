"""Questions and permissions: what may be written for them, and what comes back."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, cast, get_args

import msgspec

from podium.agent.errors import AgentUsageError
from podium.wire.events import Outcome, PermissionKind, PermissionOption, Question
from podium.wire.link import AnswerRequest

DEFAULT_OPTIONS: Final = (
    PermissionOption("allow_once", "Allow", "allow_once"),
    PermissionOption("reject_once", "Reject", "reject_once"),
)
"""What a permission offers when nothing else is given."""

_NAMES: Final = {
    "allow_once": "Allow",
    "allow_always": "Always allow",
    "reject_once": "Reject",
    "reject_always": "Always reject",
}


_ModelT = TypeVar("_ModelT")


class ChosenOption(str):
    """The id of the option that was taken; empty when none was (dismissed, cancelled, no default at the deadline)."""

    outcome: Outcome
    name: str
    kind: PermissionKind | None

    @property
    def granted(self) -> bool:
        """Whether the option allows the act."""
        return self.kind is not None and self.kind.startswith("allow")


class Answers(dict[str, Any]):
    """Answers by question id; empty when there are none, and `outcome` tells why."""

    outcome: Outcome


def chosen(answer: AnswerRequest, options: Iterable[PermissionOption]) -> ChosenOption:
    """What an `answer` frame means for a permission that offered `options`."""
    taken = next((option for option in options if option.option_id == answer.option_id), None)
    result = ChosenOption(taken.option_id if taken else "")
    result.outcome = cast("Outcome", answer.outcome)
    result.name = taken.name if taken else ""
    result.kind = taken.kind if taken else None
    return result


def answered(answer: AnswerRequest) -> Answers:
    """What an `answer` frame means for questions."""
    result = Answers(answer.answers or {})
    result.outcome = cast("Outcome", answer.outcome)
    return result


def read_options(options: Iterable[Any] | None) -> list[PermissionOption]:
    """Options as authors write them: structs, mappings, or just a kind such as `"allow_once"`.

    Raises:
        AgentUsageError: one is none of these, or two have the same id.
    """
    read = [_option(option) for option in options] if options is not None else list(DEFAULT_OPTIONS)
    if not read or len({option.option_id for option in read}) != len(read):
        raise AgentUsageError("a permission needs options, each with an option_id of its own")
    return read


def read_questions(questions: Any) -> list[Question]:
    """Questions as authors write them: a text, a mapping, a struct, or a list of these; ids are `q1`, `q2`, … if absent.

    Raises:
        AgentUsageError: one is none of these, or two have the same id.
    """
    given = [questions] if isinstance(questions, (str, Mapping, Question)) else list(questions)
    read = [_question(question, f"q{n}") for n, question in enumerate(given, 1)]
    if not read or len({question.id for question in read}) != len(read):
        raise AgentUsageError("ask needs questions, each with an id of its own")
    return read


def _option(option: Any) -> PermissionOption:
    if isinstance(option, PermissionOption):
        return option
    if isinstance(option, str):
        if option not in get_args(PermissionKind):
            raise AgentUsageError(f"{option!r} is no kind of option; write one of {', '.join(_NAMES)}, or a mapping")
        return PermissionOption(option, _NAMES[option], cast("PermissionKind", option))
    if not isinstance(option, Mapping):
        raise AgentUsageError(f"{option!r} is no option")
    kind = option.get("kind")
    written = {"option_id": kind, "name": _NAMES.get(str(kind), kind), **option}
    return _converted(written, PermissionOption)


def _question(question: Any, default_id: str) -> Question:
    if isinstance(question, Question):
        return question
    if isinstance(question, str):
        return Question(default_id, question)
    return _converted({"id": default_id, **question}, Question)


def _converted(value: Any, model: type[_ModelT]) -> _ModelT:
    try:
        return msgspec.convert(value, model)
    except msgspec.ValidationError as error:
        raise AgentUsageError(f"{value!r}: {error}") from error
