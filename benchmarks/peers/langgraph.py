"""LangGraph's development server with an echo graph: time to ready, first event of a run, runs per second at 32 clients."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.figures import median
from benchmarks.peers.install import python_peer
from benchmarks.peers.ready import seconds_until_ready

_GRAPH = """
from typing import TypedDict
from langgraph.graph import StateGraph, START, END

class State(TypedDict):
    text: str

async def echo(state: State) -> State:
    return {"text": "seen " + state["text"]}

graph = StateGraph(State).add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END).compile()
"""


@asynccontextmanager
async def _server(directory: Path, port: int) -> AsyncIterator[tuple[str, float]]:
    executable = python_peer("langgraph", "langgraph-cli[inmem]") / "langgraph"
    (directory / "graph.py").write_text(_GRAPH)
    config = {"dependencies": ["."], "graphs": {"echo": "./graph.py:graph"}}
    (directory / "langgraph.json").write_text(json.dumps(config))
    started = time.perf_counter()
    environment = {**os.environ, "LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
    process = await asyncio.create_subprocess_exec(
        str(executable), "dev", "--no-browser", "--no-reload", "--port", str(port), "--n-jobs-per-worker", "32",
        cwd=directory, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        yield url, await seconds_until_ready("langgraph dev", url + "/ok", process, started)
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 15)


async def _first_event(session: aiohttp.ClientSession, url: str) -> float:
    async with session.post(f"{url}/threads", json={}) as answer:
        thread = (await answer.json())["thread_id"]
    started = time.perf_counter()
    body = {"assistant_id": "echo", "input": {"text": "x"}, "stream_mode": ["updates"]}
    async with session.post(f"{url}/threads/{thread}/runs/stream", json=body) as answer:
        async for line in answer.content:
            if b"echo" in line:
                return time.perf_counter() - started
    return float("nan")


async def _turns_per_second(session: aiohttp.ClientSession, url: str, clients: int, seconds: float) -> float:
    done = 0
    end = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal done
        async with session.post(f"{url}/threads", json={}) as answer:
            thread = (await answer.json())["thread_id"]
        while time.perf_counter() < end:
            body = {"assistant_id": "echo", "input": {"text": "x"}}
            async with session.post(f"{url}/threads/{thread}/runs/wait", json=body) as answer:
                await answer.read()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - started)


async def measure(directory: Path, port: int, *, clients: int = 32, seconds: float = 5.0) -> dict[str, float]:
    """`ready_s`, `first_event_ms` (median of 5), `turns_per_s`.

    Raises:
        PeerUnavailableError: it can't be had here.
    """
    async with _server(directory, port) as (url, ready):
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            first = [await _first_event(session, url) for _ in range(5)]
            rate = await _turns_per_second(session, url, clients, seconds)
    return {"ready_s": ready, "first_event_ms": median(first) * 1000, "turns_per_s": rate}
