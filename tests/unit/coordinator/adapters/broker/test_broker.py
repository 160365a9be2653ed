"""The broker against real hosts on the loopback: streams both ways, sockets that switch protocols, and what it refuses."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from podium.coordinator.adapters.broker import BrokerSettings, LoopbackBroker
from podium.coordinator.domain.ports import Brokered
from podium.wire.errors import ErrorCode, PodiumError
from tests.contract.servers import certificates

SECRET = "a-real-token"
BODY = b"x" * 900_000


async def echo(request: web.Request) -> web.StreamResponse:
    """The token it was told, and as many bytes as it got, in pieces."""
    got = await request.read()
    answer = web.StreamResponse(headers={"X-Heard": request.headers.get("Authorization", "")})
    await answer.prepare(request)
    for start in range(0, len(got), 500_000):
        await answer.write(got[start : start + 500_000])
    await answer.write_eof()
    return answer


async def talk(request: web.Request) -> web.WebSocketResponse:
    """A WebSocket that says the token, then what it hears."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str(request.headers.get("Authorization", ""))
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def refuse(request: web.Request) -> web.Response:
    """Answers before it has heard all."""
    return web.Response(status=413, text="too much")


class Ground(NamedTuple):
    """A broker, an instance's access to it, the host it may tell its secret, and a client that trusts what agents trust."""

    broker: LoopbackBroker
    given: Brokered
    port: int
    session: aiohttp.ClientSession
    trust: ssl.SSLContext

    @property
    def proxy(self) -> str:
        return self.given.environment["HTTPS_PROXY"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.given.secrets['TOKEN']}"}

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the host."""
    directory = tmp_path_factory.mktemp("outside")
    certificates(directory)
    return directory


@pytest.fixture
async def ground(authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    """Everything at work."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    app = web.Application(client_max_size=10**8)
    app.router.add_route("*", "/echo", echo)
    app.router.add_get("/talk", talk)
    app.router.add_post("/refuse", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    broker = LoopbackBroker(BrokerSettings(b"key", tmp_path / "broker", connections=3))
    given = await broker.open("inst-1", "alice", {"TOKEN": SECRET}, {"TOKEN": [f"localhost:{port}"]})
    trust = ssl.create_default_context(cafile=given.environment["SSL_CERT_FILE"])
    async with aiohttp.ClientSession() as session:
        yield Ground(broker, given, port, session, trust)
    await broker.stop()
    await runner.cleanup()


async def test_bodies_of_any_size_stream_both_ways_on_one_connection(ground: Ground) -> None:
    for _ in range(2):
        sent: dict[str, Any] = {"data": BODY, "headers": ground.headers, "proxy": ground.proxy, "ssl": ground.trust}
        async with ground.session.post(ground.url("/echo"), **sent) as answer:
            assert await answer.read() == BODY
            assert answer.headers["X-Heard"] == f"Bearer {SECRET}"


async def test_a_websocket_goes_through(ground: Ground) -> None:
    opened = ground.session.ws_connect(
        ground.url("/talk"), headers=ground.headers, proxy=ground.proxy, ssl=ground.trust
    )
    async with opened as socket:
        assert await socket.receive_str() == f"Bearer {SECRET}"
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"


async def test_an_answer_before_the_end_of_the_request_is_heard(ground: Ground) -> None:
    sent: dict[str, Any] = {"data": BODY, "proxy": ground.proxy, "ssl": ground.trust}
    async with ground.session.post(ground.url("/refuse"), **sent) as answer:
        assert (answer.status, await answer.text()) == (413, "too much")


async def test_a_request_for_another_host_on_an_allowed_connection_is_refused(ground: Ground) -> None:
    headers = {**ground.headers, "Host": "evil.example.com"}
    async with ground.session.get(ground.url("/echo"), headers=headers, proxy=ground.proxy, ssl=ground.trust) as answer:
        assert answer.status == 421
        assert SECRET not in await answer.text()
    traced = ground.session.request(
        "TRACE", ground.url("/echo"), headers=ground.headers, proxy=ground.proxy, ssl=ground.trust
    )
    async with traced as answer:
        assert answer.status == 400


@pytest.mark.parametrize("who", ["nobody", "inst-1:wrong", "inst-2:wrong"])
async def test_strangers_are_refused(ground: Ground, who: str) -> None:
    proxy = ground.proxy.replace(ground.proxy.split("//")[1].split("@")[0], who)
    with pytest.raises(aiohttp.ClientHttpProxyError) as refused:
        await ground.session.get(ground.url("/echo"), proxy=proxy, ssl=ground.trust)
    assert refused.value.status == 407


async def test_a_host_that_is_away_is_named(ground: Ground) -> None:
    gone = await ground.broker.open("inst-2", "bob", {"TOKEN": SECRET}, {"TOKEN": ["localhost:1"]})
    with pytest.raises(aiohttp.ClientHttpProxyError) as refused:
        await ground.session.get("https://localhost:1/", proxy=gone.environment["HTTPS_PROXY"], ssl=ground.trust)
    assert refused.value.status == 502


async def test_connections_are_bounded_and_end_with_the_process(ground: Ground) -> None:
    async def talking() -> aiohttp.ClientWebSocketResponse:
        socket = await ground.session.ws_connect(ground.url("/talk"), proxy=ground.proxy, ssl=ground.trust)
        await socket.receive_str()
        return socket

    held = [await talking() for _ in range(3)]
    with pytest.raises(aiohttp.ClientHttpProxyError) as refused:
        await talking()
    assert refused.value.status == 503
    ground.broker.close("inst-1")
    async with asyncio.timeout(10):
        for socket in held:
            assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)


async def test_plain_requests_and_nonsense_are_answered_with_what_to_do(ground: Ground) -> None:
    async with ground.session.get("http://localhost:1/", proxy=ground.proxy) as answer:
        assert answer.status == 405
    reader, writer = await asyncio.open_connection("127.0.0.1", int(ground.proxy.rsplit(":", 1)[1]))
    writer.write(b"\0" * 100_000)
    assert await reader.read() == b""
    writer.close()


async def test_a_secret_that_is_no_header_is_refused_by_name_alone(ground: Ground) -> None:
    with pytest.raises(PodiumError, match="set TOKEN anew") as refused:
        await ground.broker.open("inst-3", "eve", {"TOKEN": "a\r\nb"}, {"TOKEN": ["api.example.com"]})
    assert refused.value.code is ErrorCode.AGENT_START_FAILED
    assert "\r" not in refused.value.detail


async def test_what_is_declared_and_not_given_needs_no_broker(tmp_path: Path) -> None:
    broker = LoopbackBroker(BrokerSettings(b"key", tmp_path))
    given = await broker.open("inst-1", "alice", {"PLAIN": "seen"}, {"TOKEN": ["api.example.com"]})
    assert given == Brokered({"PLAIN": "seen"}, {})
    await broker.stop()
