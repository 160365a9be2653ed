"""The stream as a client sees it, through the gateway: every rule of the protocol, on real processes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.agents import Runtime, in_every_language, source
from tests.system.api import Caller


@pytest.fixture
async def slow(caller: Caller, agent_type: str, runtime: Runtime, tmp_path: Path) -> dict[str, Any]:
    """An instance that waits, raises, steers or floods as it is told."""
    return await caller.create(await caller.deploy(tmp_path / "slow", agent_type, source("slow", runtime)))


@pytest.mark.proves("STREAM-ENVELOPE", "STREAM-CONNECTED-FIRST")
@in_every_language
async def test_a_whole_turn_has_the_events_of_the_protocol_in_order(caller: Caller, echo: str) -> None:
    instance = await caller.create(echo)
    async with caller.connect(instance["instance_id"]) as stream:
        content = stream.connected["content"]
        assert content["protocol"] == 1
        assert (content["instance_id"], content["agent_id"]) == (instance["instance_id"], instance["agent_id"])
        assert content["deployment_id"] == echo
        await stream.say("hello", id="c-1")
        ack = await stream.until("ack", id="c-1")
        await stream.until("checkpoint")
        kinds = [event["messageType"] for event in stream.seen if event["messageType"] != "state.status"]
        assert kinds == ["message.user", "stream_start", "stream_update", "stream_end", "checkpoint"]
        turn = ack["content"]["turn_id"]
        for event in stream.seen:
            assert event["agentId"] == instance["agent_id"]
            assert event["instanceId"] == instance["instance_id"]
            assert event["ts"] > 1_600_000_000_000
            if event["messageType"] != "state.status":
                assert event["turnId"] == turn
        numbers = [event["seq"] for event in stream.seen]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert stream.seen[0]["content"]["text"] == "hello"
        checkpoint = next(e for e in stream.seen if e["messageType"] == "checkpoint")["content"]
        assert checkpoint["turn_id"] == turn
        assert checkpoint["state_version"] >= 1


@pytest.mark.proves("STREAM-RESUME-AFTER")
async def test_after_resumes_exactly_where_it_says(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance, after=0) as stream:
        for number in range(5):
            await stream.turn(str(number))
        everything = stream.seen
    for after in (0, 1, everything[-1]["seq"] // 2, everything[-1]["seq"] - 1):
        async with caller.connect(instance, after=after) as stream:
            while len(stream.seen) < len(everything) - after:
                await stream.frame()
            assert [e["seq"] for e in stream.seen] == list(range(after + 1, everything[-1]["seq"] + 1))
            assert [e for e in stream.seen if e["messageType"] == "stream_end"] == [
                e for e in everything[after:] if e["messageType"] == "stream_end"
            ]


async def test_without_after_only_what_happens_from_now_on_comes(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance) as first:
        await first.turn("one")
        last = first.seen[-1]["seq"]
        async with caller.connect(instance) as second:
            await second.turn("two")
            assert second.seen[0]["seq"] > last


@pytest.mark.proves("STREAM-MANY-CONNECTIONS")
@in_every_language
async def test_every_connection_gets_every_event_once_and_in_order(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]

    async def listen(after: int | None) -> list[int]:
        async with caller.connect(instance, after=after) as stream:
            opened.release()
            for _ in range(3):
                await stream.until("checkpoint")
            return [event["seq"] for event in stream.seen]

    opened = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        listeners = [group.create_task(listen(0)) for _ in range(20)]
        for _ in listeners:
            await asyncio.wait_for(opened.acquire(), 30)
        async with caller.connect(instance) as stream:
            for number in range(3):
                await stream.turn(str(number))
    for listener in listeners:
        assert listener.result() == list(range(1, len(listener.result()) + 1))


@pytest.mark.proves("COMMAND-IDEMPOTENT-BY-ID")
async def test_the_same_command_id_is_acknowledged_again_and_done_once(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.say("once", id="same")
        first = await stream.until("ack", id="same")
        await stream.until("checkpoint")
        await stream.say("once", id="same")
        second = await stream.until("ack", id="same")
        assert first["content"]["turn_id"] == second["content"]["turn_id"]
        assert first["content"]["message_id"] == second["content"]["message_id"]
    async with caller.connect(instance) as stream:
        await stream.say("once", id="same")
        third = await stream.until("ack", id="same")
        assert third["content"]["turn_id"] == first["content"]["turn_id"]
        assert await stream.turn("twice") == "2: twice"


@pytest.mark.proves("COMMAND-NACK-KEEPS-CONNECTION", "WS-BAD-FRAMES-4400")
async def test_bad_frames_are_refused_and_the_third_ends_the_connection(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.socket.send_str("no json")
        assert (await stream.until("nack"))["content"]["code"] == "invalid_json"
        await stream.command("dance", id="d")
        nack = await stream.until("nack")
        assert (nack["content"]["code"], nack["content"]["id"]) == ("invalid_request", "d")
        assert await stream.turn("still here") == "1: still here"
        await stream.socket.send_str("[]")
        assert await stream.closed() == 4400


@pytest.mark.proves("WS-FRAME-TOO-LARGE-1009")
async def test_a_frame_over_a_mebibyte_ends_the_connection(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.say("x" * (2**20 + 1))
        assert await stream.closed() == 1009
    async with caller.connect(instance) as stream:
        assert await stream.turn("x" * 900_000) == "1: " + "x" * 900_000


async def test_ping_is_answered_with_pong(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.command("ping", id="p")
        assert (await stream.until("pong")).get("seq") is None


@pytest.mark.proves("WS-NO-INSTANCE-4404")
@pytest.mark.parametrize("instance", ["inst-aaaaaaaaaaaaaaaa", "nonsense", "..%2f..%2fetc"])
async def test_an_instance_that_is_not_there_closes_with_4404(caller: Caller, instance: str) -> None:
    url = f"{caller.daemons.url}/api/v1/instances/{instance}/connect"
    async with caller.session.ws_connect(url, headers=caller.headers) as socket:
        await socket.receive(10)
        assert socket.close_code == 4404


@pytest.mark.proves("WS-STOPPED-4409")
async def test_stopping_an_instance_closes_its_connections_with_4409(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance, after=0) as stream:
        assert (await caller("DELETE", f"/api/v1/instances/{instance}")).status == 204
        assert await stream.closed() == 4409
    kinds = [event["messageType"] for event in stream.seen]
    assert "terminating" in kinds
    assert "terminated" in kinds


@pytest.mark.proves("WS-RESUME-GONE-4410")
async def test_an_after_that_lies_in_the_future_is_refused(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    url = f"{caller.daemons.url}/api/v1/instances/{instance}/connect?after=999999"
    async with caller.session.ws_connect(url, headers=caller.headers) as socket:
        while (await socket.receive(10)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert socket.close_code == 4410


@pytest.mark.proves("TURN-CANCEL")
@in_every_language
async def test_cancel_ends_the_running_turn_and_the_next_one_runs(caller: Caller, slow: dict[str, Any]) -> None:
    async with caller.connect(slow["instance_id"]) as stream:
        await stream.say("wait")
        await stream.until("stream_update")
        await stream.command("cancel", id="stop")
        await stream.until("ack", id="stop")
        end = await stream.until("stream_end")
        assert end["content"] == {"text": "waiting", "stop_reason": "cancelled"}
        await stream.until("checkpoint")
        assert await stream.turn("next") == "done next"
        await stream.command("cancel", id="none")
        assert (await stream.until("nack", id="none"))["content"]["code"] == "no_turn"


@pytest.mark.proves("TURN-CANCEL-IGNORED-RESTART")
@pytest.mark.timeout(60)
@in_every_language
async def test_an_agent_that_ignores_a_cancel_is_restarted_and_goes_on(caller: Caller, slow: dict[str, Any]) -> None:
    async def ignored(instance: dict[str, Any], how: str) -> None:
        async with caller.connect(instance["instance_id"]) as stream:
            await stream.say(how)
            await stream.until("stream_update")
            await stream.command("cancel")
            end = await stream.until("stream_end")
            assert end["content"]["stop_reason"] == "cancelled"
            await stream.until("checkpoint")
            assert await stream.turn("after") == "done after"
        starts = [e for e in stream.seen if e["messageType"] == "stream_start"]
        assert [start["content"]["attempt"] for start in starts] == [1, 1]

    other = await caller.create(slow["deployment_id"])
    await asyncio.gather(ignored(slow, "deaf"), ignored(other, "stuck"))


@pytest.mark.proves("TURN-CANCEL")
@in_every_language
async def test_a_turn_is_cancelled_by_rest_too(caller: Caller, slow: dict[str, Any]) -> None:
    instance = slow["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.say("wait", id="w")
        turn = (await stream.until("ack", id="w"))["content"]["turn_id"]
        await stream.until("stream_update")
        answer = await caller("POST", f"/api/v1/instances/{instance}/turns/{turn}/cancel")
        assert answer.status in (200, 202, 204)
        assert (await stream.until("stream_end"))["content"]["stop_reason"] == "cancelled"
    assert (
        await caller("POST", f"/api/v1/instances/{instance}/turns/turn-aaaaaaaaaaaaaaaa/cancel")
    ).code == "turn_not_found"


@pytest.mark.proves("ON-BUSY-REJECT", "ON-BUSY-QUEUE")
@in_every_language
async def test_messages_queue_in_order_or_are_rejected_as_they_ask(caller: Caller, slow: dict[str, Any]) -> None:
    async with caller.connect(slow["instance_id"]) as stream:
        await stream.say("wait")
        await stream.until("stream_update")
        await stream.say("a", id="a")
        await stream.say("b", id="b")
        await stream.say("no", id="no", on_busy="reject")
        assert (await stream.until("nack", id="no"))["content"]["code"] == "busy"
        await stream.command("cancel")
        await stream.until("checkpoint")
        texts = [(await stream.until("stream_end"))["content"]["text"] for _ in range(2)]
        assert texts == ["done a", "done b"]


@pytest.mark.proves("ON-BUSY-INTERRUPT")
@in_every_language
async def test_an_interrupt_cancels_what_runs_and_goes_first(caller: Caller, slow: dict[str, Any]) -> None:
    async with caller.connect(slow["instance_id"]) as stream:
        await stream.say("wait")
        await stream.until("stream_update")
        await stream.say("queued")
        await stream.say("now", on_busy="interrupt")
        ends = [(await stream.until("stream_end"))["content"] for _ in range(3)]
        assert [end["stop_reason"] for end in ends] == ["cancelled", "end_turn", "end_turn"]
        assert [end["text"] for end in ends] == ["waiting", "done now", "done queued"]


@pytest.mark.proves("STEER")
@in_every_language
async def test_steering_reaches_the_running_turn(caller: Caller, slow: dict[str, Any]) -> None:
    async with caller.connect(slow["instance_id"]) as stream:
        await stream.command("steer", id="early", content={"text": "x"})
        assert (await stream.until("nack", id="early"))["content"]["code"] == "no_turn"
        await stream.say("steerable")
        await stream.until("stream_start")
        await stream.command("steer", id="s", content={"text": "left"})
        await stream.until("ack", id="s")
        assert (await stream.until("stream_end"))["content"]["text"] == "left"
    state = (await caller("GET", f"/api/v1/instances/{slow['instance_id']}/state")).body["state"]
    assert state["steered"] == ["left"]


@pytest.mark.proves("AGENT-EXCEPTION-ERROR-EVENT")
@in_every_language
async def test_an_exception_becomes_an_error_event_and_the_agent_lives_on(
    caller: Caller, slow: dict[str, Any], runtime: Runtime
) -> None:
    async with caller.connect(slow["instance_id"]) as stream:
        await stream.say("raise")
        error = (await stream.until("error"))["content"]
        assert "on purpose" in error["message"]
        assert "OnPurposeError" in json.dumps(error)
        assert source("slow", runtime).file not in json.dumps(error)
        await stream.until("checkpoint")
        assert await stream.turn("more") == "done more"
    logs = (await caller("GET", f"/api/v1/instances/{slow['instance_id']}/logs")).text
    assert source("slow", runtime).file in logs


@pytest.mark.proves("CONFIG-UPDATE-NEEDS-PERMISSION")
async def test_a_config_update_needs_its_permission(caller: Caller, echo: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.command("config_update", id="c", content={"changes": {"a": 1}})
        assert (await stream.until("nack", id="c"))["content"]["code"] == "permission_denied"


@pytest.mark.proves("WS-SLOW-CONSUMER-4408")
@pytest.mark.timeout(120)
@in_every_language
async def test_a_connection_that_does_not_read_is_closed_and_disturbs_nobody(
    caller: Caller, slow: dict[str, Any]
) -> None:
    instance = slow["instance_id"]
    async with aiohttp.ClientSession() as lazy_session:
        lazy = Caller(caller.daemons, lazy_session, caller.key)
        async with lazy.connect(instance) as sleeper, caller.connect(instance) as reader:
            sleeper.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
            await reader.command("process_message", content={"text": "flood", "events": 30_000})
            await reader.until("checkpoint")
            assert len(reader.seen) > 30_000
            numbers = [event["seq"] for event in reader.seen]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            sleeper.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]
            assert await sleeper.closed() == 4408
            got = [event["seq"] for event in sleeper.seen]
    after = got[-1] if got else 0
    async with caller.connect(instance, after=after) as resumed:
        while not resumed.seen or resumed.seen[-1]["seq"] < numbers[-1]:
            await resumed.frame()
        assert [e["seq"] for e in resumed.seen] == list(range(after + 1, numbers[-1] + 1))


@pytest.mark.leaves("processes")  # the coordinator that was started anew serves the tests that follow
@pytest.mark.proves("GATEWAY-REATTACHES")
@pytest.mark.parametrize("way", ["stop", "kill"])
@in_every_language
async def test_a_connection_outlives_the_restart_of_its_coordinator(caller: Caller, echo: str, way: str) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance, after=0) as stream:
        assert await stream.turn("before") == "1: before"
        await asyncio.to_thread(getattr(caller.daemons, way), "coordinator")
        caller.daemons.start("coordinator")
        assert await stream.turn("after") == "2: after"
        await caller.daemons.ready()
        numbers = [event["seq"] for event in stream.seen]
        assert numbers == list(range(1, len(numbers) + 1))
