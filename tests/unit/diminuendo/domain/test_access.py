"""Who may do what, when; and who may change that."""

import pytest

from diminuendo.domain.access import NO_SESSION, RULES, SessionFacts, refusal
from diminuendo.domain.ids import is_session_id, make_session_id
from diminuendo.domain.members import MemberRefusedError, Role, at_least, check_change, role_of
from diminuendo.domain.sessions import SessionState

S = SessionState
OWN = SessionFacts("t1", "ann", S.READY, False)


def code(
    kind: str, role: Role, session: SessionFacts | None = OWN, user: str = "bob", tenant: str = "t1"
) -> str | None:
    found = refusal(kind, tenant, user, role, session)
    return found.code if found else None


VIEWING = {
    "list_sessions", "join_session", "leave_session", "get_history", "get_events", "ping",
    "list_files", "read_file", "file_history", "file_at_iteration", "manage_members",
}  # fmt: skip
WORKING = {"create_session", "run_turn", "stop_turn", "steer", "answer_question"}
CHANGING = {"rename_session", "archive_session", "unarchive_session", "delete_session"}


def test_each_message_takes_one_role_of_somebody_elses_session() -> None:
    running = OWN._replace(state=S.RUNNING)
    least = {
        kind: next(role for role in reversed(Role) if code(kind, role, running) is None)
        for kind in RULES
    }  # fmt: skip
    assert {kind for kind, role in least.items() if role is Role.VIEWER} == VIEWING
    assert {kind for kind, role in least.items() if role is Role.MEMBER} == WORKING
    assert {kind for kind, role in least.items() if role is Role.ADMIN} == CHANGING


def test_a_member_changes_his_own_sessions_and_a_viewer_not_even_those() -> None:
    assert code("delete_session", Role.MEMBER, user="ann") is None
    assert code("delete_session", Role.MEMBER, user="bob") == "FORBIDDEN"
    assert code("delete_session", Role.VIEWER, user="ann") == "FORBIDDEN"


def test_a_session_of_another_tenant_does_not_exist() -> None:
    assert refusal("delete_session", "t2", "ann", Role.OWNER, OWN) is NO_SESSION
    assert refusal("delete_session", "t2", "ann", Role.VIEWER, OWN) is NO_SESSION


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("run_turn", set(S)),
        ("stop_turn", {S.RUNNING, S.WAITING}),
        ("steer", {S.RUNNING, S.WAITING}),
        ("answer_question", {S.RUNNING, S.WAITING}),
        ("read_file", set(S)),
        ("get_history", set(S)),
        ("delete_session", set(S)),
    ],
)
def test_what_makes_sense_depends_on_the_state(kind: str, allowed: set[SessionState]) -> None:
    found = {state: code(kind, Role.OWNER, OWN._replace(state=state)) for state in S}
    assert {state for state, refused in found.items() if refused is None} == allowed
    assert {refused for refused in found.values() if refused is not None} <= {"INVALID_MESSAGE"}


def test_an_archived_session_is_read_only() -> None:
    archived = OWN._replace(archived=True, state=S.INACTIVE)
    assert code("run_turn", Role.OWNER, archived) == "FORBIDDEN"
    assert code("get_history", Role.VIEWER, archived) is None
    assert code("unarchive_session", Role.ADMIN, archived) is None


# ── members ──────────────────────────────────────────────────────────────────────────────────────────────────

TEAM = {"ann": Role.OWNER, "bob": Role.ADMIN, "cid": Role.MEMBER}


@pytest.mark.parametrize(
    ("actor", "user", "role", "why"),
    [
        (Role.OWNER, "ann", None, "last owner"),
        (Role.OWNER, "ann", Role.ADMIN, "last owner"),
        (Role.ADMIN, "ann", Role.ADMIN, "only owners name"),
        (Role.ADMIN, "cid", Role.OWNER, "only owners name"),
        (Role.MEMBER, "cid", None, "only owners and admins"),
        (Role.VIEWER, "dan", Role.VIEWER, "only owners and admins"),
        (Role.OWNER, "dan", None, "no member"),
    ],
)
def test_a_change_that_is_not_allowed_says_why(actor: Role, user: str, role: Role | None, why: str) -> None:
    with pytest.raises(MemberRefusedError, match=why):
        check_change(TEAM, actor, user, role)


@pytest.mark.parametrize(
    ("actor", "user", "role"),
    [
        (Role.OWNER, "bob", Role.OWNER),
        (Role.OWNER, "ann", Role.OWNER),
        (Role.ADMIN, "cid", Role.ADMIN),
        (Role.ADMIN, "bob", None),
        (Role.ADMIN, "dan", Role.VIEWER),
    ],
)
def test_owners_and_admins_change_members(actor: Role, user: str, role: Role | None) -> None:
    check_change(TEAM, actor, user, role)
    with pytest.raises(MemberRefusedError):
        check_change(TEAM, Role.MEMBER, user, role)


def test_one_of_two_owners_may_go() -> None:
    team = {**TEAM, "bob": Role.OWNER}
    check_change(team, Role.OWNER, "ann", None)
    with pytest.raises(MemberRefusedError):
        check_change({**team, "ann": Role.MEMBER}, Role.OWNER, "bob", None)


def test_what_the_tenant_wrote_down_counts_more_than_credentials() -> None:
    assert role_of(TEAM, "cid", Role.OWNER) is Role.MEMBER
    assert role_of(TEAM, "eve", Role.VIEWER) is Role.VIEWER
    assert [role for role in Role if at_least(role, Role.MEMBER)] == [Role.OWNER, Role.ADMIN, Role.MEMBER]


def test_only_ids_of_our_making_are_session_ids() -> None:
    made = make_session_id(bytes(10))
    assert made == "sess-aaaaaaaaaaaaaaaa"
    assert is_session_id(made)
    assert not any(map(is_session_id, ["", "sess-", "../x", made + "\n", made.upper(), made[:-1] + "1"]))
    with pytest.raises(ValueError, match="10 random bytes"):
        make_session_id(b"")
