"""Whole conversations of the official Python library with real agents, over both transports."""

import asyncio
from pathlib import Path

import acp
import pytest
from acp.exceptions import RequestError
from acp.schema import ImageContentBlock

from tests.system.acp.editors import CWD, Connected, Office, allow, reject

WEBSOCKET = "websocket"
both = pytest.mark.parametrize("transport", ["stdio", "websocket"])
FILE = f"{CWD}/settings.toml"
DIFF = {"type": "diff", "path": FILE, "oldText": "debug = false\n", "newText": "debug = true\n"}


@both
@pytest.mark.proves("DIM-ACP", "DIM-ACP-REPLAY")
async def test_a_conversation_is_shown_as_it_happens_and_again_when_it_is_loaded(
    office: Office, transport: str
) -> None:
    async with office.connected(transport) as one:
        assert one.about.protocol_version == 1
        session_id = await one.new()
        assert await one.say("hello think plan edit shell command fail cost") == "end_turn"
        _shows_everything(one)
        streamed = [update["content"]["text"] for update in one.editor.of("agent_message_chunk")]
        assert streamed == ["Hello, ", "editor!"]
        assert one.editor.of("user_message_chunk") == []  # the editor knows what its person typed

    async with office.connected(transport) as one:
        listed = await one.agent.list_sessions(cwd=CWD)
        assert [(found.session_id, found.title) for found in listed.sessions if found.session_id == session_id] == [
            (session_id, "hello think plan edit shell command fail cost")
        ]
        await one.agent.load_session(cwd=CWD, session_id=session_id)
        _shows_everything(one)
        assert one.editor.text("user_message_chunk") == "hello think plan edit shell command fail cost"
        one.session_id = session_id
        assert await one.say("hello") == "end_turn"
        assert one.editor.text() == "Hello, editor!"

    async with office.connected(transport) as one:
        await one.agent.resume_session(cwd=CWD, session_id=session_id)
        assert {update["sessionUpdate"] for update in one.editor.updates} <= {"available_commands_update"}
        one.session_id = session_id
        assert await one.say("think") == "end_turn"
        assert one.editor.text("agent_thought_chunk") == "hm, yes"


def _shows_everything(one: Connected) -> None:
    editor = one.editor
    assert editor.text() == "Hello, editor!"
    assert editor.text("agent_thought_chunk") == "hm, yes"
    (plan,) = editor.of("plan")
    assert plan["entries"] == [
        {"content": "look", "status": "pending", "priority": "medium"},
        {"content": "change", "status": "in_progress", "priority": "high"},
    ]
    edit = editor.call("Switch debugging on")
    assert (edit["kind"], edit["status"], edit["locations"]) == ("edit", "completed", [{"path": FILE}])
    assert DIFF in edit["content"]
    tests = editor.call("run_tests")
    assert (tests["kind"], tests["status"], tests["rawOutput"]) == ("execute", "completed", {"exit_code": 0})
    shown = tests["content"][0]["content"]["text"]
    assert "one" in shown
    assert "two" in shown
    alone = editor.call("echo alone")
    assert (alone["kind"], alone["status"]) == ("execute", "completed")
    assert "alone" in alone["content"][0]["content"]["text"]
    failed = editor.call("fetch_page")
    assert (failed["kind"], failed["status"]) == ("fetch", "failed")
    assert "no network" in failed["content"][0]["content"]["text"]
    (usage,) = editor.of("usage_update")
    assert (usage["used"], usage["size"], usage["cost"]) == (500, 1_000, {"amount": 0.0025, "currency": "USD"})


@pytest.mark.proves("DIM-ACP-REPLAY")
async def test_a_session_is_there_again_after_diminuendo_was_killed(office: Office, tmp_path: Path) -> None:
    async with office.another_diminuendo(tmp_path) as own:
        async with own.connected(WEBSOCKET) as one:
            session_id = await one.new()
            assert await one.say("hello think") == "end_turn"
        own.diminuendo.kill()
        await own.diminuendo.start()
        async with own.connected(WEBSOCKET) as one:
            await one.agent.load_session(cwd=CWD, session_id=session_id)
            assert one.editor.text("user_message_chunk") == "hello think"
            assert (one.editor.text(), one.editor.text("agent_thought_chunk")) == ("Hello, editor!", "hm, yes")
            one.session_id = session_id
            assert await one.say("hello") == "end_turn"


@both
@pytest.mark.proves("DIM-ACP-PERMISSION")
async def test_a_permission_is_allowed_refused_and_cancelled(office: Office, transport: str) -> None:
    async with office.connected(transport) as one:
        await one.new()
        assert await one.say("permission") == "end_turn"
        assert one.editor.text() == "permission: allow_once"
        tool_call, options = one.editor.asked.pop()
        told = tool_call.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert told["toolCallId"] == one.editor.call("edit_file")["toolCallId"]
        assert (told["kind"], told["content"]) == ("edit", [DIFF])
        assert [option.kind for option in options] == ["allow_once", "reject_once"]

        one.editor.choose = reject
        assert await one.say("permission") == "end_turn"
        assert one.editor.text() == "permission: reject_once"
        one.editor.asked.clear()

        one.editor.choose, one.editor.held = lambda _: None, asyncio.Event()
        prompt = asyncio.create_task(one.say("permission"))
        await one.shown(lambda editor: editor.asked)
        await one.agent.cancel(session_id=one.session_id)
        one.editor.held.set()
        assert await prompt == "cancelled"
        assert one.editor.call("edit_file")["status"] == "failed"

        one.editor.choose, one.editor.held = allow, None
        assert await one.say("permission") == "end_turn"
        assert one.editor.text() == "permission: allow_once"


@both
@pytest.mark.proves("DIM-ACP-CANCEL")
async def test_a_turn_is_cancelled_and_the_next_one_runs(office: Office, transport: str) -> None:
    async with office.connected(transport) as one:
        await one.new()
        prompt = asyncio.create_task(one.say("wait"))
        await one.shown(lambda editor: editor.text() == "waiting")
        await one.agent.cancel(session_id=one.session_id)
        assert await prompt == "cancelled"
        assert await one.say("hello") == "end_turn"

        prompt = asyncio.create_task(one.say("wait"))  # cancelled before the agent has said a word
        await asyncio.sleep(0)
        await one.agent.cancel(session_id=one.session_id)
        assert await prompt == "cancelled"


async def test_questions_are_options_or_words(office: Office) -> None:
    async with office.connected(WEBSOCKET) as one:
        await one.new()
        one.editor.choose = lambda options: next(option.option_id for option in options if option.name == "blue")
        assert await one.say("choose") == "end_turn"
        assert one.editor.text() == "colour: blue"
        assert one.editor.asked[0][0].title == "Which colour?"

        assert await one.say("ask") == "end_turn"
        assert one.editor.text() == "What is it called?\n"
        assert await one.say("Bob") == "end_turn"
        assert one.editor.text() == "Why?\n"
        assert await one.say("because") == "end_turn"
        assert one.editor.text() == 'answers: {"name": "Bob", "why": "because"}'


@both
async def test_modes_and_options_reach_the_agent_and_outlive_the_connection(office: Office, transport: str) -> None:
    async with office.connected(transport, session={"configOptions": {"boolean": {}}}) as one:
        made = await one.agent.new_session(cwd=CWD)
        one.session_id = made.session_id
        assert made.modes is not None
        assert (made.modes.current_mode_id, [mode.id for mode in made.modes.available_modes]) == (
            "ask",
            ["ask", "code"],
        )
        assert [option.id for option in made.config_options or []] == ["mode", "brave"]
        await one.shown(lambda editor: editor.of("available_commands_update"))
        (commands,) = one.editor.of("available_commands_update")
        assert commands["availableCommands"] == [
            {"name": "review", "description": "Reviews what changed", "input": {"hint": "what to look at"}}
        ]
        await one.agent.set_config_option("brave", one.session_id, True)
        await one.agent.set_session_mode(session_id=one.session_id, mode_id="code")
        await one.say("settings")
        assert one.editor.text() == '{"brave": true, "mode": "code"}'
        with pytest.raises(RequestError) as refused:
            await one.agent.set_session_mode(session_id=one.session_id, mode_id="fly")
        assert refused.value.code == -32602
        assert refused.value.data == {"values": ["ask", "code"]}

    async with office.connected(transport) as one:
        loaded = await one.agent.load_session(cwd=CWD, session_id=made.session_id)
        assert loaded.modes is not None
        assert loaded.modes.current_mode_id == "code"
        assert [option.id for option in loaded.config_options or []] == ["mode"]  # this editor knows no switches

        one.session_id = (await one.agent.new_session(cwd=CWD)).session_id
        await one.say("switch settings")
        assert [update["currentModeId"] for update in one.editor.of("current_mode_update")] == ["code"]
        await one.say("settings")
        assert one.editor.text() == '{"brave": false, "mode": "code"}'


async def test_a_prompt_may_hold_links_resources_and_images(office: Office) -> None:
    async with office.connected(WEBSOCKET) as one:
        await one.new()
        link = acp.resource_link_block(name="notes", uri="file:///srv/ada/notes.md")
        text = acp.resource_block(acp.embedded_text_resource(uri="file:///srv/ada/a.py", text="x = 1"))
        image = ImageContentBlock(type="image", data="aGk=", mime_type="image/png")
        assert await one.say("attachments ", link, text, image) == "end_turn"
        assert one.editor.text() == '["resource_link", "resource", "image"]'

    async with office.connected(WEBSOCKET) as one:
        assert one.about.agent_capabilities is not None
        assert one.about.agent_capabilities.prompt_capabilities is not None
        assert one.about.agent_capabilities.prompt_capabilities.image is True  # there is an agent to ask by now


async def test_a_turn_that_fails_is_an_error_that_says_why(office: Office) -> None:
    async with office.connected(WEBSOCKET) as one:
        await one.new()
        with pytest.raises(RequestError, match="RuntimeError: on purpose") as failed:
            await one.say("raise")
        assert (failed.value.code, failed.value.data) == (-32603, {"code": "agent_error", "retryable": False})
        assert await one.say("hello") == "end_turn"


@both
@pytest.mark.proves("DIM-ACP-SHARED")
async def test_a_turn_goes_on_without_its_editor(office: Office, transport: str) -> None:
    async with office.connected(transport) as one:
        session_id = await one.new()
        one.editor.held = asyncio.Event()
        prompt = asyncio.create_task(one.say("permission"))
        await one.shown(lambda editor: editor.asked)
    with pytest.raises((RequestError, ConnectionError)):
        await prompt
    async with office.connected(transport) as two:
        await two.agent.load_session(cwd=CWD, session_id=session_id)
        await two.shown(lambda editor: "permission: allow_once" in editor.text())
        assert two.editor.call("edit_file")["status"] == "completed"


async def test_a_prompt_that_is_taken_back_is_stopped(office: Office) -> None:
    async with office.connected(WEBSOCKET) as one:
        await one.new()
        for words in ("waiting", ""):  # while the agent works, and before it has begun
            await _take_back(one, words)
            assert await one.say("hello") == "end_turn"  # nothing is in its way
            assert one.editor.text().endswith("Hello, editor!")


async def _take_back(one: Connected, words: str) -> None:
    """Says `wait`, and takes it back once the agent has said `words`."""
    connection = one.agent._conn
    number = connection._next_request_id
    prompt = asyncio.create_task(one.say("wait"))
    await one.shown(lambda editor: connection._next_request_id > number and words in editor.text())
    await connection.send_notification("$/cancel_request", {"requestId": number})
    with pytest.raises(RequestError) as cancelled:
        await prompt
    assert cancelled.value.code == -32800


@both
@pytest.mark.noisy("cancel_request")  # the library does not know this notification of the protocol
@pytest.mark.proves("DIM-ACP-SHARED")
async def test_a_turn_is_seen_by_all_who_have_the_session_open(office: Office, transport: str) -> None:
    async with office.connected(transport) as one:
        session_id = await one.new()
        one.editor.held = asyncio.Event()
        prompt = asyncio.create_task(one.say("permission"))
        await one.shown(lambda editor: editor.asked)

        async with office.connected(transport) as two:
            await two.agent.load_session(cwd=CWD, session_id=session_id)
            await two.shown(lambda editor: editor.asked)  # it still waits, and whoever is there is asked
            assert two.editor.text("user_message_chunk") == "permission"
            assert await prompt == "end_turn"
            await two.shown(lambda editor: editor.text() == "permission: allow_once")
        one.editor.held.set()  # an answer that comes too late changes nothing
        assert await one.say("hello") == "end_turn"


@both
async def test_sessions_are_closed_and_deleted(office: Office, transport: str) -> None:
    async with office.connected(transport) as one:
        unused = await one.new()
        await one.agent._conn.send_request("session/delete", {"sessionId": unused})
        assert unused not in [session.session_id for session in (await one.agent.list_sessions()).sessions]
        session_id = await one.new()
        await one.say("hello")
        await one.agent.close_session(session_id=session_id)
        with pytest.raises(RequestError) as closed:
            await one.say("hello")
        assert closed.value.code == -32602
        await one.agent._conn.send_request("session/delete", {"sessionId": session_id})
        with pytest.raises(RequestError) as gone:
            await one.agent.load_session(cwd=CWD, session_id=session_id)
        assert gone.value.code == -32002
