"""Every example passes its own tests, is a good bundle, and works on a real platform."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.cli.project import Project
from podium.wire.events import AGENT_EVENTS
from tests.system.cli.platforms import Up, environment, running

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = ("counter", "echo", "toolsmith")

ANSWERS = "2\n1\n"
"""To the toolsmith's question the second option, to its permission the first."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with all examples deployed."""
    with running(tmp_path_factory.mktemp("examples")) as made:
        for name in NAMES:
            made.run("deploy", str(EXAMPLES / name))
        yield made


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_good_bundle_with_a_page_that_explains_it(name: str) -> None:
    project = Project(EXAMPLES / name)
    project.check(project.files())
    assert project.manifest.agent_type == name
    assert f"podium deploy examples/{name}" in (EXAMPLES / name / "README.md").read_text()


def test_echo_says_what_you_said(up: Up) -> None:
    instance_id = up.run("create", "echo").strip()
    assert up.run("send", instance_id, "hello there").strip() == "hello there"


def test_counter_remembers_over_a_stop(up: Up) -> None:
    up.run("create", "counter", "--agent", "memory", "--config", "pause_ms=0")
    assert up.run("send", "memory", "one").strip() == "message 1: 'one'"
    assert up.run("send", "memory", "count to 5").split() == ["1", "2", "3", "4", "5"]
    up.run("stop", "memory")
    up.run("create", "counter", "--agent", "memory")
    assert up.run("send", "memory", "three").strip() == "message 3: 'three'"
    assert up.json("state", "memory")["state"]["history"] == ["one", "count to 5", "three"]


def test_toolsmith_makes_every_event_an_agent_can_make(up: Up) -> None:
    up.run("create", "toolsmith", "--agent", "smith")
    said = up.run("chat", "smith", stdin="make a tool\n" + ANSWERS)
    assert "? What shall the tool be called?" in said
    assert "? allow write_file (path: words.sh)?" in said
    assert "  $ " in said
    assert "I made words.sh, and it works." in said
    events = [json.loads(line)["messageType"] for line in up.run("events", "smith", "--json").splitlines()]
    assert set(events) >= AGENT_EVENTS - {"error"}
