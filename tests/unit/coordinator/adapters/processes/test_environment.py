"""What a process finds in its environment, and its limits."""

from pathlib import Path

import pytest

from podium.coordinator.adapters.processes.environment import SOCKET_PATH_MAX_BYTES, agent_environment, limits_of
from podium.coordinator.domain.ports import PreparedDeployment, ProcessSpec
from podium.wire.manifest import Limits, Manifest
from podium.wire.rest import Deployment


def spec(directory: Path, **environment: str) -> ProcessSpec:
    described = Deployment("echo:1.0.0@00000000", "echo", "1.0.0", "sha256:" + "0" * 64, 1, "python", 0)
    prepared = PreparedDeployment(
        described, Manifest("echo", "1.0.0", "python", "agent:A"), directory / "bundle", Path("/opt/env/bin/python")
    )
    return ProcessSpec("inst-1", "a", "t", prepared, directory, directory / "workspace", environment, Limits(), 1)


def test_nothing_of_the_coordinator_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_KEY", "hidden")
    monkeypatch.setenv("PATH", "/somewhere")
    made = agent_environment(spec(tmp_path), "mark")
    assert "hidden" not in made.values()
    assert made["PATH"] == "/opt/env/bin:/somewhere"


def test_what_was_given_comes_through_but_can_not_replace_what_is_ours(tmp_path: Path) -> None:
    made = agent_environment(spec(tmp_path, TOKEN="t", PATH="/mine", HOME="/root", PODIUM_SOCKET="/x"), "mark")
    assert (made["TOKEN"], made["PATH"]) == ("t", "/mine")
    assert made["HOME"] == str(tmp_path.resolve() / "home")
    assert made["PODIUM_SOCKET"] == str(tmp_path.resolve() / "run" / "ipc.sock")


def test_a_socket_path_that_is_too_long_is_given_relative_to_where_the_process_starts(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    path = agent_environment(spec(deep), "mark")["PODIUM_SOCKET"]
    assert len(path) <= SOCKET_PATH_MAX_BYTES
    assert (deep.resolve() / "workspace" / path).resolve() == deep.resolve() / "run" / "ipc.sock"


def test_processes_are_limited_only_where_the_user_id_is_the_agent_s_own() -> None:
    limits = Limits(memory=2**26, processes=7, disk=2**20)
    assert limits_of(limits, closed=False, own_user=True) == {"RLIMIT_CORE": 0}
    own = limits_of(limits, closed=True, own_user=True)
    assert (own["RLIMIT_DATA"], own["RLIMIT_FSIZE"], own["RLIMIT_NPROC"], own["RLIMIT_CORE"]) == (2**26, 2**20, 7, 0)
    assert "RLIMIT_NPROC" not in limits_of(limits, closed=True, own_user=False)
