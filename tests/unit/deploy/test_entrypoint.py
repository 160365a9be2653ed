"""What the entry point of the image decides: environment, names, which process is healthy."""

from pathlib import Path

import pytest

from tests.system.deploy.scripts import entrypoint, in_container, loaded

with_image = loaded("with_image").with_image

SECRETS_KEY = "secrets-key-of-a-test-0123456789"


def environment(role: str, **given: str) -> dict[str, str]:
    """What a role's daemon gets in a container that is given this."""
    return in_container(role, given)


def test_every_role_listens_where_other_containers_reach_it() -> None:
    assert environment("gateway")["GATEWAY_HOST"] == "0.0.0.0"
    assert environment("coordinator")["COORDINATOR_HOST"] == "0.0.0.0"
    assert environment("diminuendo")["DIMINUENDO_HOST"] == "0.0.0.0"
    assert {environment("up")[f"{name}_HOST"] for name in ("GATEWAY", "COORDINATOR", "DIMINUENDO")} == {"0.0.0.0"}


def test_a_coordinator_is_reached_at_its_own_address_and_named_after_its_data() -> None:
    made = environment("coordinator", COORDINATOR_PORT="9999")
    assert made["COORDINATOR_URL"] == "http://10.1.2.3:9999"
    assert made["COORDINATOR_ID"] == "coord-a"


def test_what_the_environment_says_wins_and_an_empty_variable_says_nothing() -> None:
    made = environment("coordinator", COORDINATOR_ID="mine", COORDINATOR_URL="", COORDINATOR_HOST="10.0.0.1")
    assert (made["COORDINATOR_ID"], made["COORDINATOR_HOST"]) == ("mine", "10.0.0.1")
    assert made["COORDINATOR_URL"] == "http://10.1.2.3:9090"


def test_a_gateway_asks_for_neither_address_nor_name() -> None:
    made = environment("gateway", ADMIN_API_KEY="pod_admin_x")
    assert made["ADMIN_API_KEY"] == "pod_admin_x"
    assert not {"COORDINATOR_URL", "COORDINATOR_ID"} & set(made)


def test_containers_with_the_same_secrets_key_recognize_each_other() -> None:
    one, other = (environment("up", SECRETS_KEY=SECRETS_KEY)["CLUSTER_KEY"] for _ in range(2))
    assert one == other != environment("up", SECRETS_KEY=SECRETS_KEY + "x")["CLUSTER_KEY"]
    assert SECRETS_KEY not in one
    assert environment("up", SECRETS_KEY=SECRETS_KEY, CLUSTER_KEY="given")["CLUSTER_KEY"] == "given"
    assert "CLUSTER_KEY" not in environment("up")  # `podium up` makes one and keeps it


def test_parts_alone_get_no_cluster_key_that_nobody_gave_them() -> None:
    assert all("CLUSTER_KEY" not in environment(role, SECRETS_KEY=SECRETS_KEY) for role in ("gateway", "coordinator"))


def test_a_data_directory_keeps_its_name(tmp_path: Path) -> None:
    name = entrypoint.name_of_data(tmp_path)
    assert name == entrypoint.name_of_data(tmp_path)
    (tmp_path / "other").mkdir()
    assert name != entrypoint.name_of_data(tmp_path / "other")


@pytest.mark.parametrize("init", [["tini", "--"], ["docker-init", "--", "tini", "--"], []])
def test_the_health_check_finds_the_role_behind_any_init(init: list[str]) -> None:
    assert entrypoint.role_of([*init, "podium-image", "coordinator", ""]) == "coordinator"
    assert entrypoint.role_of([*init, "podium-image", "sh", ""]) is None
    assert entrypoint.role_of([*init, "sh", ""]) is None


def test_a_role_whose_listener_is_silent_is_not_healthy(unused_tcp_port: int) -> None:
    assert not entrypoint.healthy("gateway", {"GATEWAY_PORT": str(unused_tcp_port)})


def test_words_that_are_no_role_and_no_program_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert entrypoint.main(["no-such-thing"]) == entrypoint.EXIT_USAGE
    assert entrypoint.main([]) == entrypoint.EXIT_USAGE
    assert "gateway, coordinator, diminuendo, up" in capsys.readouterr().err


def test_a_task_definition_is_registered_again_with_another_image() -> None:
    described = {
        "taskDefinitionArn": "arn:aws:ecs:eu-central-1:0:task-definition/podium-staging-gateway:7",
        "family": "podium-staging-gateway",
        "revision": 7,
        "status": "ACTIVE",
        "requiresAttributes": [{"name": "ecs.capability.execution-role-awslogs"}],
        "registeredBy": "arn:aws:iam::0:user/x",
        "cpu": "512",
        "containerDefinitions": [
            {"name": "gateway", "image": "old", "command": ["gateway"]},
            {"name": "collector", "image": "c"},
        ],
    }
    assert with_image(described, "gateway", "new") == {
        "family": "podium-staging-gateway",
        "cpu": "512",
        "containerDefinitions": [
            {"name": "gateway", "image": "new", "command": ["gateway"]},
            {"name": "collector", "image": "c"},
        ],
    }
    with pytest.raises(ValueError, match="no container 'coordinator'"):
        with_image(described, "coordinator", "new")
