"""`deploy/compose.yaml` brings up what its daemons accept, from keys that are drawn for it."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from podium.base.config import read, settings_of
from podium.base.discovery.valkey import ValkeyDiscovery
from podium.base.discovery.valkey_location import ValkeyLocation
from tests.contract.servers import Server, valkey_server
from tests.system.deploy.scripts import SETTINGS, in_container
from tests.waiting import wait_until

DEPLOY: Final = Path(__file__).parents[3] / "deploy"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """The services by name."""
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `compose_keys.sh` draws."""
    directory = tmp_path_factory.mktemp("deploy")
    script = shutil.copy(DEPLOY / "compose_keys.sh", directory)
    for _ in range(2):  # what is there stays
        before = (directory / ".env").read_text() if (directory / ".env").exists() else ""
        subprocess.run(["bash", script], check=True, capture_output=True, timeout=20)
        drawn = (directory / ".env").read_text()
        assert before in ("", drawn)
    assert stat.S_IMODE(os.stat(directory / ".env").st_mode) == 0o600
    return dict(line.split("=", 1) for line in drawn.splitlines())


def resolved(text: str, given: dict[str, str]) -> str:
    """A text with compose's variables in it replaced; one that is needed and absent is an error."""

    def value(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        assert name in given or kind == "-", f"{name} is given by nobody"
        return given.get(name, default or "")

    return _VARIABLE.sub(value, text)


@pytest.mark.proves("DEPLOY-COMPOSE-AGREES")
def test_every_daemon_accepts_the_configuration_it_is_given(services: dict[str, Any], keys: dict[str, str]) -> None:
    given = keys | {"PODIUM_API_KEY": "pod_aaaaaaaaaaaa_" + "a" * 32}
    roles = {name: service["command"][0] for name, service in services.items() if "podium" in str(service["image"])}
    assert sorted(roles.values()) == ["coordinator"] * 3 + ["diminuendo"] + ["gateway"] * 2
    for name, role in roles.items():
        variables = {key: resolved(str(value), given) for key, value in services[name]["environment"].items()}
        assert set(variables) <= {how.variable for how in settings_of(SETTINGS[role]).values()}, name
        read(SETTINGS[role], in_container(role, variables))


@pytest.mark.proves("DEPLOY-COMPOSE-AGREES")
def test_ports_are_those_the_daemons_listen_on(services: dict[str, Any]) -> None:
    for name, service in services.items():
        kind = SETTINGS.get(name.rsplit("-", 1)[0])
        for published in service.get("ports", []):
            address, _, inside = published.split(":")
            assert address == "127.0.0.1", "nothing is open to others unless somebody says so"
            assert kind is not None
            assert inside == settings_of(kind)["port"].default


@pytest.mark.proves("DEPLOY-COMPOSE-AGREES")
def test_no_secret_is_in_the_file_and_every_image_has_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.search(r":[\w.-]*\d[\w.-]*$|podium:staging", service["image"]), name
        for variable, value in service.get("environment", {}).items():
            if re.search(r"KEY$|PASSWORD|SECRET", variable) and not variable.endswith("_ID"):
                assert _VARIABLE.fullmatch(value), f"{name}: {variable} is written out"


@pytest.mark.proves("DEPLOY-LEAST-PRIVILEGE")
def test_only_coordinators_may_mount_and_nothing_is_privileged(services: dict[str, Any]) -> None:
    assert not any(service.get("privileged") for service in services.values())
    mounting = {name for name, service in services.items() if service.get("cap_add")}
    assert mounting == {"coordinator-1", "coordinator-2", "coordinator-3"}
    for name in ("gateway-1", "gateway-2", "diminuendo"):
        assert services[name]["user"] == "10001"
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]


async def test_valkey_has_a_user_of_podiums_own_and_no_other_that_may_do_anything(
    services: dict[str, Any], tmp_path: Path
) -> None:
    """The script of the service, with the suite's Valkey in the place of the image's."""
    server = Server(tmp_path / "data")
    program = tmp_path / "valkey-server"
    options = f"--port {server.port} --bind 127.0.0.1 --dir {server.directory} --save ''"
    program.write_text(f'#!/bin/sh\nexec {valkey_server()} "$@" {options}\n')
    program.chmod(0o755)
    shell, flag, script = services["valkey"]["command"]
    started = subprocess.Popen(
        [shell, flag, script.replace("$$", "$").replace("/tmp/", f"{tmp_path}/")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "VALKEY_PASSWORD": "a-password-of-a-test"},
        stdout=subprocess.DEVNULL,
    )
    try:
        await wait_until(lambda: said(server, "PING"), 20, "the server")
        assert b"NOAUTH" in said(server, "PING"), "without a password nobody may do anything"
        location = ValkeyLocation.parse(f"valkey://podium:a-password-of-a-test@127.0.0.1:{server.port}/0")
        discovery = ValkeyDiscovery(location, call_seconds=2.0)
        await discovery.check()
        await discovery.close()
        check = services["valkey"]["healthcheck"]["test"]
        assert check[check.index("--user") + 1] == "health"
    finally:
        started.kill()
        started.wait()


def said(server: Server, *words: str) -> bytes:
    """What a server answers to a command; nothing before it listens."""
    try:
        return server.say(*words)
    except ConnectionError:
        return b""


def test_coordinators_have_more_time_to_stop_than_they_take(services: dict[str, Any]) -> None:
    for name in ("coordinator-1", "coordinator-2", "coordinator-3"):
        grace = float(str(services[name]["stop_grace_period"]).removesuffix("s"))
        assert grace > float(str(services[name]["environment"]["COORDINATOR_STOP"]).removesuffix("s"))


def test_the_collector_takes_what_daemons_send(services: dict[str, Any]) -> None:
    collector = yaml.safe_load((DEPLOY / "collector.yaml").read_text())
    endpoint = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert (
        services["gateway-1"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
        == f"http://collector:{endpoint.split(':')[1]}"
    )
    assert set(collector["service"]["pipelines"]) == {"traces", "metrics"}
