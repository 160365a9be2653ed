"""The edges of a connection: who gets in, from where, how much and how fast."""

import contextlib
import json

import aiohttp
import pytest

from diminuendo.auth.key_file import remove_key
from diminuendo.protocol.handshake import CLOSE_UNAUTHENTICATED
from diminuendo.protocol.limits import FAILURES_MAX, MESSAGE_MAX_BYTES, MESSAGES_MAX
from tests.system.diminuendo.people import ErrorAnswer, Process, Tenant
from tests.waiting import wait_until


async def test_a_client_is_greeted_before_it_says_anything(tenant: Tenant) -> None:
    async with tenant.stranger() as person:
        welcome = await person.hears("welcome")
        assert (welcome["protocolVersion"], welcome["requiresAuth"]) == (1, True)
        connected = await person.hears("connected", heartbeatIntervalMs=30_000)
        assert connected["clientId"]
        with pytest.raises(ErrorAnswer, match="UNAUTHENTICATED"):
            await person.ask("list_sessions")
        known = await person.ask("authenticate", token=tenant.process.key("ann", tenant.tenant_id, "admin"))
        assert known["identity"] == {"userId": "ann", "email": "", "tenantId": tenant.tenant_id, "role": "admin"}
        assert (await person.ask("ping"))["ts"] > 0
        with pytest.raises(ErrorAnswer, match="PROTOCOL_VERSION_MISMATCH"):
            await person.ask("authenticate", token="x", protocolVersion=2)
        assert await person.closed() == 4400


@pytest.mark.proves("DIM-ORIGIN")
async def test_pages_of_other_origins_may_not_connect(tenant: Tenant) -> None:
    for origin in ("https://evil.example", "http://localhost.evil.example", "http://localhost:1:2", "null"):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            async with tenant.stranger(origin=origin):
                raise AssertionError(origin)
    async with tenant.stranger(origin="http://localhost:5173") as person:
        await person.hears("welcome")


@pytest.mark.proves("DIM-ERRORS")
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "INVALID_JSON"),
        ("[]", "INVALID_MESSAGE"),
        ('{"type": "sing"}', "INVALID_MESSAGE"),
        ('{"type": "ping", "more": 1}', "INVALID_MESSAGE"),
        ('{"type": "create_session", "agentType": "NO"}', "INVALID_MESSAGE"),
        (json.dumps({"type": "ping", "requestId": "x", "text": "y" * MESSAGE_MAX_BYTES}), "MESSAGE_TOO_LARGE"),
    ],
)
async def test_what_is_no_message_is_answered_by_its_code_and_the_connection_stays(
    tenant: Tenant, frame: str, code: str
) -> None:
    async with tenant.person() as ann:
        await ann.say_raw(frame)
        error = await ann.hears("error")
        assert error["code"] == code
        assert "Traceback" not in error["message"]
        assert (await ann.ask("ping"))["type"] == "pong"


async def test_what_is_far_too_large_ends_the_connection(tenant: Tenant) -> None:
    async with tenant.person() as ann:
        with contextlib.suppress(ConnectionError):  # the server need not hear it to the end
            await ann.say_raw(" " * (3 * MESSAGE_MAX_BYTES))
        assert await ann.closed() == 1009


@pytest.mark.proves("DIM-PACE")
async def test_who_sends_too_fast_is_told_when_to_go_on(tenant: Tenant) -> None:
    async with tenant.person() as ann:  # which took one message
        for _ in range(MESSAGES_MAX - 1):
            await ann.say({"type": "ping"})
        with pytest.raises(ErrorAnswer, match="RATE_LIMITED") as refused:
            await ann.ask("list_sessions")
        assert refused.value.retry_after_ms is not None
        assert 0 < refused.value.retry_after_ms <= 10_000
        await wait_until(lambda: len([said for said in ann.told if said["type"] == "pong"]) == MESSAGES_MAX - 1)


@pytest.mark.proves("DIM-GUESSING")
async def test_an_address_that_guesses_tokens_has_to_wait(tenant: Tenant) -> None:
    guesser = {"headers": {"X-Forwarded-For": "203.0.113.7, 198.51.100.2"}}  # the first is what the client says itself
    failures = 0
    while failures < FAILURES_MAX:
        async with tenant.stranger(**guesser) as person:
            for _ in range(3):
                with pytest.raises(ErrorAnswer, match="AUTH_FAILED"):
                    await person.ask("authenticate", token=f"pod_guess{failures}")
                failures += 1
                if failures == FAILURES_MAX:
                    break
            else:
                assert await person.closed() == CLOSE_UNAUTHENTICATED
    async with tenant.stranger(**guesser) as person:
        with pytest.raises(ErrorAnswer, match="AUTH_RATE_LIMITED") as refused:
            await person.ask("authenticate", token=tenant.process.key("ann", tenant.tenant_id))
        assert refused.value.retry_after_ms
    async with tenant.person(headers={"X-Forwarded-For": "203.0.113.7, 198.51.100.3"}) as other:
        assert (await other.ask("ping"))["type"] == "pong"


@pytest.mark.proves("DIM-TENANTS")
async def test_tenants_do_not_see_each_other(tenant: Tenant, session: aiohttp.ClientSession) -> None:
    other = Tenant(tenant.process, session, f"{tenant.tenant_id}-other")
    async with tenant.person() as ann, other.person("mallory", "owner") as mallory:
        made = await ann.ask("create_session", agentType="echo")
        session_id = made["session"]["sessionId"]
        assert (await mallory.ask("list_sessions"))["sessions"] == []
        tries: dict[str, dict[str, object]] = {
            "join_session": {},
            "run_turn": {"text": "hello"},
            "get_history": {},
            "get_events": {"afterSeq": 0},
            "rename_session": {"name": "mine"},
            "archive_session": {},
            "delete_session": {},
            "list_files": {},
            "stop_turn": {},
        }
        for kind, more in tries.items():
            with pytest.raises(ErrorAnswer, match="SESSION_NOT_FOUND"):
                await mallory.ask(kind, sessionId=session_id, **more)
        await ann.ask("delete_session", sessionId=session_id)


@pytest.mark.proves("DIM-LAST-OWNER")
async def test_members_are_managed_by_owners_and_what_is_written_down_counts(tenant: Tenant) -> None:
    async with tenant.person("ann", "owner") as ann, tenant.person("bob") as bob:
        members = await ann.ask("manage_members", action="set", userId="ann", role="owner")
        assert members["members"] == [{"userId": "ann", "role": "owner"}]
        with pytest.raises(ErrorAnswer, match="FORBIDDEN: the last owner"):
            await ann.ask("manage_members", action="set", userId="ann", role="member")
        with pytest.raises(ErrorAnswer, match="FORBIDDEN"):
            await bob.ask("manage_members", action="set", userId="bob", role="admin")
        await ann.ask("manage_members", action="set", userId="bob", role="viewer")
        with pytest.raises(ErrorAnswer, match="FORBIDDEN"):
            await bob.ask("create_session", agentType="echo")


@pytest.mark.proves("DIM-REVOKED")
async def test_a_key_that_is_taken_back_ends_its_connections(tenant: Tenant) -> None:
    key = tenant.process.key("ann", tenant.tenant_id)
    async with tenant.person(key=key) as ann:
        assert remove_key(tenant.process.data / "keys.json", key.split("_")[1])
        assert await ann.closed() == CLOSE_UNAUTHENTICATED
    async with tenant.stranger() as person:
        with pytest.raises(ErrorAnswer, match="AUTH_FAILED"):
            await person.ask("authenticate", token=key)


async def test_health_says_how_podium_is_and_metrics_count(
    diminuendo: Process, tenant: Tenant, session: aiohttp.ClientSession
) -> None:
    async with tenant.person(), session.get(f"{diminuendo.url}/health") as answer:
        health = await answer.json()
        assert (health["status"], health["podium"]) == ("ok", {"reachable": True, "circuit": "closed"})
        assert health["connections"] >= 1
    async with session.get(f"{diminuendo.url}/metrics") as answer:
        page = await answer.text()
    assert 'podium_client_messages_total{type="authenticate"}' in page
    for path in ("/nowhere", "/ws"):
        async with session.get(f"{diminuendo.url}{path}") as answer:
            assert answer.status == 404
