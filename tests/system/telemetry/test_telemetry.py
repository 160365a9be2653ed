"""Traces, metrics and logs of a real platform, with a real collector beside it."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import opentelemetry.trace
import pytest
from prometheus_client.parser import text_string_to_metric_families

from podium.base.metric_names import METRICS, Daemon
from tests.agents import Runtime, in_every_language, source
from tests.system.api import Caller, Stream
from tests.system.daemons import Daemons
from tests.system.diminuendo.people import Process, Tenant
from tests.system.telemetry.collector import Collector, Seen, collecting
from tests.waiting import wait_until

METRICS_KEY = "reads-metrics-and-nothing-else"
COLLECTOR_KEY = "hush-collector"
PACKAGES = str(Path(opentelemetry.trace.__file__).parents[2])
"""Where OpenTelemetry is installed here; an agent of a user's has it from its requirements."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Daemons]:
    """A platform that sends to the collector, soon."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={COLLECTOR_KEY}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "METRICS_KEY": METRICS_KEY,
        "CHRONICLE_ENABLE": "false",
    }
    running = Daemons(tmp_path_factory.mktemp("platform"), environment)
    try:
        asyncio.run(running.start_all())
        yield running
    finally:
        running.close()


def client_context() -> tuple[str, str, str]:
    """The trace and span of a client, and its `traceparent`."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-01"


async def arrived(collector: Collector, trace: str, *names: str) -> list[Seen]:
    """The spans of a trace, when those with these names are there."""
    await wait_until(
        lambda: {*names} <= {span.name for span in collector.of_trace(trace)},
        20,
        f"{names} in {collector.of_trace(trace)}",
    )
    return collector.of_trace(trace)


async def made(
    caller: Caller, collector: Collector, code: Any, place: Path, agent_type: str, traceparent: str = ""
) -> str:
    """A new instance; its id."""
    deployment = await caller.deploy(place, agent_type, code)
    body = {"deployment_id": deployment, "environment": {"COLLECTOR": collector.url, "PACKAGES": PACKAGES}}
    answer = await caller("POST", "/api/v1/instances", json=body, headers={"traceparent": traceparent})
    assert answer.status == 201, answer.text
    return str(answer.body["instance_id"])


@in_every_language
@pytest.mark.proves("TRACE-ONE", "TRACE-GEN-AI")
async def test_one_trace_leads_from_the_client_to_the_agent(
    caller: Caller, collector: Collector, runtime: Runtime, tmp_path: Path, agent_type: str
) -> None:
    trace, client, traceparent = client_context()
    instance = await made(caller, collector, source("traced", runtime), tmp_path / "agent", agent_type, traceparent)
    answer = await caller(
        "POST",
        f"/api/v1/instances/{instance}/messages?wait=true",
        json={"text": "go"},
        headers={"traceparent": traceparent},
    )
    assert answer.status == 200, answer.text
    turn_name = f"invoke_agent {agent_type}"
    asked = ("POST /api/v1/instances/{instance_id}/messages", "POST /agent/{instance_id}/messages", turn_name, "think")
    created = ("POST /api/v1/instances", "POST /instances", "agent.start", "workspace.open")
    await arrived(collector, trace, *asked, *created, "execute_tool search")

    def chain(*names: str) -> list[Seen]:
        found = [collector.one(trace, name) for name in names]
        for above, below in pairwise(found):
            assert below.parent == above.id, (above, below)
        assert found[0].parent == client
        return found

    turn, start = chain(*asked)[2], chain(*created)[2]
    tool = collector.one(trace, "execute_tool search")
    assert tool.parent == turn.id
    assert tool.attributes["gen_ai.tool.name"] == "search"

    services = {span.name: span.service for span in collector.of_trace(trace)}
    assert services["POST /api/v1/instances"] == "podium-gateway"
    assert services[turn_name] == services["agent.start"] == "podium-coordinator"
    assert services["think"] == "agent"

    told = turn.attributes
    assert told["gen_ai.operation.name"] == "invoke_agent"
    assert (told["gen_ai.request.model"], told["gen_ai.provider.name"]) == ("some-model", "someone")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (10, 3)
    assert (told["podium.turn.outcome"], told["podium.instance_id"]) == ("done", instance)
    assert turn.events.count("gen_ai.usage") == turn.events.count("first output") == turn.events.count("delivered") == 1

    # What the agent and the programs it starts are told: at the start that span, in the turn this one.
    of_turn = f"00-{trace}-{turn.id}-01"
    assert answer.body["text"].split() == [f"00-{trace}-{start.id}-01", of_turn, of_turn]


@pytest.mark.proves("TRACE-STREAM")
async def test_a_stream_continues_the_trace_of_its_request_or_of_each_command_or_none(
    caller: Caller, collector: Collector, echo: str, agent_type: str
) -> None:
    instance = (await caller.create(echo))["instance_id"]
    turn_name = f"invoke_agent {agent_type}"
    path = f"/api/v1/instances/{instance}/connect"
    (of_request, client, traceparent), (of_command, sender, given) = client_context(), client_context()
    headers = {**caller.headers, "traceparent": traceparent}
    async with caller.session.ws_connect(caller.daemons.url + path, headers=headers) as socket:
        stream = Stream(socket)
        await stream.turn("by the connection")
        await stream.say("by the command", traceparent=given)
        await stream.until("checkpoint")
    async with caller.connect(instance) as stream:
        await stream.turn("by none")
        await stream.say("malformed", traceparent="00-zz")
        await stream.until("checkpoint")
    await arrived(collector, of_request, turn_name, f"GET {path.replace(instance, '{instance_id}')}")
    opened = collector.one(of_request, "GET /api/v1/instances/{instance_id}/connect")
    command = collector.one(of_request, "command process_message")
    assert (opened.parent, opened.service) == (client, "podium-gateway")
    assert command.parent == opened.id
    assert collector.one(of_request, turn_name).parent == command.id

    await arrived(collector, of_command, turn_name)
    assert collector.one(of_command, "command process_message").parent == sender

    def own() -> list[Seen]:
        others = {of_request, of_command}
        return [span for span in list(collector.spans) if span.name == turn_name and span.trace not in others]

    await wait_until(lambda: len(own()) == 2, 20, "two turns with traces of their own")
    assert len({span.trace for span in own()}) == 2


@pytest.mark.proves("TRACE-ONE")
async def test_a_trace_leads_through_diminuendo_as_well(
    caller: Caller, collector: Collector, echo: str, agent_type: str, tmp_path: Path
) -> None:
    assert echo.startswith(agent_type)
    trace, client, traceparent = client_context()
    process = Process(
        tmp_path / "diminuendo",
        caller.daemons.url,
        caller.key or "",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="50",
    )
    await process.start()
    try:
        tenant = Tenant(process, caller.session, "people")
        async with tenant.stranger(headers={"traceparent": traceparent}) as ann:
            await ann.ask("authenticate", token=process.key("ann", "people"))
            made = await ann.ask("create_session", agentType=agent_type)
            session = made["session"]["sessionId"]
            await ann.ask("join_session", sessionId=session)
            await ann.ask("run_turn", sessionId=session, text="hello")
            await ann.until("turn_complete", sessionId=session)
        async with caller.session.get(f"{process.url}/metrics") as answer:
            page = await answer.text()
    finally:
        process.close()
    turn = f"invoke_agent {agent_type}"
    await arrived(collector, trace, "create_session", "run_turn", turn)
    (asked, command, done) = (collector.one(trace, name) for name in ("run_turn", "command process_message", turn))
    assert (asked.service, asked.parent) == ("podium-diminuendo", client)
    assert asked.attributes["podium.session_id"] == session
    assert (command.parent, done.parent) == (asked.id, command.id)
    assert_named(page, "diminuendo")
    assert 'podium_client_messages_total{type="run_turn"} 1' in page


@pytest.mark.proves("LOGS-JOINED", "CONFIG-SECRETS-MASKED")
async def test_log_records_name_the_trace_the_request_and_the_instance_and_no_secret(caller: Caller, echo: str) -> None:
    trace, _, traceparent = client_context()
    instance = (await caller.create(echo))["instance_id"]
    headers = {"traceparent": traceparent, "x-request-id": "asked-by-a-test"}
    assert (await caller("GET", f"/api/v1/instances/{instance}/state", headers=headers)).status == 200

    def records(daemon: Literal["gateway", "coordinator"]) -> list[dict[str, Any]]:
        lines = [
            json.loads(line) for line in caller.daemons.said(daemon).splitlines(keepends=True) if line.endswith("\n")
        ]
        return [line for line in lines if line.get("trace_id") == trace and line["event"] == "http_request"]

    for daemon in ("gateway", "coordinator"):
        await wait_until(lambda daemon=daemon: records(daemon), 20, f"the request in the log of the {daemon}")  # type: ignore[misc]
        (record,) = records(daemon)
        assert (record["request_id"], record["instance_id"]) == ("asked-by-a-test", instance)
        assert COLLECTOR_KEY not in caller.daemons.said(daemon)
        assert METRICS_KEY not in caller.daemons.said(daemon)


@pytest.mark.proves("METRICS-NAMED")
async def test_both_daemons_have_metrics_for_prometheus_and_send_the_same_to_the_collector(
    caller: Caller, collector: Collector, echo: str
) -> None:
    instance = (await caller.create(echo))["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.turn("hello")
        gateway = (await caller.with_key(None)("GET", "/metrics")).text
    coordinator = await scrape(caller, METRICS_KEY)
    assert_named(gateway, "gateway")
    assert_named(coordinator, "coordinator")
    turns = ("turn_queue", "turn_first_output", "turn", "start", "mount", "commit")
    assert not [name for name in turns if f"podium_{name}_seconds_count" not in coordinator]
    assert "podium_proxy_buffered_bytes 0" in gateway

    await wait_until(lambda: ("podium-coordinator", "podium_turn_seconds") in collector.metrics, 20)
    sent = collector.metrics["podium-coordinator", "podium_turn_seconds"]
    assert (sent.unit, sent.description) == ("s", METRICS["turn_seconds"].meaning)
    assert sent.histogram.data_points[0].count >= 1
    assert collector.metrics["podium-gateway", "podium_connections_opened_total"].sum.is_monotonic
    assert all(sent["x-key"] == COLLECTOR_KEY for sent in collector.headers if "x-key" in sent)


@pytest.mark.proves("METRICS-KEY")
async def test_the_key_for_metrics_opens_nothing_else(caller: Caller) -> None:
    assert "401" in await scrape(caller, "another-key-of-some-length")
    assert "401" in await scrape(caller, METRICS_KEY, "/ready")
    assert "401" in await scrape(caller, METRICS_KEY, "/admin/status")


def assert_named(page: str, daemon: Daemon) -> None:
    """A page Prometheus reads has metrics of this daemon alone, each as its name says, and those every daemon has."""
    families = {family.name: family for family in text_string_to_metric_families(page)}
    named = {metric.name.removesuffix("_total"): metric for metric in METRICS.values() if daemon in metric.of}
    for name, family in families.items():
        assert (family.type, family.documentation) == (named[name].kind, named[name].meaning)
    assert {"podium_loop_lag_seconds", "podium_disk_free_ratio", "podium_request_seconds"} <= set(families)


async def scrape(caller: Caller, key: str, path: str = "/metrics") -> str:
    """What the coordinator answers to the bearer of a key: its text."""
    url = f"http://127.0.0.1:{caller.daemons.coordinator_port}{path}"
    async with caller.session.get(url, headers={"Authorization": f"Bearer {key}"}) as answer:
        return await answer.text()
