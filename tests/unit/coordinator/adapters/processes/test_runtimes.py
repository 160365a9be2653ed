"""What differs between the runtimes."""

import sys
from pathlib import Path
from typing import Literal

import pytest

from podium.agent.process.orders import GATE_DESCRIPTOR
from podium.base.bun import link_sdk, sdk_directory
from podium.coordinator.adapters.processes.environment import agent_environment
from podium.coordinator.adapters.processes.runtimes import (
    BUN_ENVIRONMENT,
    BUN_RESERVE_BYTES,
    agent_command,
    homes,
    process_limits,
    template_command,
    tree_limits,
)
from podium.coordinator.domain.ports import PreparedDeployment, ProcessSpec
from podium.wire.manifest import Limits, Manifest
from podium.wire.rest import Deployment


def deployment(directory: Path, runtime: Literal["python", "typescript"]) -> PreparedDeployment:
    entry, interpreter = ("agent:A", sys.executable) if runtime == "python" else ("src/agent.ts", directory / "bun")
    described = Deployment("a:1.0.0@00000000", "a", "1.0.0", "sha256:" + "0" * 64, 1, runtime, 0)
    return PreparedDeployment(
        described, Manifest("a", "1.0.0", runtime, entry), directory / "bundle", Path(interpreter)
    )


def test_every_template_is_python_and_only_python_agents_are(tmp_path: Path) -> None:
    made, runner = deployment(tmp_path, "typescript"), tmp_path / "run.js"
    assert template_command(made, tmp_path)[0] == sys.executable
    command = agent_command(made, tmp_path, runner, waits=True)
    assert command[0] == str(tmp_path / "bun")
    assert command[-5:] == [str(runner), "run", str(tmp_path / "bundle"), "src/agent.ts", str(GATE_DESCRIPTOR)]
    python = agent_command(deployment(tmp_path, "python"), tmp_path, None, waits=False)
    assert (python[0], python[-3:]) == (sys.executable, ["run", str(tmp_path / "bundle"), "agent:A"])


def test_what_runs_typescript_is_reachable(tmp_path: Path) -> None:
    made = deployment(tmp_path, "typescript")
    runner = tmp_path / "processes" / "run.js"
    wanted = [tmp_path / "bundle", tmp_path, sdk_directory(), tmp_path / "processes"]
    assert homes(made, runner) == wanted
    modules = link_sdk(tmp_path)
    assert homes(made, runner) == [*wanted, modules]


def test_there_is_room_for_what_bun_needs_for_itself(tmp_path: Path) -> None:
    limits = Limits(memory=2**29, processes=7, disk=2**20)
    python, typescript = deployment(tmp_path, "python"), deployment(tmp_path, "typescript")
    assert process_limits(python, limits) == tree_limits(python, limits) == limits
    assert tree_limits(typescript, limits) == Limits(memory=2**29, processes=23, disk=2**20)
    assert process_limits(typescript, limits) == Limits(memory=2**29 + BUN_RESERVE_BYTES, processes=23, disk=2**20)


@pytest.mark.parametrize(("runtime", "told"), [("python", set()), ("typescript", set(BUN_ENVIRONMENT))])
def test_an_author_may_tell_bun_something_else(
    tmp_path: Path, runtime: Literal["python", "typescript"], told: set[str]
) -> None:
    given = {"DO_NOT_TRACK": "0"}
    made = deployment(tmp_path, runtime)
    spec = ProcessSpec("i", "a", "t", made, tmp_path, tmp_path / "workspace", given, Limits(), 1)
    environment = agent_environment(spec, "mark")
    assert environment["DO_NOT_TRACK"] == "0"
    assert told <= environment.keys()
    assert told | given.keys() | {"PATH"} >= {name for name in environment if name.startswith(("BUN_", "DO_", "PATH"))}
