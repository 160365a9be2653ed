"""A daemon says how it is used, refuses what it does not know, and reports what it can't stand on in one line."""

import os
import socket
import subprocess
import sys

import pytest

from podium.base.daemon import UNAVAILABLE_EXIT

KEYS = {"CLUSTER_KEY": "c" * 20, "SECRETS_KEY": "s" * 20}


def _run(daemon: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-m", f"podium.{daemon}", *arguments]
    return subprocess.run(command, env=kept, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("daemon", ["gateway", "coordinator"])
def test_help_is_given_without_any_configuration(daemon: str) -> None:
    said = _run(daemon, "--help")
    assert said.returncode == 0
    assert "--explain-config" in said.stdout


@pytest.mark.parametrize("daemon", ["gateway", "coordinator"])
def test_a_missing_variable_is_named_and_exits_with_78(daemon: str) -> None:
    said = _run(daemon)
    assert said.returncode == 78
    assert "CLUSTER_KEY" in said.stderr
    assert "SECRETS_KEY" in said.stderr


def test_the_configuration_is_explained_without_its_secrets() -> None:
    said = _run("gateway", "--explain-config", **KEYS)
    assert "GATEWAY_PORT=8090" in said.stdout
    assert "c" * 20 not in said.stdout


@pytest.mark.parametrize("daemon", ["gateway", "coordinator"])
def test_a_discovery_that_can_not_be_used_is_one_line_and_no_traceback(daemon: str, tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "discovery.db"), "wb") as file:
        file.write(b"this is no database at all" * 100)
    said = _run(daemon, PODIUM_DATA=str(tmp_path), GATEWAY_PORT="0", COORDINATOR_PORT="0", **KEYS)
    assert said.returncode == UNAVAILABLE_EXIT
    assert "Traceback" not in said.stderr
    assert "discovery" in said.stderr


def test_a_port_in_use_is_one_line_and_no_traceback(tmp_path: os.PathLike[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = _run("gateway", PODIUM_DATA=str(tmp_path), GATEWAY_PORT=port, **KEYS)
    assert said.returncode == UNAVAILABLE_EXIT
    assert "Traceback" not in said.stderr
    assert port in said.stderr.splitlines()[-1]
