"""How a connection begins, as conversations; and what is counted on the way."""

import pytest
from msgspec import UNSET

from diminuendo.protocol import handshake
from diminuendo.protocol.answers import Authenticated, Connected, Error, Identity, Welcome, encode
from diminuendo.protocol.handshake import (
    HELD_MAX,
    Admit,
    CheckToken,
    Close,
    Deadline,
    DeadlineIn,
    Handshake,
    Heard,
    Opened,
    Pass,
    Send,
    TokenBad,
    TokenGood,
)
from diminuendo.protocol.limits import ADDRESSES_MAX, FAILURES_MAX, FailedTokens, Window, message_window
from diminuendo.protocol.messages import Authenticate, Ping
from tests.playbook import Playbook

Talk = Playbook[handshake.Event, handshake.Decision]
ANN = Identity("ann", "ann@example.org", "t1", "member")


def error(code: str, message: str, request_id: str | None = None, retry: int | None = None) -> Send:
    return Send(
        Error(
            code=code,
            message=message,
            request_id=request_id if request_id is not None else UNSET,
            retry_after_ms=retry if retry is not None else UNSET,
        )
    )


def opened() -> Talk:
    talk: Talk = Playbook(Handshake().handle)
    _ = talk >> Opened("c1", 5) << Send(Welcome(requires_auth=True)) << Send(Connected(client_id="c1", ts=5))
    _ = talk << DeadlineIn(10_000)
    return talk


def admitted() -> Talk:
    talk = opened()
    _ = talk >> Heard(Authenticate(token="t", request_id="q")) << CheckToken("t")
    _ = talk >> TokenGood(ANN, 60_000) << Send(Authenticated(identity=ANN, request_id="q")) << Admit(ANN)
    _ = talk << DeadlineIn(60_000)
    return talk


def test_a_client_is_greeted_and_admitted_until_its_token_ends() -> None:
    talk = admitted()
    _ = talk >> Heard(Ping()) << Pass(Ping())
    _ = talk >> Deadline() << error("AUTH_FAILED", "the token has ended") << Close(4401, "AUTH_FAILED")
    _ = talk >> Heard(Ping())
    talk.end()


def test_the_greeting_has_the_names_of_the_contract() -> None:
    assert encode(Welcome(requires_auth=True)) == b'{"type":"welcome","protocolVersion":1,"requiresAuth":true}'
    greeting = b'{"type":"connected","clientId":"c1","heartbeatIntervalMs":30000,"ts":5}'
    assert encode(Connected(client_id="c1", ts=5)) == greeting
    told = b'{"type":"authenticated","identity":{"userId":"ann","email":"ann@example.org","tenantId":"t1","role":"member"}}'
    assert encode(Authenticated(identity=ANN)) == told


def test_nothing_is_done_for_a_client_before_it_is_somebody() -> None:
    talk = opened()
    _ = talk >> Heard(Ping(request_id="q")) << error("UNAUTHENTICATED", "authenticate first", "q")
    _ = talk >> Heard(Authenticate(token="t")) << CheckToken("t")
    _ = talk >> Heard(Authenticate(token="u")) << error("INVALID_MESSAGE", "the token before is still being checked")
    talk.end()


def test_what_comes_while_a_token_is_checked_waits_for_the_outcome() -> None:
    talk = opened()
    _ = talk >> Heard(Authenticate(token="t")) << CheckToken("t")
    _ = talk >> Heard(Ping(request_id="1"))
    _ = talk >> Heard(Ping(request_id="2"))
    _ = talk >> TokenGood(ANN) << Send(Authenticated(identity=ANN)) << Admit(ANN) << DeadlineIn(None)
    _ = talk << Pass(Ping(request_id="1")) << Pass(Ping(request_id="2"))
    talk.end()
    talk = opened()
    _ = talk >> Heard(Authenticate(token="t")) << CheckToken("t")
    for number in range(HELD_MAX):
        _ = talk >> Heard(Ping(request_id=str(number)))
    _ = talk >> Heard(Ping(request_id="one too many"))
    _ = talk << error("UNAUTHENTICATED", "authenticate first", "one too many")
    _ = talk >> TokenBad("no such key") << error("AUTH_FAILED", "no such key")
    for number in range(HELD_MAX):
        _ = talk << error("UNAUTHENTICATED", "authenticate first", str(number))
    talk.end()


@pytest.mark.proves("DIM-TEN-SECONDS")
def test_whoever_does_not_authenticate_within_ten_seconds_is_turned_away() -> None:
    talk = opened()
    _ = talk >> Deadline() << error("AUTH_FAILED", "no valid token within 10 seconds") << Close(4401, "AUTH_FAILED")
    talk.end()


def test_the_third_bad_token_ends_the_connection() -> None:
    talk = opened()
    for _ in range(2):
        _ = talk >> Heard(Authenticate(token="t", request_id="q")) << CheckToken("t")
        _ = talk >> TokenBad("no such key") << error("AUTH_FAILED", "no such key", "q")
    _ = talk >> Heard(Authenticate(token="t", request_id="q")) << CheckToken("t")
    _ = talk >> TokenBad("no such key") << error("AUTH_FAILED", "no such key", "q") << Close(4401, "AUTH_FAILED")
    _ = talk >> TokenGood(ANN)
    talk.end()


def test_an_address_that_failed_too_often_is_told_when_to_come_back() -> None:
    talk = opened()
    _ = talk >> Heard(Authenticate(token="t"), wait_ms=700)
    _ = talk << error("AUTH_RATE_LIMITED", "too many failed tries from this address", retry=700)
    talk.end()


def test_a_fresh_token_of_the_same_person_prolongs_and_of_another_one_ends_it() -> None:
    talk = admitted()
    promoted = Identity("ann", "ann@example.org", "t1", "admin")
    _ = talk >> Heard(Authenticate(token="u")) << CheckToken("u")
    _ = talk >> TokenGood(promoted) << Send(Authenticated(identity=promoted)) << Admit(promoted) << DeadlineIn(None)
    _ = talk >> Heard(Authenticate(token="v")) << CheckToken("v")
    _ = talk >> TokenGood(Identity("bob", "", "t1", "owner"))
    _ = talk << error("AUTH_FAILED", "the new token is somebody else's") << Close(4401, "AUTH_FAILED")
    talk.end()


def test_a_bad_fresh_token_leaves_the_old_one_in_force() -> None:
    talk = admitted()
    _ = talk >> Heard(Authenticate(token="u")) << CheckToken("u")
    _ = talk >> TokenBad("ended") << error("AUTH_FAILED", "ended")
    _ = talk >> Heard(Ping()) << Pass(Ping())
    talk.end()


def test_another_version_is_refused_and_closed() -> None:
    talk = opened()
    _ = talk >> Heard(Authenticate(token="t", protocol_version=2))
    _ = talk << error("PROTOCOL_VERSION_MISMATCH", "this is version 1 of the protocol")
    _ = talk << Close(4400, "PROTOCOL_VERSION_MISMATCH")
    talk.end()


def test_where_nobody_has_to_authenticate_everybody_is_the_local_person() -> None:
    talk: Talk = Playbook(Handshake(local=ANN).handle)
    _ = talk >> Opened("c1", 5) << Send(Welcome(requires_auth=False)) << Send(Connected(client_id="c1", ts=5))
    _ = talk << Send(Authenticated(identity=ANN)) << Admit(ANN) << DeadlineIn(None)
    _ = talk >> Heard(Authenticate(token="x", request_id="q")) << Send(Authenticated(identity=ANN, request_id="q"))
    talk.end()


def test_sixty_messages_fit_into_ten_seconds() -> None:
    window = message_window()
    assert [window.take(number) for number in range(60)] == [True] * 60
    assert not window.take(9_999)
    assert window.wait_ms(9_999) == 1
    assert window.take(10_000)
    assert not window.take(10_000)
    assert window.take(10_001)


def test_what_is_refused_does_not_count() -> None:
    window = Window(1, 10)
    assert window.take(0)
    assert not any(window.take(now) for now in range(1, 10))
    assert window.take(10)


def test_an_address_waits_after_ten_failures_and_others_do_not() -> None:
    failed = FailedTokens()
    for now in range(FAILURES_MAX):
        assert failed.wait_ms("a", now) == 0
        failed.failed("a", now)
    assert failed.wait_ms("a", FAILURES_MAX) == 60_000 - FAILURES_MAX
    assert failed.wait_ms("b", FAILURES_MAX) == 0
    assert failed.wait_ms("a", 60_000) == 0


def test_the_memory_for_addresses_is_bounded() -> None:
    failed = FailedTokens()
    for number in range(ADDRESSES_MAX + 1):
        for _ in range(FAILURES_MAX if number < 2 else 1):
            failed.failed(str(number), 0)
    assert failed.wait_ms("0", 0) == 0
    assert failed.wait_ms("1", 0) == 60_000


@pytest.mark.parametrize("span", [1, 1000])
def test_a_window_that_is_full_says_exactly_when_it_has_room(span: int) -> None:
    window = Window(1, span)
    window.take(5)
    assert window.wait_ms(5) == span
    assert window.take(5 + window.wait_ms(5))
