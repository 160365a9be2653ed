"""The life of instances and agents by REST: create, continue, sleep, wake, fail, stop, erase."""

import asyncio
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.agents import Runtime, Source, in_every_language, source
from tests.system.api import Caller

NOT_LOADABLE: dict[str, dict[Runtime, str]] = {
    "raises": {"python": "raise ImportError('nothing works')", "typescript": "throw new Error('nothing works');"},
    "imports what is not there": {"python": "import nowhere", "typescript": "import 'nowhere';"},
    "has no agent": {"python": "x = 1", "typescript": "export const x = 1;"},
    "is no code": {"python": "syntax error here", "typescript": "syntax error here"},
}


@pytest.fixture
async def careful(caller: Caller, agent_type: str, runtime: Runtime, tmp_path: Path) -> str:
    """A deployment whose agent tells what it sees."""
    extra = '[config]\nmodel = "from manifest"\nlayer = "manifest"\n[process]\nrestart = { attempts = 2, window = "30s", backoff = "20ms" }\n'
    return await caller.deploy(tmp_path / "careful", agent_type, source("careful", runtime), extra=extra)


async def _status(caller: Caller, instance_id: str, *wanted: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            info = (await caller("GET", f"/api/v1/instances/{instance_id}")).body
            if info["status"] in wanted:
                return dict(info)
            await asyncio.sleep(0.02)


@pytest.mark.proves("INSTANCE-CREATE-ANSWERS-READY")
@in_every_language
async def test_create_answers_when_the_agent_is_ready(caller: Caller, careful: str) -> None:
    instance = await caller.create(careful)
    assert set(instance) == {"instance_id", "agent_id", "deployment_id", "status", "coordinator_id", "created_at"}
    assert instance["status"] == "ready"
    info = (await caller("GET", f"/api/v1/instances/{instance['instance_id']}")).body
    assert info["queue_depth"] == 0
    assert info["turn"] is None
    assert info["resources"]["rss_bytes"] > 0
    assert info["workspace"]["backend"] in {"fuse", "watch"}
    assert info["config"]["model"] == "from manifest"
    listed = (await caller("GET", "/api/v1/instances")).body["items"]
    assert [item["instance_id"] for item in listed] == [instance["instance_id"]]


@pytest.mark.proves("INSTANCE-START-FAILED-LOGS")
@in_every_language
async def test_an_agent_that_fails_to_start_is_told_with_its_last_log_lines(caller: Caller, careful: str) -> None:
    answer = await caller("POST", "/api/v1/instances", json={"deployment_id": careful, "config": {"fail": True}})
    assert (answer.status, answer.code) == (422, "agent_start_failed")
    said = "\n".join(answer.body["logs"])
    assert "told to fail" in said
    assert "about to fail" in said
    assert len(answer.body["logs"]) <= 50


@pytest.mark.proves("INSTANCE-BAD-ENTRY")
@pytest.mark.parametrize("mistake", NOT_LOADABLE)
@in_every_language
async def test_a_module_that_can_not_be_loaded_is_a_start_failure(
    caller: Caller, agent_type: str, tmp_path: Path, runtime: Runtime, mistake: str
) -> None:
    code = Source(runtime, NOT_LOADABLE[mistake][runtime])
    deployment = await caller.deploy(tmp_path / "bad", agent_type, code)
    answer = await caller("POST", "/api/v1/instances", json={"deployment_id": deployment})
    assert (answer.status, answer.code) == (422, "agent_start_failed")
    assert answer.body["logs"]


@pytest.mark.proves("CREATE-IDEMPOTENCY-KEY")
async def test_the_same_idempotency_key_gives_the_same_instance_also_while_it_is_made(
    caller: Caller, careful: str
) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"deployment_id": careful}
    answers = await asyncio.gather(*(caller("POST", "/api/v1/instances", json=body, headers=headers) for _ in range(6)))
    assert {answer.status for answer in answers} <= {200, 201}
    assert len({answer.body["instance_id"] for answer in answers}) == 1
    other = await caller("POST", "/api/v1/instances", json={**body, "agent_id": "something-else"}, headers=headers)
    assert (other.status, other.code) == (409, "idempotency_conflict")
    long = await caller("POST", "/api/v1/instances", json=body, headers={"Idempotency-Key": "x" * 256})
    assert (long.status, long.code) == (400, "invalid_request")


@pytest.mark.proves("AGENT-CONTINUES", "AGENT-IN-USE-409")
@in_every_language
async def test_an_agent_id_that_exists_continues_with_state_conversation_and_numbers(
    caller: Caller, careful: str
) -> None:
    agent_id = f"agent_{uuid.uuid4().hex[:8]}"
    first = await caller.create(careful, agent_id=agent_id)
    async with caller.connect(first["instance_id"], after=0) as stream:
        assert await stream.turn("x") == "1"
        await stream.turn("write")
    again = await caller("POST", "/api/v1/instances", json={"deployment_id": careful, "agent_id": agent_id})
    assert (again.status, again.body["instance_id"]) == (200, first["instance_id"])
    assert (await caller("DELETE", f"/api/v1/agents/{agent_id}")).code == "agent_in_use"
    assert (await caller("DELETE", f"/api/v1/instances/{first['instance_id']}")).status == 204
    assert (await caller("DELETE", f"/api/v1/instances/{first['instance_id']}")).status == 404
    second = await caller.create(careful, agent_id=agent_id)
    assert second["instance_id"] != first["instance_id"]
    async with caller.connect(second["instance_id"], after=0) as stream:
        await stream.turn("read")
        end = [e for e in stream.seen if e["messageType"] == "stream_end"][-1]
        while end["content"]["text"] != "kept":
            await stream.until("checkpoint")
            end = [e for e in stream.seen if e["messageType"] == "stream_end"][-1]
        numbers = [event["seq"] for event in stream.seen]
        assert numbers == list(range(1, len(numbers) + 1))
    state = (await caller("GET", f"/api/v1/instances/{second['instance_id']}/state")).body
    assert state["state"]["count"] == 3
    assert state["state"]["hooks"] == ["init", "shutdown", "init"]
    said = (await caller("GET", f"/api/v1/instances/{second['instance_id']}/messages")).body["items"]
    assert [m["text"] for m in said if m["role"] == "user"] == ["x", "write", "read"]


@pytest.mark.proves("AGENT-DELETE-ERASES")
@in_every_language
async def test_deleting_an_agent_erases_everything_it_had(caller: Caller, careful: str) -> None:
    instance = await caller.create(careful)
    agent_id = instance["agent_id"]
    async with caller.connect(instance["instance_id"]) as stream:
        await stream.turn("write")
    await caller("DELETE", f"/api/v1/instances/{instance['instance_id']}")
    assert (caller.daemons.data / "agents" / agent_id).exists()
    assert (await caller("DELETE", f"/api/v1/agents/{agent_id}")).status == 204
    assert not (caller.daemons.data / "agents" / agent_id).exists()
    assert (await caller("GET", f"/api/v1/agents/{agent_id}")).code == "agent_not_found"


@pytest.mark.proves("INSTANCE-SLEEPS-AND-WAKES")
@in_every_language
async def test_an_idle_instance_sleeps_without_a_process_and_wakes_on_a_message(caller: Caller, careful: str) -> None:
    instance = (await caller.create(careful, idle_timeout="300ms"))["instance_id"]
    async with caller.connect(instance) as stream:
        pid = int(await stream.turn("pid"))
    asleep = await _status(caller, instance, "asleep")
    assert asleep["resources"]["processes"] == 0
    assert (await caller("GET", f"/api/v1/instances/{instance}/state")).body["state"]["count"] == 1
    sent = await caller("POST", f"/api/v1/instances/{instance}/messages?wait=true", json={"text": "x"})
    assert (sent.status, sent.body["text"]) == (200, "2")
    assert pid > 0


@pytest.mark.proves("AGENT-CRASH-RERUN-ATTEMPT")
@in_every_language
async def test_a_turn_that_was_cut_off_runs_again_with_a_higher_attempt(caller: Caller, careful: str) -> None:
    instance = (await caller.create(careful))["instance_id"]
    async with caller.connect(instance, after=0) as stream:
        await stream.command("process_message", content={"text": "die", "until": 2})
        await stream.until("checkpoint")
    starts = [e["content"]["attempt"] for e in stream.seen if e["messageType"] == "stream_start"]
    assert starts == [1, 2]
    assert (await caller("GET", f"/api/v1/instances/{instance}")).body["restarts"] == 1


@pytest.mark.proves("RESTART-POLICY-GIVES-UP")
@in_every_language
async def test_an_agent_that_keeps_dying_is_given_up_with_the_reason(caller: Caller, careful: str) -> None:
    instance = (await caller.create(careful))["instance_id"]
    async with caller.connect(instance, after=0) as stream:
        await stream.say("die")
        error = await stream.until("error")
        assert error["content"]["message"]
        await stream.closed()
    gone = await caller("GET", f"/api/v1/instances/{instance}")
    assert (gone.status, gone.code) == (409, "instance_failed")
    assert "2 restarts" in gone.body["detail"]
    async with asyncio.timeout(5):
        while [i["status"] for i in (await caller("GET", "/api/v1/instances")).body["items"]] != ["failed"]:
            await asyncio.sleep(0.02)
    again = await caller("POST", f"/api/v1/instances/{instance}/messages", json={"text": "x"})
    assert again.status == 409


@pytest.mark.proves("AGENT-KILL9-SERVES-AGAIN")
@in_every_language
async def test_a_killed_process_is_replaced_and_the_state_is_there(caller: Caller, careful: str) -> None:
    instance = (await caller.create(careful))["instance_id"]
    async with caller.connect(instance) as stream:
        assert await stream.turn("x") == "1"
        for pid in _leaves(caller.daemons.pid("coordinator"), instance):
            os.kill(pid, signal.SIGKILL)
        assert await stream.turn("x") == "2"


def _leaves(coordinator: int, instance_id: str) -> list[int]:
    """Processes below the coordinator whose own environment names the instance."""
    found, todo = [], [coordinator]
    while todo:
        pid = todo.pop()
        try:
            todo += [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            command = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if pid != coordinator and (instance_id.encode() in command or not _has_children(pid)):
            found.append(pid)
    return found


def _has_children(pid: int) -> bool:
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text().strip())


@pytest.mark.proves("ENVIRONMENT-PRECEDENCE", "SECRETS-REACH-AGENT")
@in_every_language
async def test_later_layers_of_the_environment_win(caller: Caller, careful: str, agent_type: str) -> None:
    put = await caller("PUT", f"/api/v1/secrets/{agent_type}", json={"A": "type", "B": "type", "C": "type"})
    assert put.status in (200, 204)
    instance = await caller.create(careful, environment={"A": "env", "D": "env"}, secrets={"B": "call"})
    async with caller.connect(instance["instance_id"]) as stream:
        seen = {}
        for name in ("A", "B", "C", "D", "AGENT_WORKSPACE", "CLUSTER_KEY", "ADMIN_API_KEY", "SECRETS_KEY"):
            await stream.command("process_message", content={"text": "env", "name": name})
            seen[name] = (await stream.until("stream_end"))["content"]["text"]
        await stream.command("process_message", content={"text": "secret", "name": "B"})
        assert (await stream.until("stream_end"))["content"]["text"] == "call"
    assert (seen["A"], seen["B"], seen["C"], seen["D"]) == ("type", "call", "type", "env")
    assert seen["AGENT_WORKSPACE"] != "absent"
    assert [seen[name] for name in ("CLUSTER_KEY", "ADMIN_API_KEY", "SECRETS_KEY")] == ["absent"] * 3


@pytest.mark.proves("SECRETS-SEALED")
@in_every_language
async def test_secret_values_are_sealed_at_rest_and_never_come_back(
    caller: Caller, careful: str, agent_type: str
) -> None:
    value = f"value-{uuid.uuid4().hex}"
    await caller("PUT", f"/api/v1/secrets/{agent_type}", json={"TOKEN": value})
    await caller.create(careful, secrets={"OTHER": value})
    assert (await caller("GET", f"/api/v1/secrets/{agent_type}")).status == 403
    tenant = (await caller.admin("GET", "/api/v1/agents")).body["items"][0]["tenant_id"]
    shown = await caller.admin("GET", f"/api/v1/secrets/{agent_type}", headers={"Podium-Tenant": tenant})
    assert value not in shown.text
    for path in caller.daemons.directory.rglob("*"):
        if path.is_file() and path.stat().st_size < 50_000_000:
            assert value.encode() not in path.read_bytes(), path
    gone = await caller("DELETE", f"/api/v1/secrets/{agent_type}/TOKEN")
    assert gone.status == 204
    assert (await caller("DELETE", f"/api/v1/secrets/{agent_type}/TOKEN")).code == "secret_not_found"


@pytest.mark.proves("CONFIG-PRECEDENCE")
@in_every_language
async def test_configuration_layers_and_runtime_changes_reach_the_agent(caller: Caller, careful: str) -> None:
    admin = caller.admin
    assert (await admin("PUT", "/api/v1/config", json={"config": {"layer": "runtime", "extra": 1}})).status == 200
    try:
        instance = await caller.create(careful)
        called = await caller.create(careful, config={"layer": "call"})
        for made, wanted in ((instance, "runtime"), (called, "call")):
            async with caller.connect(made["instance_id"]) as stream:
                await stream.command("process_message", content={"text": "config", "name": "layer"})
                assert (await stream.until("stream_end"))["content"]["text"] == wanted
        await admin("PUT", "/api/v1/config", json={"config": {"layer": "changed"}})
        async with asyncio.timeout(10):
            while "config" not in (await _state(caller, instance))["hooks"]:
                await asyncio.sleep(0.05)
        async with caller.connect(instance["instance_id"]) as stream:
            await stream.command("process_message", content={"text": "config", "name": "layer"})
            assert (await stream.until("stream_end"))["content"]["text"] == "changed"
    finally:
        await admin("PUT", "/api/v1/config", json={"config": {}})


async def _state(caller: Caller, instance: dict[str, Any]) -> dict[str, Any]:
    return dict((await caller("GET", f"/api/v1/instances/{instance['instance_id']}/state")).body["state"])


@pytest.mark.proves("MESSAGES-REST-THREE-WAYS")
async def test_a_message_by_rest_is_accepted_waited_for_or_streamed(caller: Caller, careful: str) -> None:
    path = f"/api/v1/instances/{(await caller.create(careful))['instance_id']}/messages"
    accepted = await caller("POST", path, json={"text": "x"})
    assert accepted.status == 202
    assert set(accepted.body) == {"turn_id", "message_id", "seq"}
    waited = await caller("POST", f"{path}?wait=true", json={"text": "x"})
    assert (waited.status, waited.body["text"], waited.body["stop_reason"]) == (200, "2", "end_turn")
    assert set(waited.body["usage"]) >= {"input_tokens", "output_tokens", "cost_micro_dollars"}
    streamed = await caller("POST", path, json={"text": "x"}, headers={"Accept": "text/event-stream"})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    ids = [int(line[4:]) for line in streamed.text.splitlines() if line.startswith("id: ")]
    assert ids == sorted(set(ids))
    assert '"checkpoint"' in streamed.text


@pytest.mark.proves("STATE-OLDER-VERSION")
@in_every_language
async def test_older_versions_of_the_state_can_be_read(caller: Caller, careful: str) -> None:
    instance = (await caller.create(careful))["instance_id"]
    async with caller.connect(instance) as stream:
        for _ in range(3):
            await stream.turn("x")
        versions = [e["content"]["state_version"] for e in stream.seen if e["messageType"] == "checkpoint"]
    for count, version in enumerate(versions, start=1):
        old = await caller("GET", f"/api/v1/instances/{instance}/state?version={version}")
        assert (old.body["version"], old.body["state"]["count"]) == (version, count)
    assert (await caller("GET", f"/api/v1/instances/{instance}/state?version=9999")).code == "version_not_found"


@pytest.mark.proves("DEPLOYMENT-IN-USE-409")
async def test_a_deployment_in_use_can_not_be_deleted_and_one_out_of_use_can(caller: Caller, careful: str) -> None:
    instance = (await caller.create(careful))["instance_id"]
    busy = await caller("DELETE", f"/api/v1/deployments/{careful}")
    assert (busy.status, busy.code) == (409, "deployment_in_use")
    await caller("DELETE", f"/api/v1/instances/{instance}")
    assert (await caller("DELETE", f"/api/v1/deployments/{careful}")).status == 204
    assert (await caller("POST", "/api/v1/instances", json={"deployment_id": careful})).code == "deployment_not_found"


@pytest.mark.proves("DEPLOYMENT-REFERENCES")
async def test_the_four_ways_to_name_a_deployment(caller: Caller, careful: str) -> None:
    exact = careful
    version = careful.split("@")[0]
    for reference in (exact, f"{version}@local", version, version.split(":")[0]):
        assert (await caller.create(reference))["deployment_id"] == exact
    wrong = await caller("POST", "/api/v1/instances", json={"deployment_id": f"{version}@00000000"})
    assert (wrong.status, wrong.code) == (422, "checksum_mismatch")
    none = await caller("POST", "/api/v1/instances", json={"deployment_id": f"{version.split(':')[0]}:9.9.9"})
    assert (none.status, none.code) == (404, "deployment_not_found")


@pytest.mark.proves("LOGS-STRUCTURED")
@in_every_language
async def test_what_an_agent_prints_is_in_its_log(caller: Caller, careful: str) -> None:
    instance = (await caller.create(careful))["instance_id"]
    async with caller.connect(instance) as stream:
        await stream.turn("talk")
    async with asyncio.timeout(10):
        while True:
            logs = (await caller("GET", f"/api/v1/instances/{instance}/logs")).text
            if "printed by it" in logs and "complained" in logs:
                break
            await asyncio.sleep(0.05)
    warned = (await caller("GET", f"/api/v1/instances/{instance}/logs?level=warning")).body["items"]
    assert "warned" in [record["message"] for record in warned]
    assert "printed by it" not in [record["message"] for record in warned]


@pytest.mark.proves("COMMAND-IDEMPOTENT-BY-ID")
async def test_a_message_repeated_by_rest_with_the_same_key_is_done_once(caller: Caller, careful: str) -> None:
    path = f"/api/v1/instances/{(await caller.create(careful))['instance_id']}/messages"
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first = await caller("POST", f"{path}?wait=true", json={"text": "x"}, headers=headers)
    again = await caller("POST", f"{path}?wait=true", json={"text": "x"}, headers=headers)
    accepted = await caller("POST", path, json={"text": "x"}, headers=headers)
    assert (first.status, again.status, accepted.status) == (200, 200, 202)
    assert first.body == again.body
    assert accepted.body["turn_id"] == first.body["turn_id"]
    assert (await caller("POST", f"{path}?wait=true", json={"text": "x"})).body["text"] == "2"
