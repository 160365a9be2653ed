"""Configuration is read once, whole, and says everything that is wrong at once."""

from pathlib import Path

import pytest

from podium.base.config import ConfigError, Secret, explain, read, settings_of
from podium.base.settings import CoordinatorSettings, GatewaySettings, open_objects

GOOD = {"CLUSTER_KEY": "c" * 20, "SECRETS_KEY": "s" * 20}


def test_defaults_hold_where_nothing_is_given() -> None:
    settings = read(GatewaySettings, GOOD)
    assert (settings.port, settings.host, settings.reattach_seconds) == (8090, "127.0.0.1", 60.0)
    assert read(CoordinatorSettings, GOOD).port == 9090


def test_values_carry_their_units() -> None:
    given = {**GOOD, "AGENT_READY": "1500ms", "AGENT_LOG_SIZE": "2MiB", "PODIUM_DATA": "/tmp/x", "AGENTS_LIMIT": ""}
    settings = read(CoordinatorSettings, given)
    assert (settings.ready_seconds, settings.log_bytes_max, settings.agents_limit) == (1.5, 2 * 2**20, 2000)
    assert settings.data == Path("/tmp/x")


@pytest.mark.proves("CONFIG-ONE-REPORT")
def test_every_mistake_is_in_one_report() -> None:
    with pytest.raises(ConfigError) as caught:
        read(GatewaySettings, {**GOOD, "GATEWAY_PORT": "http", "LOG_LEVEL": "loud", "GATEWAY_STOP": "5"})
    said = str(caught.value)
    assert all(variable in said for variable in ("GATEWAY_PORT", "LOG_LEVEL", "GATEWAY_STOP"))
    assert len(caught.value.problems) == 3


@pytest.mark.proves("CONFIG-ONE-REPORT")
def test_what_the_class_finds_is_in_the_same_report_as_what_does_not_parse() -> None:
    with pytest.raises(ConfigError) as caught:
        read(GatewaySettings, {"GATEWAY_PORT": "http", "GATEWAY_HOST": "0.0.0.0", "VALKEY_TIMEOUT": "6s"})
    named = ("GATEWAY_PORT", "GATEWAY_HOST", "CLUSTER_KEY", "SECRETS_KEY", "VALKEY_TIMEOUT")
    assert sorted(named) == sorted(problem.split()[0].rstrip(":") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "CLUSTER_KEY"), ({**GOOD, "SECRETS_KEY": "short"}, "at least 16"), ({**GOOD, "VALKEY_URL": "http://x"}, "rediss://"),
        ({**GOOD, "GATEWAY_HOST": "0.0.0.0"}, "ADMIN_API_KEY"), ({**GOOD, "ADMIN_API_KEY": "pod_admin_x"}, "at least 16"),
        ({**GOOD, "S3_BUCKET": "b", "AWS_ACCESS_KEY_ID": "k"}, "AWS_SECRET_ACCESS_KEY"), ({**GOOD, "S3_PREFIX": "a//b"}, "S3_PREFIX"),
        ({**GOOD, "AWS_ENDPOINT_URL": "minio:9000"}, "AWS_ENDPOINT_URL: is no URL"), ({**GOOD, "S3_PREFIX": "x" * 121}, "S3_PREFIX"),
    ],
)  # fmt: skip
@pytest.mark.proves("CONFIG-NO-OPEN-LISTENER")
def test_what_can_not_work_is_refused_with_what_to_do(given: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        read(GatewaySettings, given)


@pytest.mark.proves("CONFIG-CLUSTER-WHOLE")
@pytest.mark.parametrize("kind", [GatewaySettings, CoordinatorSettings])
def test_a_cluster_without_a_common_store_does_not_start(kind: type) -> None:
    given = {**GOOD, "VALKEY_URL": "valkey://v.example/0"}
    with pytest.raises(ConfigError, match="VALKEY_URL without S3_BUCKET"):
        read(kind, given)
    read(kind, {**given, "S3_BUCKET": "b"})


@pytest.mark.proves("CONFIG-CLUSTER-WHOLE")
def test_a_coordinator_of_a_cluster_says_where_others_reach_it() -> None:
    everywhere = {**GOOD, "COORDINATOR_HOST": "0.0.0.0"}
    assert read(CoordinatorSettings, everywhere).url is None  # alone on its host nobody else asks
    cluster = {**everywhere, "VALKEY_URL": "valkey://v.example/0", "S3_BUCKET": "b"}
    with pytest.raises(ConfigError, match="set COORDINATOR_URL"):
        read(CoordinatorSettings, cluster)
    read(CoordinatorSettings, {**cluster, "COORDINATOR_URL": "http://10.0.0.1:9090"})


@pytest.mark.proves("CONFIG-SECRETS-MASKED")
def test_secrets_do_not_print() -> None:
    settings = read(GatewaySettings, {**GOOD, "ADMIN_API_KEY": "pod_admin_very_secret"})
    said = explain(settings, GOOD) + repr(settings) + f"{settings.admin_api_key}" + str(settings.cluster_key)
    assert "very_secret" not in said
    assert "cccc" not in said
    assert settings.admin_api_key == Secret("pod_admin_very_secret")
    assert "GATEWAY_PORT=8090  (default)" in said


@pytest.mark.proves("CONFIG-SECRETS-MASKED")
def test_credentials_for_valkey_do_not_print() -> None:
    given = {**GOOD, "S3_BUCKET": "b", "VALKEY_URL": "valkeys://somebody:hushhush@v.example:6380/2"}
    settings = read(GatewaySettings, given)
    assert settings.valkey is not None
    assert settings.valkey.password == "hushhush"
    said = explain(settings, given) + repr(settings)
    assert "VALKEY_URL=valkeys://v.example:6380/2  (environment)" in said
    assert "hushhush" not in said
    assert "somebody" not in said
    for wrong in (
        "redis://a:hushhush@h:port",
        "mysql://a:hushhush@h",
        "redis://a:hushhush@h?x=hushhush",
        "redis://[hushhush",
    ):
        with pytest.raises(ConfigError) as caught:
            read(GatewaySettings, {**GOOD, "VALKEY_URL": wrong})
        assert "VALKEY_URL: " in str(caught.value)
        assert "hushhush" not in str(caught.value)


@pytest.mark.proves("CONFIG-SECRETS-MASKED")
def test_credentials_for_s3_do_not_print(tmp_path: Path) -> None:
    given = {
        **GOOD,
        "PODIUM_DATA": str(tmp_path),
        "S3_BUCKET": "b",
        "S3_PREFIX": "/a/b/",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1/",
    }
    given |= {"AWS_ACCESS_KEY_ID": "keykeykey", "AWS_SECRET_ACCESS_KEY": "hushhush", "AWS_SESSION_TOKEN": "toktoktok"}
    settings = read(GatewaySettings, given)
    said = explain(settings, given) + repr(settings) + repr(open_objects(settings))
    assert not [secret for secret in ("keykeykey", "hushhush", "toktoktok") if secret in said]
    assert "S3Objects(bucket='b', prefix='a/b')" in said
    with pytest.raises(ConfigError) as caught:
        read(GatewaySettings, {**GOOD, "AWS_ENDPOINT_URL": "http://me:hushhush@minio:9000"})
    assert "has credentials in it" in str(caught.value)
    assert "hushhush" not in str(caught.value)


@pytest.mark.proves("CONFIG-DOCUMENTED")
def test_the_reference_page_names_every_variable_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "configuration.md").read_text()
    for kind in (GatewaySettings, CoordinatorSettings):
        for how in settings_of(kind).values():
            default = f"`{how.default}`" if how.default else "–"
            assert f"| `{how.variable}` | {default} | {how.meaning} |" in page, how.variable
