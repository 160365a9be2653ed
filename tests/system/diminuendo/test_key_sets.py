"""Fetching an identity provider's keys over real HTTP."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from diminuendo.auth.errors import KeysAwayError
from diminuendo.auth.fetching import SET_MAX_BYTES, fetch_from
from tests.waiting import free_port


async def _keys(_: web.Request) -> web.Response:
    return web.json_response({"keys": []})


async def _moved(_: web.Request) -> web.Response:
    raise web.HTTPFound("/keys")


async def _broken(_: web.Request) -> web.Response:
    raise web.HTTPInternalServerError


async def _huge(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * (SET_MAX_BYTES + 1))


@pytest.fixture
async def address() -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(
        [web.get("/keys", _keys), web.get("/moved", _moved), web.get("/broken", _broken), web.get("/huge", _huge)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def test_a_set_is_fetched_as_it_is(address: str) -> None:
    assert await fetch_from(f"{address}/keys")() == b'{"keys": []}'


@pytest.mark.parametrize(
    ("path", "why"), [("moved", "does not give"), ("broken", "does not give"), ("huge", "too many")]
)
async def test_whatever_is_no_set_is_no_answer(address: str, path: str, why: str) -> None:
    with pytest.raises(KeysAwayError, match=why):
        await fetch_from(f"{address}/{path}")()


async def test_a_provider_nobody_answers_for_is_away() -> None:
    with pytest.raises(KeysAwayError, match="can't be reached"):
        await fetch_from(f"http://127.0.0.1:{free_port()}/keys")()
