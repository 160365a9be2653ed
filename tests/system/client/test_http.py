"""The client against a real server that answers what the test wants."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from podium.client import ClientSettings, PodiumClient, PodiumConnection, PodiumConnectionError, Timing
from podium.wire.errors import ErrorCode, PodiumError, as_json
from podium.wire.rest import RequestAnswer

INSTANCE = {
    "instance_id": "inst-aaaaaaaaaaaaaaaa",
    "agent_id": "me",
    "deployment_id": "echo:1.0.0@12345678",
    "status": "ready",
    "coordinator_id": "c",
    "created_at": 1,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StubGateway:
    """Serves what `answers` holds, one after the other, the last for ever; remembers the requests."""

    def __init__(self) -> None:
        self.answers: list[web.Response | Handler] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.slept: list[float] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not isinstance(answer, web.Response):
            return await answer(request)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=as_json(value), content_type="application/json")


def _problem(code: ErrorCode) -> web.Response:
    problem = PodiumError(code, "as the test wants").problem()
    return web.Response(status=problem.status, body=as_json(problem), content_type="application/problem+json")


@pytest.fixture
async def gateway() -> AsyncIterator[StubGateway]:
    stub = StubGateway()
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    stub.url = f"http://{host}:{port}"
    yield stub
    await runner.cleanup()


@pytest.fixture
async def podium(gateway: StubGateway) -> AsyncIterator[PodiumClient]:
    async with PodiumClient(
        ClientSettings(gateway.url, "pod_test"), Timing(lambda: 0.0, gateway.sleep, lambda: 0.0)
    ) as client:
        yield client


async def test_create_names_the_deployment_as_the_seed_does(gateway: StubGateway, podium: PodiumClient) -> None:
    gateway.answers = [_json(INSTANCE, 201)]
    made = await podium.create_instance("echo", "me", {"A": "1"}, {"B": "2"})
    assert made == ("inst-aaaaaaaaaaaaaaaa", "echo:1.0.0@12345678")
    method, path, headers, body = gateway.seen[0]
    assert (method, path) == ("POST", "/api/v1/instances")
    assert headers["Authorization"] == "Bearer pod_test"
    assert body == as_json(
        {"deployment_id": "echo:1.0.0@local", "agent_id": "me", "secrets": {"A": "1"}, "environment": {"B": "2"}}
    )


async def test_a_create_that_is_repeated_carries_the_same_idempotency_key(
    gateway: StubGateway, podium: PodiumClient
) -> None:
    gateway.answers = [_problem(ErrorCode.NO_COORDINATOR_AVAILABLE), _problem(ErrorCode.DRAINING), _json(INSTANCE)]
    await podium.create_instance("echo")
    keys = {headers["Idempotency-Key"] for _, _, headers, _ in gateway.seen}
    assert (len(gateway.seen), len(keys)) == (3, 1)


async def test_an_open_circuit_sends_nothing(gateway: StubGateway, podium: PodiumClient) -> None:
    gateway.answers = [_problem(ErrorCode.NO_COORDINATOR_AVAILABLE)]
    for _ in range(5):
        with pytest.raises(PodiumConnectionError):
            await podium.create_instance("echo")
    sent = len(gateway.seen)
    assert sent == 20
    with pytest.raises(PodiumConnectionError, match="not asked again"):
        await podium.create_instance("echo")
    assert len(gateway.seen) == sent


async def test_stopping_what_is_gone_is_a_success(gateway: StubGateway, podium: PodiumClient) -> None:
    gateway.answers = [_problem(ErrorCode.INSTANCE_NOT_FOUND)]
    await podium.stop_instance("inst-aaaaaaaaaaaaaaaa")
    assert gateway.seen[0][:2] == ("DELETE", "/api/v1/instances/inst-aaaaaaaaaaaaaaaa")


@pytest.mark.parametrize(("status", "alive"), [(200, True), (404, False), (503, False)])
async def test_the_probe_asks_once_and_never_raises(
    gateway: StubGateway, podium: PodiumClient, status: int, alive: bool
) -> None:
    gateway.answers = [_json({}, status)]
    assert await podium.is_alive("inst-aaaaaaaaaaaaaaaa") is alive
    assert len(gateway.seen) == 1


async def test_a_probe_of_a_server_that_is_not_there_is_false() -> None:
    async with PodiumClient(ClientSettings("http://127.0.0.1:1", "k")) as client:
        assert await client.is_alive("inst-aaaaaaaaaaaaaaaa") is False


async def test_an_error_carries_operation_status_code_and_what_the_agent_logged(
    gateway: StubGateway, podium: PodiumClient
) -> None:
    failed = PodiumError(ErrorCode.AGENT_START_FAILED, "on_init raised ValueError", logs=["Traceback"]).problem()
    gateway.answers = [_json(failed, 422)]
    with pytest.raises(PodiumConnectionError) as caught:
        await podium.create_instance("echo")
    error = caught.value
    assert (error.operation, error.status, error.code) == ("create_instance", 422, ErrorCode.AGENT_START_FAILED)
    assert (error.retryable, error.logs, len(gateway.seen)) == (False, ["Traceback"], 1)


async def test_an_answer_to_a_question_is_sent_once(gateway: StubGateway, podium: PodiumClient) -> None:
    gateway.answers = [_problem(ErrorCode.COORDINATOR_UNREACHABLE)]
    with pytest.raises(PodiumConnectionError):
        await podium.instances.answer("inst-aaaaaaaaaaaaaaaa", "req-1", RequestAnswer(option_id="yes"))
    assert [body for *_, body in gateway.seen] == [b'{"option_id":"yes"}']


async def test_lists_are_read_to_their_end(gateway: StubGateway, podium: PodiumClient) -> None:
    pages = [{"items": [INSTANCE], "next_cursor": "n"}, {"items": [INSTANCE], "next_cursor": None}]
    gateway.answers = [_json(page) for page in pages]
    assert len([item async for item in podium.instances.list(status="ready")]) == 2
    assert gateway.seen[1][1] == "/api/v1/instances?status=ready&limit=1000&cursor=n"


async def test_an_upload_is_streamed_tells_its_progress_and_is_repeated_after_a_failure(
    gateway: StubGateway, podium: PodiumClient, tmp_path: Path
) -> None:
    bundle = tmp_path / "echo-1.0.0.tar.gz"
    bundle.write_bytes(b"x" * 600_000)
    deployment = {"deployment_id": "echo:1.0.0@12345678", "agent_type": "echo", "version": "1.0.0", "size": 600_000}
    made = {**deployment, "checksum": "sha256:1", "runtime": "python", "created_at": 1}
    gateway.answers = [_problem(ErrorCode.REGISTRY_UNAVAILABLE), _json(made, 201)]
    told: list[tuple[int, int]] = []
    answer = await podium.deployments.upload(bundle, "echo", "1.0.0", lambda sent, size: told.append((sent, size)))
    assert answer.deployment_id == "echo:1.0.0@12345678"
    assert told == [(262144, 600000), (524288, 600000), (600000, 600000)] * 2
    body = gateway.seen[1][3]
    assert b'name="agent_type"\r\n\r\necho' in body
    assert b"x" * 600_000 in body


async def test_followed_logs_come_as_records(gateway: StubGateway, podium: PodiumClient) -> None:
    async def follow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": ping\n\n")
        record = {"id": 1, "ts": 2, "level": "info", "message": "hi", "module": "m", "source": "agent"}
        await response.write(b"id: 1\ndata: " + as_json(record)[:20])
        await response.write(as_json(record)[20:] + b"\n\n")
        return response

    gateway.answers = [follow]
    records = [record async for record in podium.instances.follow_logs("inst-aaaaaaaaaaaaaaaa")]
    assert [(record.id, record.message) for record in records] == [(1, "hi")]


async def test_file_requests_use_the_seeds_routes(gateway: StubGateway, podium: PodiumClient) -> None:
    content = {"path": "a/b.txt", "content": "aGk=", "encoding": "base64", "size": 2, "hash": "h", "iteration": 3}
    gateway.answers = [
        _json({"path": "", "iteration": 3, "entries": [{"name": "b.txt", "path": "a/b.txt", "type": "file"}]}),
        _json(content),
        _json({"path": "a/b.txt", "iterations": [{"iteration": 3}, {"iteration": 1}]}),
        _json(content),
    ]
    instance_id = "inst-aaaaaaaaaaaaaaaa"
    assert [entry.name for entry in await podium.list_files(instance_id, "a", 2)] == ["b.txt"]
    assert (await podium.read_file(instance_id, "a/b.txt")).data == b"hi"
    assert [meta.iteration for meta in await podium.file_history(instance_id, "a/b.txt")] == [3, 1]
    assert (await podium.file_at_iteration(instance_id, "a/b.txt", 3)).iteration == 3
    base = f"/api/v1/instances/{instance_id}/files"
    assert [path for _, path, _, _ in gateway.seen] == [
        f"{base}?path=a&depth=2",
        f"{base}/a/b.txt",
        f"{base}/a/b.txt/history",
        f"{base}/a/b.txt/at/3",
    ]


async def test_an_answer_that_is_no_json_is_an_error_of_the_server(gateway: StubGateway, podium: PodiumClient) -> None:
    gateway.answers = [web.Response(body=b"<html>")]
    with pytest.raises(PodiumConnectionError) as caught:
        await podium.config.get()
    assert caught.value.code is ErrorCode.INTERNAL


async def test_a_stream_over_a_real_socket_reconnects_and_resumes(gateway: StubGateway, podium: PodiumClient) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        after = int(request.query.get("after", "0"))
        greeting = {**INSTANCE, "protocol": 1, "last_seq": 0}
        await socket.send_str(as_json({"messageType": "connected", "content": greeting}).decode())
        for seq in (after + 1, after + 2):
            event = {"messageType": "stream_update", "content": {"text": str(seq)}, "seq": seq}
            await socket.send_str(as_json(event).decode())
        await socket.close(code=4409 if after >= 4 else 1012, message=b"over")
        return socket

    gateway.answers = [serve]
    texts: list[str] = []

    async def read(stream: PodiumConnection) -> None:
        async for event in stream.events:
            texts.append(event.text)

    async with await podium.connect("inst-aaaaaaaaaaaaaaaa", after=0) as stream:
        with pytest.raises(PodiumConnectionError, match="over"):
            await read(stream)
    assert texts == ["1", "2", "3", "4", "5", "6"]
    assert [path.partition("?")[2] for _, path, _, _ in gateway.seen] == ["after=0", "after=2", "after=4"]


async def test_a_stream_to_nowhere_says_so(gateway: StubGateway, podium: PodiumClient) -> None:
    gateway.answers = [_problem(ErrorCode.INSTANCE_NOT_FOUND)]
    with pytest.raises(PodiumConnectionError) as caught:
        await podium.connect("inst-aaaaaaaaaaaaaaaa")
    assert (caught.value.code, len(gateway.seen)) == (ErrorCode.INSTANCE_NOT_FOUND, 1)
