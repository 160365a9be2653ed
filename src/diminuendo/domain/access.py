"""Who may do what, when: one line for each message of a client."""

from typing import Final, NamedTuple

from diminuendo.domain.members import Role, at_least
from diminuendo.domain.sessions import SessionState

ANY: Final = frozenset(SessionState)


class Rule(NamedTuple):
    """What a message takes. `own`: the role that is enough for whoever made the session. `states`: those of the session in
    which it makes sense; `archived`: whether it does for an archived session."""

    role: Role
    own: Role
    states: frozenset[SessionState] = ANY
    archived: bool = True


class Refusal(NamedTuple):
    """Why not: a code of the client protocol and a sentence for a person."""

    code: str
    message: str


_IN_A_TURN: Final = frozenset({SessionState.RUNNING, SessionState.WAITING})


def _watching(states: frozenset[SessionState] = ANY) -> Rule:
    return Rule(Role.VIEWER, Role.VIEWER, states)


def _working(states: frozenset[SessionState] = ANY) -> Rule:
    return Rule(Role.MEMBER, Role.MEMBER, states, archived=False)


_CHANGING: Final = Rule(Role.ADMIN, Role.MEMBER)

RULES: Final[dict[str, Rule]] = {
    "list_sessions": _watching(),
    "create_session": _working(),
    "rename_session": _CHANGING,
    "archive_session": _CHANGING,
    "unarchive_session": _CHANGING,
    "delete_session": _CHANGING,
    "join_session": _watching(),
    "leave_session": _watching(),
    "run_turn": _working(),  # activates the session, waits for it, or is queued behind the turn that runs
    "stop_turn": _working(_IN_A_TURN),
    "steer": _working(_IN_A_TURN),
    "answer_question": _working(_IN_A_TURN),
    "get_history": _watching(),
    "get_events": _watching(),
    "ping": _watching(),
    "list_files": _watching(),
    "read_file": _watching(),
    "file_history": _watching(),
    "file_at_iteration": _watching(),
    "manage_members": _watching(),  # seeing them; what may be changed is in `members.check_change`
}
"""By `type` of the message. `authenticate` comes before anybody is somebody, and has no rule."""


class SessionFacts(NamedTuple):
    """What a rule looks at."""

    tenant_id: str
    created_by: str
    state: SessionState
    archived: bool


def refusal(kind: str, tenant_id: str, user_id: str, role: Role, session: SessionFacts | None = None) -> Refusal | None:
    """Why somebody may not send a message of type `kind` (about `session`) now; None: he may.

    A session of another tenant does not exist for him.
    """
    rule = RULES[kind]
    if session is not None and session.tenant_id != tenant_id:
        return NO_SESSION
    wanted = rule.own if session is not None and session.created_by == user_id else rule.role
    if not at_least(role, wanted):
        return Refusal("FORBIDDEN", f"{kind} takes the role {wanted}, yours is {role}")
    if session is not None and session.archived and not rule.archived:
        return Refusal("FORBIDDEN", "the session is archived; unarchive it first")
    if session is not None and session.state not in rule.states:
        return Refusal("INVALID_MESSAGE", f"{kind} makes no sense while the session is {session.state}")
    return None


NO_SESSION: Final = Refusal("SESSION_NOT_FOUND", "there is no such session")
"""For a session that is not there, or not for this tenant: the two can't be told apart."""
