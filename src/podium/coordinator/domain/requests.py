"""Questions and permissions: durable rows that wait for a person. The first answer wins.

A request is opened by an event of the agent, and closed once: by an answer, at its deadline (the default is taken), or
with its turn.
"""

from typing import Any, Literal

import msgspec

from podium.wire.commands import AnswerContent
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import Outcome, PermissionRequested, QuestionRequested

RequestKind = Literal["question", "permission"]

KIND_OF_EVENT: dict[str, RequestKind] = {
    "tool.question_requested": "question",
    "tool.permission_requested": "permission",
}
"""Events that open a request."""


class Resolution(msgspec.Struct, frozen=True):
    """How a request was closed, and by whom (`client`, `deadline`, `turn`)."""

    outcome: Outcome
    by: str
    option_id: str | None = None
    answers: dict[str, Any] | None = None


def resolve(kind: RequestKind, content: bytes, answer: AnswerContent) -> Resolution:
    """What `answer` makes of a request whose event had this content.

    Raises:
        PodiumError: `invalid_request`: the answer does not fit the request.
    """
    if answer.dismissed:
        return Resolution("dismissed", "client")
    if kind == "permission":
        return _selected(msgspec.json.decode(content, type=PermissionRequested), answer)
    return _answered(msgspec.json.decode(content, type=QuestionRequested), answer)


def expired(kind: RequestKind, content: bytes) -> Resolution:
    """The resolution a request gets at its deadline: its default, if it has one."""
    if kind == "permission":
        return Resolution(
            "expired",
            "deadline",
            option_id=msgspec.json.decode(content, type=PermissionRequested).default,
        )
    return Resolution(
        "expired",
        "deadline",
        answers=msgspec.json.decode(content, type=QuestionRequested).default,
    )


def cancelled() -> Resolution:
    """The resolution a request gets when its turn ends before anyone answered."""
    return Resolution("cancelled", "turn")


def _selected(asked: PermissionRequested, answer: AnswerContent) -> Resolution:
    offered = [option.option_id for option in asked.options]
    if answer.option_id is None:
        raise PodiumError(
            ErrorCode.INVALID_REQUEST,
            "a permission is answered with option_id or dismissed",
        )
    if answer.option_id not in offered:
        raise PodiumError(ErrorCode.INVALID_REQUEST, f"option_id must be one of {', '.join(offered)}")
    return Resolution("selected", "client", option_id=answer.option_id)


def _answered(asked: QuestionRequested, answer: AnswerContent) -> Resolution:
    if answer.answers is None:
        raise PodiumError(
            ErrorCode.INVALID_REQUEST,
            "a question is answered with answers or dismissed",
        )
    known = {question.id for question in asked.questions}
    unknown = sorted(set(answer.answers) - known)
    if unknown:
        raise PodiumError(
            ErrorCode.INVALID_REQUEST,
            f"there is no question {unknown[0]!r} in this request",
        )
    return Resolution("answered", "client", answers=answer.answers)
