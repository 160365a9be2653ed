"""Pages fit a message."""

from diminuendo.protocol.answers import HistoryMessage, Session
from diminuendo.serving.pages import PAGE_MAX_BYTES, first_fitting, fitting

HALF = "x" * (PAGE_MAX_BYTES // 2)


def said(position: int, text: str) -> HistoryMessage:
    return HistoryMessage(position, "user", text, None, 1)


def made(name: str, note: str) -> Session:
    return Session(name, "coder", name, name, "ready", False, "ann", 1, 1, {"note": note})


def test_the_newest_of_a_conversation_come_first() -> None:
    messages = [said(1, HALF), said(2, HALF), said(3, "short")]
    assert [row.position for row in fitting(messages)] == [2, 3]
    assert [row.position for row in fitting([said(1, HALF * 3)])] == [1], "one is always told"
    assert fitting([]) == []


def test_the_first_sessions_of_a_list_come_first() -> None:
    sessions = [made("a", "short"), made("b", HALF), made("c", HALF)]
    assert [session.session_id for session in first_fitting(sessions)] == ["a", "b"]
    assert [session.session_id for session in first_fitting([made("a", HALF * 3)])] == ["a"]
