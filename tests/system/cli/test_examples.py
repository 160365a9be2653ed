"""Every example passes its own tests, is a good bundle, and works on a real platform."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.base.bun import find_bun
from podium.cli.project import Project, provide_sdk
from podium.wire.events import AGENT_EVENTS
from tests.agents import Runtime, in_every_language
from tests.bun import needs_bun
from tests.system.cli.platforms import Up, environment, running

EXAMPLES = Path(__file__).parents[3] / "examples"
AGENTS = ("counter", "echo", "toolsmith")
NAMES = tuple(name + suffix for name in AGENTS for suffix in ("", "-ts"))

ANSWERS = "2\n1\n"
"""To the toolsmith's question the second option, to its permission the first."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with all examples deployed."""
    with running(tmp_path_factory.mktemp("examples")) as made:
        for name in NAMES if find_bun() else AGENTS:
            made.run("deploy", str(EXAMPLES / name))
        yield made


@pytest.fixture
def suffix(runtime: Runtime) -> str:
    """What an example's name ends in, in a language."""
    return {"python": "", "typescript": "-ts"}[runtime]


@pytest.mark.parametrize("name", AGENTS)
def test_its_own_tests_pass(name: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."],
        cwd=EXAMPLES / name,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@needs_bun
@pytest.mark.parametrize("name", AGENTS)
def test_its_own_tests_pass_in_typescript(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / f"{name}-ts", folder, ignore=shutil.ignore_patterns("node_modules"))
    provide_sdk(folder)
    answer = subprocess.run(
        [str(find_bun()), "test"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert " 0 fail" in answer.stderr


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_good_bundle_with_a_page_that_explains_it(name: str) -> None:
    project = Project(EXAMPLES / name)
    project.check(project.files())
    assert project.manifest.agent_type == name
    assert f"podium deploy examples/{name}" in (EXAMPLES / name / "README.md").read_text()


@pytest.mark.proves("SDK-EXAMPLES-EQUAL")
@in_every_language
def test_echo_says_what_you_said(up: Up, suffix: str) -> None:
    instance_id = up.run("create", f"echo{suffix}").strip()
    assert up.run("send", instance_id, "hello there").strip() == "hello there"


@pytest.mark.proves("SDK-EXAMPLES-EQUAL")
@in_every_language
def test_counter_remembers_over_a_stop(up: Up, suffix: str) -> None:
    memory = f"memory{suffix}"
    up.run("create", f"counter{suffix}", "--agent", memory, "--config", "pause_ms=0")
    assert up.run("send", memory, "one").strip() == "message 1: 'one'"
    assert up.run("send", memory, "count to 5").split() == ["1", "2", "3", "4", "5"]
    up.run("stop", memory)
    up.run("create", f"counter{suffix}", "--agent", memory)
    assert up.run("send", memory, "three").strip() == "message 3: 'three'"
    assert up.json("state", memory)["state"]["history"] == ["one", "count to 5", "three"]


@pytest.mark.proves("SDK-EXAMPLES-EQUAL")
@in_every_language
def test_toolsmith_makes_every_event_an_agent_can_make(up: Up, suffix: str) -> None:
    smith = f"smith{suffix}"
    up.run("create", f"toolsmith{suffix}", "--agent", smith)
    said = up.run("chat", smith, stdin="make a tool\n" + ANSWERS)
    assert "? What shall the tool be called?" in said
    assert "? allow write_file (path: words.sh)?" in said
    assert "  $ " in said
    assert "I made words.sh, and it works." in said
    events = [json.loads(line)["messageType"] for line in up.run("events", smith, "--json").splitlines()]
    assert set(events) >= AGENT_EVENTS - {"error"}
