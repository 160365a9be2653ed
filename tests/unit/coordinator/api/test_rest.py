"""The coordinator's REST interface, called without a network."""

import asyncio
from typing import Any, NamedTuple

import msgspec
import pytest

from podium.base.clock import ManualClock
from podium.base.http import ClusterAuthenticator, HttpApp
from podium.coordinator.api.conversations import Conversations
from podium.coordinator.api.endpoints import endpoints
from podium.coordinator.api.host import Host
from podium.coordinator.api.instances import Instances
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.api.reads import Reads
from podium.wire.rest import Load
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, events, forward, polite, send, until
from tests.unit.coordinator.wires import KEY

DEPLOYMENT = {
    "deployment_id": "echo:1.0.0@00000000",
    "agent_type": "echo",
    "version": "1.0.0",
    "checksum": "sha256:" + "0" * 64,
    "size": 1,
    "runtime": "python",
    "created_at": 0,
}
CREATE = {"instance_id": "inst-a", "agent_id": "agent", "tenant_id": "default", "deployment": DEPLOYMENT}


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Rest:
    """Calls the application as its server would."""

    def __init__(self, house: House) -> None:
        self.failing = False
        lookup = Lookup(house.supervisor)
        host = Host(house.supervisor, "1.2.3", lambda: Load(0, 0, 0.0, 0, 0), {"discovery": self._check})
        table = endpoints(host, Instances(lookup), Conversations(lookup), Reads(lookup))
        self._app = HttpApp(table, ClusterAuthenticator(KEY))

    async def _check(self) -> None:
        if self.failing:
            raise RuntimeError("away")

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        target, _, query = path.partition("?")
        given = {"authorization": f"Bearer {KEY}", "podium-tenant": "default"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "method": method,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        sent: list[dict[str, Any]] = []
        asked = False
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        async with asyncio.timeout(5):
            await self._app(scope, receive, keep)
        names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], names, b"".join(message["body"] for message in sent[1:]))

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.call("POST", path, body, **headers)


@pytest.fixture
async def rest(house: House) -> Rest:
    return Rest(house)


async def test_an_instance_is_created_once_read_and_stopped(rest: Rest) -> None:
    made = await rest.post("/instances", CREATE)
    again = await rest.post("/instances", CREATE)
    assert (made.status, again.status) == (201, 200)
    assert made.json == again.json
    assert made.json["status"] == "ready"
    info = (await rest.get("/agent/inst-a/info")).json
    assert info["last_seq"] == 4
    assert info["turn"] is None
    assert info["workspace"]["backend"] == "directory"
    assert info["resources"]["processes"] == 1
    assert (await rest.call("DELETE", "/agent/inst-a")).status == 204
    assert (await rest.call("DELETE", "/agent/inst-a")).status == 404
    assert (await rest.get("/agent/inst-a/info")).json["code"] == "instance_not_found"
    assert (await rest.call("DELETE", "/agents/agent")).status == 204
    assert (await rest.call("DELETE", "/agents/agent")).json["code"] == "agent_not_found"


@pytest.mark.proves("MESSAGES-REST-THREE-WAYS")
async def test_a_message_is_answered_in_three_ways(house: House, rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    accepted = await rest.post("/agent/inst-a/messages", {"text": "one", "mood": "good"})
    assert accepted.status == 202
    assert set(accepted.json) == {"turn_id", "message_id", "seq"}
    waited = await rest.post("/agent/inst-a/messages?wait=true", {"text": "two"})
    assert waited.status == 200
    assert waited.json["text"] == "two"
    assert waited.json["stop_reason"] == "end_turn"
    streamed = await rest.post("/agent/inst-a/messages", {"text": "three"}, accept="text/event-stream")
    assert streamed.headers["content-type"] == "text/event-stream"
    told = [msgspec.json.decode(line[6:]) for line in streamed.body.split(b"\n") if line.startswith(b"data: ")]
    assert [event["messageType"] for event in told] == [
        "message.user",
        "stream_start",
        "stream_update",
        "stream_end",
        "checkpoint",
    ]
    assert b"id: %d\n" % told[0]["seq"] in streamed.body


@pytest.mark.proves("COMMAND-IDEMPOTENT-BY-ID")
async def test_an_idempotency_key_sends_a_message_once(rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    first = await rest.post("/agent/inst-a/messages", {"text": "one"}, idempotency_key="key-1")
    waited = await rest.post("/agent/inst-a/messages?wait=true", {"text": "one"}, idempotency_key="key-1")
    assert waited.json["turn_id"] == first.json["turn_id"]
    assert len((await rest.get("/agent/inst-a/messages")).json["items"]) == 2
    refused = await rest.post("/agent/inst-a/messages", {"text": "one"}, idempotency_key="k" * 256)
    assert refused.json["code"] == "invalid_request"


@pytest.mark.proves("SSE-LAST-EVENT-ID")
async def test_the_stream_of_a_turn_resumes_after_the_last_event(rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    await rest.post("/agent/inst-a/messages?wait=true", {"text": "one"}, idempotency_key="key-1")
    rested = await rest.post(
        "/agent/inst-a/messages",
        {"text": "one"},
        idempotency_key="key-1",
        accept="text/event-stream",
        last_event_id="8",
    )
    assert [line for line in rested.body.split(b"\n") if line.startswith(b"id: ")] == [b"id: 9", b"id: 10"]


@pytest.mark.proves("LISTS-PAGINATED")
async def test_lists_come_in_pages(house: House, rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    for text in ("one", "two"):
        await rest.post("/agent/inst-a/messages?wait=true", {"text": text})
    for path in ("/agent/inst-a/events", "/agent/inst-a/messages"):
        whole = (await rest.get(f"{path}?limit=1000")).json["items"]
        pages, cursor = [], ""
        while True:
            page = (await rest.get(f"{path}?limit=3{cursor}")).json
            pages += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert pages == whole
    assert (await rest.get("/agent/inst-a/events?limit=1001")).json["code"] == "invalid_request"
    assert (await rest.get("/agent/inst-a/events?cursor=x")).json["code"] == "invalid_request"
    assert [event["seq"] for event in (await rest.get("/agent/inst-a/events?after=5&limit=2")).json["items"]] == [6, 7]


@pytest.mark.proves("STATE-OLDER-VERSION", "LOGS-STRUCTURED")
async def test_state_and_log_are_read(house: House, rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    empty = (await rest.get("/agent/inst-a/state")).json
    assert empty == {"version": 0, "state": {}, "state_schema": None}
    house.host.agent.set_state({"count": 1})
    house.host.agent.change_state([{"op": "replace", "path": "/count", "value": 2}])
    house.host.agent.flush()
    house.host.agent.prints(b"hello\n")
    assert (await rest.get("/agent/inst-a/state")).json == {"version": 2, "state": {"count": 2}, "state_schema": 1}
    assert (await rest.get("/agent/inst-a/state?version=1")).json["state"] == {"count": 1}
    assert (await rest.get("/agent/inst-a/state?version=9")).json["code"] == "version_not_found"
    instance = house.supervisor.instances["inst-a"]
    await until(lambda: instance.store.count_logs() == 1)
    page = (await rest.get("/agent/inst-a/logs?level=info")).json
    assert [(item["message"], item["source"], item["level"]) for item in page["items"]] == [("hello", "stdout", "info")]
    assert page["total"] == 1
    assert (await rest.get("/agent/inst-a/logs?level=error")).json["items"] == []


@pytest.mark.proves("REQUEST-LISTED")
async def test_requests_are_listed_and_answered(house: House, rest: Rest) -> None:
    house.host.play = polite
    await rest.post("/instances", CREATE)
    accepted = (await rest.post("/agent/inst-a/messages", {"text": "one"})).json
    await until(lambda: house.host.agent.messages() == [accepted["message_id"]])
    content = {"request_id": "req-1", "questions": [{"id": "q", "question": "Which?"}]}
    house.host.agent.emit(accepted["message_id"], "tool.question_requested", content)
    house.host.agent.flush()
    (listed,) = (await rest.get("/agent/inst-a/requests?status=open")).json["items"]
    assert (listed["kind"], listed["status"], listed["content"]) == ("question", "open", content)
    wrong = await rest.post("/agent/inst-a/requests/req-1", {"answers": {"q": 1}, "dismissed": True})
    assert wrong.json["code"] == "invalid_request"
    answered = await rest.post("/agent/inst-a/requests/req-1", {"answers": {"q": "this"}})
    assert (answered.status, answered.json["outcome"], answered.json["by"]) == (200, "answered", "client")
    assert (await rest.post("/agent/inst-a/requests/req-1", {"dismissed": True})).json["code"] == "already_resolved"
    assert (await rest.get("/agent/inst-a/requests?status=open")).json["items"] == []


async def test_a_turn_is_cancelled_and_the_configuration_changed(house: House, rest: Rest) -> None:
    house.host.play = polite
    await rest.post("/instances", CREATE)
    accepted = (await rest.post("/agent/inst-a/messages", {"text": "one"})).json
    assert (await rest.post(f"/agent/inst-a/turns/{accepted['turn_id']}/cancel")).status == 202
    instance = house.supervisor.instances["inst-a"]
    await until(lambda: not instance.queue.has_work)
    assert (await rest.post(f"/agent/inst-a/turns/{accepted['turn_id']}/cancel")).json["code"] == "no_turn"
    changed = await rest.post("/agent/inst-a/config", {"changes": {"a.b": 1}})
    assert changed.json == {"config": {"a": {"b": 1}}}


async def test_reading_a_sleeping_agent_does_not_wake_it(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    rest = Rest(house)
    await rest.post("/instances", CREATE)
    instance = house.supervisor.instances["inst-a"]
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    for path in ("info", "events", "messages", "logs", "state", "requests"):
        assert (await rest.get(f"/agent/inst-a/{path}")).status == 200
    assert instance.status is InstanceStatus.ASLEEP
    assert not instance.is_open
    answer = await rest.post("/agent/inst-a/messages?wait=true", {"text": "wake"})
    assert answer.json["text"] == "wake"


@pytest.mark.proves("TENANT-ISOLATION-404", "COORDINATOR-CREDENTIAL")
async def test_only_the_cluster_may_call_and_tenants_see_their_own(house: House, rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    assert (await rest.get("/health", authorization="")).status == 200
    for path in ("/ready", "/metrics", "/admin/status", "/agent/inst-a/info"):
        assert (await rest.get(path, authorization="Bearer wrong")).status == 401
    for path in ("info", "events", "messages", "logs", "state", "requests"):
        foreign = await rest.get(f"/agent/inst-a/{path}", podium_tenant="other")
        assert (foreign.status, foreign.json["code"]) == (404, "instance_not_found")
    assert (await rest.get("/agent/inst-a/info", podium_tenant="", podium_role="admin")).status == 200


@pytest.mark.proves("READY-NAMES-DEPENDENCY")
async def test_the_host_says_what_it_lacks(rest: Rest) -> None:
    assert (await rest.get("/ready")).json == {"status": "ready", "failing": []}
    rest.failing = True
    lacking = await rest.get("/ready")
    assert (lacking.status, lacking.json["failing"]) == (503, ["discovery"])


async def test_the_host_counts_what_happens(rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    await rest.post("/agent/inst-a/messages?wait=true", {"text": "one"})
    page = (await rest.get("/metrics")).body.decode()
    assert "podium_turns_total 1\n" in page
    assert 'podium_instances{status="ready"} 1\n' in page
    status = (await rest.get("/admin/status")).json
    assert (status["state"], status["isolation"], status["instances"]) == ("active", "none", {"ready": 1})


async def test_a_drained_host_sends_new_agents_elsewhere(house: House, rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    assert (await rest.post("/admin/drain")).status == 202
    refused = await rest.post("/instances", {**CREATE, "instance_id": "inst-b", "agent_id": "other"})
    assert (refused.status, refused.json["code"]) == (503, "draining")
    assert "retry-after" in refused.headers
    instance = house.supervisor.instances["inst-a"]
    await until(lambda: not instance.life.busy)
    assert (await rest.post("/agent/inst-a/messages", {"text": "x"})).json["code"] == "draining"


@pytest.mark.proves("STREAM-NO-GAP")
async def test_the_journal_is_followed_over_sse_until_the_instance_is_over(house: House, rest: Rest) -> None:
    await rest.post("/instances", CREATE)
    instance = house.supervisor.instances["inst-a"]
    owner = house.supervisor.tasks
    following = owner.start(rest.get("/agent/inst-a/events?after=2", accept="text/event-stream"), "follow")
    await until(lambda: len(instance.audience) == 1)
    send(instance, "hello")
    await until(lambda: not instance.queue.has_work)
    await house.supervisor.stop(instance)
    reply = await following
    told = [int(line[4:]) for line in reply.body.split(b"\n") if line.startswith(b"id: ")]
    assert told == list(range(3, events(instance)[-1].seq + 1))
