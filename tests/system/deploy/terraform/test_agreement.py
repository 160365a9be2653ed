"""Names, ports and variables in Terraform are those of the code; rights and networks are no wider than they are meant to be."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from podium.base.config import read, seconds, settings_of
from podium.base.metric_names import METRICS
from podium.wire.limits import PING_INTERVAL_SECONDS
from tests.system.deploy.scripts import SETTINGS, in_container
from tests.system.deploy.terraform.conftest import ENVIRONMENTS, PLAN_NAME, ROOT, SECONDS, Plan, Terraform, planned

PORT_OF: Final = {"gateway": "GATEWAY_PORT", "coordinator": "COORDINATOR_PORT", "diminuendo": "DIMINUENDO_PORT"}
SAMPLE: Final = {"VALKEY_URL": "valkeys://podium:a-password@host:6379/0"}

pytestmark = pytest.mark.timeout(2 * SECONDS)


class Applied:
    """What there is after an environment was applied."""

    def __init__(self, state: Plan) -> None:
        self._root = state["values"]["root_module"]

    def each(self, kind: str) -> Iterator[tuple[str, Plan]]:
        """Address and arguments of each resource of a type."""
        todo = [self._root]
        while todo:
            module = todo.pop()
            todo += module.get("child_modules", [])
            for found in module.get("resources", []):
                if found["type"] == kind:
                    yield found["address"], found["values"]


@pytest.fixture(scope="module")
def production(terraform: Terraform) -> Applied:
    """Production, applied to nothing."""
    planned(terraform, "production")
    where = "environments/production"
    applied, shown = terraform.run(
        (where, f"apply -no-color -input=false -auto-approve {PLAN_NAME}"), (where, "show -json terraform.tfstate")
    )
    assert applied.code == 0, applied.errors
    return Applied(json.loads(shown.output))


@pytest.fixture(scope="module")
def containers(production: Applied) -> dict[str, Plan]:
    """The container of each service, by its name."""
    return {
        container["name"]: container
        for _, values in production.each("aws_ecs_task_definition")
        for container in json.loads(values["container_definitions"])
        if container["name"] in SETTINGS
    }


@pytest.mark.proves("DEPLOY-AGREES")
@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_is_configured_as_its_daemon_reads_it(service: str, containers: dict[str, Plan]) -> None:
    container = containers[service]
    given = {found["name"]: found["value"] for found in container["environment"]}
    secret = {found["name"] for found in container["secrets"]}
    assert not secret & set(given)
    known = {how.variable for how in settings_of(SETTINGS[service]).values()}
    assert set(given) | secret <= known
    # The daemon itself accepts it, as it comes through the image's entry point.
    whole = {name: SAMPLE.get(name, "a-secret-of-a-test-0123456789") for name in secret} | given
    settings = read(SETTINGS[service], in_container(service, whole))
    assert str(settings.port) == given[PORT_OF[service]]


@pytest.mark.proves("DEPLOY-AGREES")
def test_ports_are_the_same_everywhere(containers: dict[str, Plan], production: Applied) -> None:
    ports = {name: int(settings_of(kind)["port"].default or 0) for name, kind in SETTINGS.items()}
    assert {name: container["portMappings"][0]["containerPort"] for name, container in containers.items()} == ports
    targets = {values["port"] for _, values in production.each("aws_lb_target_group")}
    assert targets == {ports["gateway"], ports["diminuendo"]}
    inside = {values["from_port"] for _, values in production.each("aws_vpc_security_group_ingress_rule")}
    assert inside == {*ports.values(), 6379, 80, 443}
    url = next(found["value"] for found in containers["diminuendo"]["environment"] if found["name"] == "PODIUM_URL")
    assert url == f"http://gateway.podium-production.internal:{ports['gateway']}"


@pytest.mark.proves("DEPLOY-AGREES")
def test_alarms_are_on_metrics_there_are(production: Applied) -> None:
    alarms = [values for _, values in production.each("aws_cloudwatch_metric_alarm")]
    asked = [query["expression"] for values in alarms for query in values["metric_query"]]
    names = {found.name for found in METRICS.values()}
    assert len(asked) == 2
    assert all(any(f"MAX({name})" in text for name in names) for text in asked)


@pytest.mark.proves("DEPLOY-AGREES")
def test_nobody_is_cut_off_before_he_has_finished(containers: dict[str, Plan], production: Applied) -> None:
    ((_, balancer),) = production.each("aws_lb")
    assert balancer["idle_timeout"] >= 3 * PING_INTERVAL_SECONDS, "a WebSocket whose ping is late stays"
    for service, container in containers.items():
        given = {found["name"]: found["value"] for found in container["environment"]}
        takes = seconds(given[f"{service.upper()}_STOP"])
        assert takes < container["stopTimeout"], f"{service} is killed while it stops"
    waits = {
        values["name"]: values["heartbeat_timeout"] for _, values in production.each("aws_autoscaling_lifecycle_hook")
    }
    assert waits["podium-production-coordinator-drain"] > containers["coordinator"]["stopTimeout"]
    drained = [
        values["auto_scaling_group_provider"][0]["managed_draining"]
        for _, values in production.each("aws_ecs_capacity_provider")
    ]
    assert drained == ["ENABLED"] * 2


def test_valkey_gives_the_same_user_on_aws_as_in_the_compose_file(production: Applied) -> None:
    ((_, user),) = production.each("aws_elasticache_user")
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    rights = user["access_string"].removeprefix("on ")
    assert user["user_name"] == "podium"
    assert f"user podium on >$$VALKEY_PASSWORD {rights}" in compose


def test_gateways_scale_with_processor_and_connections_coordinators_with_processor_and_memory(
    production: Applied,
) -> None:
    policies = {values["name"] for _, values in production.each("aws_appautoscaling_policy")}
    assert policies == {
        f"podium-production-{name}"
        for name in ("gateway-cpu", "gateway-connections", "coordinator-cpu", "coordinator-memory")
    }


@pytest.mark.proves("DEPLOY-LEAST-PRIVILEGE")
def test_no_role_of_a_task_may_more_than_its_service_does(production: Applied) -> None:
    policies = {
        address.split('"')[1]: json.loads(values["policy"])["Statement"]
        for address, values in production.each("aws_iam_role_policy")
        if address.endswith("aws_iam_role_policy.task")
    }
    assert set(policies) == set(SETTINGS)
    for service, statements in policies.items():
        for statement in statements:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            assert not [action for action in actions if "*" in action], (service, actions)
            if statement["Resource"] == "*":
                assert all(action.startswith("xray:Put") for action in actions), (service, actions)
    writes = {
        service: sum("s3:PutObject" in statement["Action"] for statement in statements)
        for service, statements in policies.items()
    }
    assert writes == {"gateway": 1, "coordinator": 2, "diminuendo": 0}


@pytest.mark.proves("DEPLOY-LEAST-PRIVILEGE")
def test_only_coordinators_get_a_capability_and_nobody_is_privileged(containers: dict[str, Plan]) -> None:
    assert not any(container.get("privileged") for container in containers.values())
    capabilities = {name: container["linuxParameters"]["capabilities"] for name, container in containers.items()}
    assert capabilities["coordinator"] == {"add": ["SYS_ADMIN"]}
    assert capabilities["gateway"] == capabilities["diminuendo"] == {"drop": ["ALL"]}
    assert {container.get("user") for name, container in containers.items() if name != "coordinator"} == {"10001"}


def test_environments_hold_values_alone() -> None:
    for name in ENVIRONMENTS:
        texts = [path.read_text() for path in (ROOT / "deploy" / "terraform" / "environments" / name).glob("*.tf")]
        assert sum(text.count('\nmodule "') for text in texts) == 1
        assert not any('resource "' in text or 'data "' in text for text in texts)
