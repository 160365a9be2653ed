"""What a create call means."""

import pytest

from podium.base.discovery import AgentRecord, Claim, InstanceRecord
from podium.gateway.domain.creation import (
    Layers,
    Plan,
    check_agent,
    check_claim,
    check_create,
    coordinator_request,
    existing,
    fingerprint,
)
from podium.wire.errors import PodiumError
from podium.wire.manifest import LimitsTable
from podium.wire.rest import Deployment, InstanceCreate
from podium.wire.status import ALIVE, OVER, InstanceStatus

DEPLOYMENT = Deployment("echo:1.0.0@00000000", "echo", "1.0.0", "sha256:0", 1, "python", 1)


def _instance(status: InstanceStatus, deployment_id: str = DEPLOYMENT.deployment_id) -> InstanceRecord:
    return InstanceRecord("inst-1", "a", "acme", "echo", deployment_id, "c", 1, status, 1)


def test_equal_requests_have_one_fingerprint_whatever_the_order_of_their_keys() -> None:
    one = InstanceCreate("echo", secrets={"A": "1", "B": "2"}, config={"x": {"a": 1, "b": 2}})
    two = InstanceCreate("echo", secrets={"B": "2", "A": "1"}, config={"x": {"b": 2, "a": 1}})
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(InstanceCreate("echo", secrets={"A": "1", "B": "3"}))


def test_a_key_of_another_request_is_refused() -> None:
    with pytest.raises(PodiumError, match="idempotency_conflict"):
        check_claim(Claim("one", {}, None, 0, mine=False), "two")
    check_claim(Claim("one", {}, None, 0, mine=False), "one")


@pytest.mark.parametrize("status", sorted(OVER))
def test_an_agent_whose_instance_is_over_gets_a_new_one(status: InstanceStatus) -> None:
    assert existing(_instance(status), "other") is None
    assert existing(None, "other") is None


@pytest.mark.proves("AGENT-IN-USE-409")
@pytest.mark.parametrize("status", sorted(ALIVE))
def test_an_agent_that_is_alive_is_returned_or_refused(status: InstanceStatus) -> None:
    if status is InstanceStatus.STOPPING:
        with pytest.raises(PodiumError, match="instance_stopping"):
            existing(_instance(status), DEPLOYMENT.deployment_id)
        return
    found = existing(_instance(status), DEPLOYMENT.deployment_id)
    assert found is not None
    assert found.instance_id == "inst-1"
    with pytest.raises(PodiumError, match="agent_in_use"):
        existing(_instance(status), "echo:2.0.0@11111111")


def test_an_agent_is_not_continued_as_another_type() -> None:
    agent = AgentRecord("a", "acme", "echo", "echo:1.0.0@00000000", 1, 1)
    check_agent(agent, "echo")
    with pytest.raises(PodiumError, match="invalid_request"):
        check_agent(agent, "counter")


@pytest.mark.proves("ENVIRONMENT-PRECEDENCE")
def test_later_layers_win() -> None:
    plan = Plan("inst-1", "a", "acme", DEPLOYMENT)
    wanted = InstanceCreate("echo", environment={"E": "call", "P": "call"}, secrets={"S": "call"}, config={"k": 1})
    layers = Layers({"P": "platform", "Q": "platform"}, {"S": "type", "T": "type"}, {"runtime": True})
    made = coordinator_request(plan, wanted, layers)
    assert made.environment == {"P": "call", "Q": "platform", "E": "call"}
    assert made.secrets == {"S": "call", "T": "type"}
    assert (made.config, made.runtime_config) == ({"k": 1}, {"runtime": True})


@pytest.mark.parametrize(
    "wanted",
    [
        InstanceCreate("echo", agent_id="a\n"),
        InstanceCreate("echo", environment={"A": "\0"}),
        InstanceCreate("echo", secrets={"A\n": "x"}),
        InstanceCreate("echo", secrets={"A": "ü" * 60_000}),
        InstanceCreate("echo", limits=LimitsTable(memory="lots")),
        InstanceCreate("echo", limits=LimitsTable(cpu=0)),
        InstanceCreate("echo", idle_timeout="later"),
    ],
)
def test_what_a_schema_can_not_say_is_checked(wanted: InstanceCreate) -> None:
    with pytest.raises(PodiumError) as error:
        check_create(wanted)
    assert error.value.code == "invalid_request"
    assert error.value.errors
