"""Streams through the gateway: bytes both ways, coordinators that break anywhere, clients that must leave."""

import asyncio
import json
import random
from typing import Any

import aiohttp
import pytest

from podium.base.discovery import Notice
from podium.base.discovery.port import CHANNEL_KEYS_REVOKED
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import FRAME_MAX_BYTES
from podium.wire.status import InstanceStatus
from tests.system.gateway.conftest import ADMIN_KEY, House
from tests.waiting import wait_until

INSTANCE = "inst-aaaaaaaaaaaaaaaa"


async def _read(socket: aiohttp.ClientWebSocketResponse, last: int, first: int = 1) -> list[int]:
    """The seqs received until `last` came."""
    seen: list[int] = []
    while not seen or seen[-1] < last:
        message = await socket.receive(20)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, seen[-3:])
        frame = json.loads(message.data)
        if "seq" in frame:
            seen.append(frame["seq"])
    assert seen == list(range(first, last + 1))
    return seen


async def _close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    while (await socket.receive(10)).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        pass
    return socket.close_code


async def test_events_and_commands_pass_through(house: House) -> None:
    await house.instance()
    house.stub.publish("one", "two")
    async with house.connect(INSTANCE, 0, protocols=["podium.v1"]) as socket:
        assert socket.protocol == "podium.v1"
        assert (await socket.receive_json())["messageType"] == "connected"
        await _read(socket, 2)
        await socket.send_str('{"type":"process_message","id":"c1"}')
        assert (await socket.receive_json()) == {"messageType": "ack", "content": {"id": "c1"}}
    assert house.stub.commands == ['{"type":"process_message","id":"c1"}']
    path, headers = house.stub.dialed[0]
    assert path == f"/agent/{INSTANCE}?after=0"
    assert headers["podium-tenant"] == "acme"
    assert headers["podium-role"] == "user"
    assert "instances:write" in headers["podium-permissions"]
    await wait_until(lambda: not house.stub.streams)


async def test_the_tenants_key_never_reaches_the_coordinator(house: House) -> None:
    await house.instance()
    async with house.connect(INSTANCE, headers={}, protocols=["podium.v1", f"podium.bearer.{house.key}"]) as socket:
        assert socket.protocol == "podium.v1"
        await socket.receive()
    assert house.key not in str([dict(headers) for _, headers in house.stub.dialed])


@pytest.mark.proves("GATEWAY-REATTACHES")
@pytest.mark.parametrize("seed", range(40))
async def test_a_coordinator_that_breaks_at_any_byte_costs_the_client_nothing(house: House, seed: int) -> None:
    dice = random.Random(seed)
    await house.instance()
    texts = ["x" * dice.choice((0, 5, 100, 200, 70_000)) for _ in range(dice.randint(1, 40))]
    house.stub.breaks = [dice.randint(160, 4_000 if dice.random() < 0.7 else 200_000) for _ in range(8)]
    async with house.connect(INSTANCE, 0) as socket:
        reading = asyncio.create_task(_read(socket, len(texts)))
        for text in texts:
            house.stub.publish(text)
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        await reading


@pytest.mark.proves("GATEWAY-REATTACHES")
async def test_a_client_survives_a_coordinator_that_is_away_for_a_while(house: House) -> None:
    await house.instance()
    house.stub.publish("one")
    async with house.connect(INSTANCE, 0, heartbeat=0.2) as socket:
        await _read(socket, 1)
        await house.stub.kill()
        house.stub.publish("two", "three")
        await socket.send_str('{"type":"process_message","id":"while-away"}')
        await socket.send_str('{"type":"process_message"}')
        await asyncio.sleep(0.7)
        await house.stub.start()
        assert await _read(socket, 3, 2) == [2, 3]
        await wait_until(lambda: len(house.stub.commands) == 2)
    assert house.stub.dialed[-1][0].endswith("?after=1")


async def test_commands_of_which_nobody_knows_whether_they_arrived_are_sent_again(house: House) -> None:
    await house.instance()
    async with house.connect(INSTANCE) as socket:
        await socket.receive()
        for number in range(5):
            await socket.send_str(json.dumps({"type": "process_message", "id": f"c{number}"}))
        await socket.send_str('{"type":"process_message"}')
        await wait_until(lambda: len(house.stub.commands) == 6)
        house.stub._done.clear()
        house.stub.commands.clear()
        await house.stub.kill()
        await house.stub.start()
        await wait_until(lambda: len(house.stub.commands) == 5)
        assert [json.loads(text)["id"] for text in house.stub.commands] == [f"c{number}" for number in range(5)]


async def test_a_client_without_after_goes_on_behind_what_it_was_promised(house: House) -> None:
    await house.instance()
    house.stub.publish(*"abcde")
    async with house.connect(INSTANCE) as socket:
        assert (await socket.receive_json())["content"]["last_seq"] == 5
        await house.stub.kill()
        house.stub.publish("f")
        await house.stub.start()
        await _read(socket, 6, 6)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (4401, {"headers": {}}),
        (4401, {"headers": {"Authorization": "Bearer pod_wrong"}}),
        (4404, {"instance_id": "inst-bbbbbbbbbbbbbbbb"}),
        (4404, {"tenant_id": "other"}),
        (4409, {"status": InstanceStatus.TERMINATED}),
        (1013, {"coordinator_id": "coord-away"}),
        (4400, {"after": "x"}),
    ],
)
async def test_a_refused_client_is_told_by_a_close_code(house: House, code: int, why: dict[str, Any]) -> None:
    record = {name: value for name, value in why.items() if name in {"tenant_id", "status", "coordinator_id"}}
    await house.instance(**record)
    more = {name: value for name, value in why.items() if name in {"headers", "after"}}
    async with house.connect(why.get("instance_id", INSTANCE), **more) as socket:
        assert await _close_code(socket) == code


async def test_a_coordinator_that_knows_no_such_instance_is_a_close_code_too(house: House) -> None:
    await house.instance()
    house.stub.refuse = PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "unknown")
    async with house.connect(INSTANCE) as socket:
        assert await _close_code(socket) == 4404


async def test_a_request_that_is_no_websocket_gets_an_answer_of_http(house: House) -> None:
    await house.instance()
    status, body = await house.call("GET", f"/api/v1/instances/{INSTANCE}/connect")
    assert (status, body["code"]) == (400, "invalid_request")
    broken = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "12"}
    status, body = await house.call("GET", f"/api/v1/instances/{INSTANCE}/connect", headers=broken)
    assert (status, body["code"]) == (400, "invalid_request")
    good = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    status, body = await house.call("GET", "/api/v1/elsewhere", headers={**broken, **good})
    assert (status, body["code"]) == (404, "not_found")


@pytest.mark.proves("API-KEYS-REVOKE-5S")
async def test_a_revoked_key_closes_its_streams_between_two_frames(house: House) -> None:
    await house.instance()
    house.stub.publish("one")
    async with house.connect(INSTANCE, 0) as socket:
        await _read(socket, 1)
        assert (await house.call("DELETE", f"/api/v1/keys/{house.key_id}", ADMIN_KEY))[0] == 204
        assert await _close_code(socket) == 4401
    assert (await house.call("GET", "/api/v1/instances"))[0] == 401


async def test_a_key_whose_notice_was_lost_is_turned_out_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.instance()

    async def lost(notice: Notice) -> None:
        assert notice.channel == CHANNEL_KEYS_REVOKED

    monkeypatch.setattr(house.discovery, "publish", lost)
    async with house.connect(INSTANCE) as socket:
        await socket.receive()
        await house.discovery.remove_key(house.key_id)
        assert await _close_code(socket) == 4401


async def test_notices_that_were_missed_turn_nobody_out(house: House) -> None:
    await house.instance()
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with house.connect(INSTANCE, 0) as socket, house.connect(INSTANCE, 0, headers=admin) as other:
        await house.discovery.publish(Notice(CHANNEL_KEYS_REVOKED, {}, missed=True))
        house.stub.publish("one")
        assert await _read(socket, 1)
        assert await _read(other, 1)


@pytest.mark.proves("WS-FRAME-TOO-LARGE-1009")
async def test_a_frame_that_is_too_large_closes_with_1009(house: House) -> None:
    await house.instance()
    async with house.connect(INSTANCE) as socket:
        await socket.receive()
        await socket.send_str("x" * (FRAME_MAX_BYTES + 1))
        assert await _close_code(socket) == 1009


async def test_a_gateway_that_stops_sends_its_clients_elsewhere(house: House) -> None:
    await house.instance()
    async with house.connect(INSTANCE) as socket:
        await socket.receive()
        stopping = asyncio.create_task(house.gateway.stop(1.0))
        assert await _close_code(socket) == 1012
        await stopping


async def test_a_coordinator_that_stays_away_ends_the_connection_with_1012(house: House) -> None:
    await house.instance()
    object.__setattr__(house.gateway.parts.options, "reattach_seconds", 0.3)
    async with house.connect(INSTANCE) as socket:
        await socket.receive()
        await house.stub.kill()
        assert await _close_code(socket) == 1012
    await house.stub.start()


async def test_a_stream_is_handed_over_only_as_fast_as_the_client_reads(house: House) -> None:
    await house.instance()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, limit=1024)
    writer.write(
        f"GET /api/v1/instances/{INSTANCE}/connect?after=0 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {house.key}\r\n\r\n".encode()
    )
    await wait_until(lambda: house.stub.streams)
    for _ in range(60):
        house.stub.publish("y" * 1_000_000)
        await asyncio.sleep(0)
    stream = house.stub.streams[0]
    await asyncio.sleep(0.2)
    assert stream.transport.get_write_buffer_size() > 40_000_000, "the coordinator must feel the slow client"
    received = 0
    while received < 60_000_000:
        received += len(await reader.read(1 << 20))
    writer.close()
    await wait_until(lambda: not house.stub.streams)
