"""Each command as a person uses it, on one platform."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podium.base.bun import find_bun
from tests.bun import needs_bun
from tests.system.cli.platforms import Up, command, environment, eventually, running


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with the agent `my-agent` deployed."""
    folder = tmp_path_factory.mktemp("commands")
    with running(folder) as made:
        made.run("new", "my-agent", "--runtime", "python")
        made.run("deploy", "my-agent")
        yield made


def _create(up: Up, agent: str) -> str:
    return up.run("create", "my-agent", "--agent", agent).strip()


def test_a_new_agent_passes_its_own_test(up: Up) -> None:
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=up.folder / "my-agent",
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        check=True,
        capture_output=True,
        timeout=60,
    )


@needs_bun
def test_a_new_agent_in_typescript_passes_its_own_test_and_answers(up: Up) -> None:
    up.run("new", "ts-agent", "--runtime", "typescript")
    bun = str(find_bun())
    subprocess.run([bun, "test"], cwd=up.folder / "ts-agent", check=True, capture_output=True, timeout=60)
    up.run("deploy", "ts-agent")
    up.run("create", "ts-agent", "--agent", "typed")
    assert "That was message 1." in up.run("send", "typed", "hello")
    assert "Bun" in up.try_run("doctor").stdout
    up.run("stop", "typed")


def test_new_refuses_what_is_there_and_names_that_are_not_allowed(up: Up) -> None:
    assert "not empty" in up.try_run("new", "my-agent").stderr
    assert up.try_run("new", "Bad_Name").returncode == 64


def test_deploying_the_same_files_again_is_the_same_deployment(up: Up) -> None:
    first, second = up.json("deploy", "my-agent"), up.json("deploy", "my-agent")
    assert first == second
    assert first["deployment_id"].startswith("my-agent:1.0.0@")
    assert first["deployment_id"] in up.run("deployments", "list", "--type", "my-agent")


def test_other_files_under_the_same_version_are_refused(up: Up) -> None:
    readme = up.folder / "my-agent" / "README.md"
    before = readme.read_text()
    readme.write_text("changed")
    answer = up.try_run("deploy", "my-agent", "--json")
    readme.write_text(before)
    assert answer.returncode == 73
    assert json.loads(answer.stderr)["error"]["code"] == "deployment_exists"


def test_mistakes_are_found_before_anything_is_sent(up: Up, tmp_path: Path) -> None:
    (tmp_path / "podium.toml").write_text("[agent]\ntype = 'x'\nversion = '1.0.0'\nruntime = 'python'\nentyr = 'a:B'\n")
    answer = up.try_run("deploy", str(tmp_path))
    assert answer.returncode == 65
    assert "did you mean 'entry'" in answer.stderr


def test_an_instance_is_created_listed_shown_and_stopped(up: Up) -> None:
    instance_id = _create(up, "listed")
    listed = up.json("ps", "--agent", "listed")
    assert [item["instance_id"] for item in listed] == [instance_id]
    assert "isolation" in up.run("show", "listed")
    assert up.json("show", instance_id)["agent_id"] == "listed"
    up.run("stop", "listed")
    assert up.json("ps", "--agent", "listed") == []
    assert [item["status"] for item in up.json("ps", "--all", "--agent", "listed")] == ["terminated"]
    assert "podium create my-agent --agent listed" in up.try_run("state", "listed").stderr
    up.run("stop", instance_id)


def test_messages_are_answered_and_what_was_said_can_be_read(up: Up) -> None:
    _create(up, "talker")
    assert up.run("send", "talker", "hello") == "Hello! You said 'hello'. That was message 1.\n"
    assert up.run("send", "talker", stdin="from a pipe").endswith("message 2.\n")
    sent = up.json("send", "talker", "third")
    assert sent["stop_reason"] == "end_turn"
    assert up.json("state", "talker")["state"]["count"] == 3
    assert json.loads(up.run("state", "talker", "--version", "0") or "{}").get("count", 0) == 0
    events = [json.loads(line) for line in up.run("events", "talker", "--json").splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "checkpoint" in up.run("events", "talker")
    up.run("logs", "talker")


def test_a_turn_that_fails_is_a_failure_of_send_and_prints_where_to_look(up: Up) -> None:
    up.run("new", "failing")
    (up.folder / "failing" / "agent.py").write_text(
        "from podium.agent import BaseAgent\n\n\nclass Failing(BaseAgent):\n"
        "    async def on_message(self, ctx, message):\n        raise RuntimeError('no luck')\n"
    )
    up.run("deploy", "failing")
    up.run("create", "failing", "--agent", "unlucky")
    answer = up.try_run("send", "unlucky", "hello")
    assert answer.returncode == 70
    assert "stopped: error: " in answer.stderr
    assert "no luck" in answer.stderr
    assert "podium logs unlucky" in answer.stderr
    as_json = up.try_run("send", "unlucky", "hello", "--json")
    result = json.loads(as_json.stdout)
    assert (as_json.returncode, result["stop_reason"]) == (70, "error")
    assert "no luck" in result["error"]
    assert "no luck" in up.run("logs", "unlucky")


def test_events_and_logs_can_be_followed(up: Up) -> None:
    _create(up, "followed")
    with _following(up, "events", "followed", "-f", "--json") as process:
        up.run("send", "followed", "hello")
        assert process.stdout is not None
        kinds: list[Any] = []
        while "checkpoint" not in kinds:
            kinds.append(json.loads(process.stdout.readline())["messageType"])
    assert "stream_update" in kinds


def _following(up: Up, *arguments: str) -> "_Following":
    return _Following(up, arguments)


class _Following:
    """A command that goes on until Ctrl-C."""

    def __init__(self, up: Up, arguments: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(
            command(*arguments), cwd=up.folder, env=environment(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        assert self._process.returncode == 130


def test_chat_works_in_a_pipe_and_goes_on_where_it_was(up: Up) -> None:
    _create(up, "chatty")
    said = up.run("chat", "chatty", stdin="one\ntwo\n")
    assert "Hello! You said 'one'. That was message 1.\n" in said
    assert "Hello! You said 'two'. That was message 2.\n" in said
    up.run("stop", "chatty")
    assert "That was message 3." in up.run("chat", "my-agent", "--agent", "chatty", stdin="three\n")


def test_secrets_and_configuration_reach_agents(up: Up) -> None:
    assert up.run("secrets", "set", "my-agent", "TOKEN=-", stdin="t0ken\n").split() == ["TOKEN"]
    assert up.json("secrets", "list", "my-agent")["names"] == ["TOKEN"]
    misspelt = up.try_run("secrets", "set", "my-agnet", "TOKEN=x")
    assert (misspelt.returncode, "is that its name?" in misspelt.stderr) == (0, True)
    up.run("secrets", "remove", "my-agent", "TOKEN")
    assert up.json("secrets", "list", "my-agent")["names"] == []
    _create(up, "configured")
    up.run("config", "set", "greeting=Welcome", "model.size=3")
    assert up.json("config", "show")["config"] == {"greeting": "Welcome", "model": {"size": 3}}
    eventually(lambda: up.run("send", "configured", "x").startswith("Welcome!"))
    up.run("config", "unset", "greeting", "model.size")


def test_keys_are_made_shown_once_and_revoked(up: Up) -> None:
    made = up.json("keys", "create", "acme", "--name", "ci", "-p", "deployments:write")
    assert made["key"].startswith("pod_")
    assert made["key"] not in up.run("keys", "list")
    up.run("keys", "revoke", made["key_id"])
    assert made["key_id"] not in up.run("keys", "list")
    assert up.try_run("keys", "create", "acme", "-p", "fly").returncode == 64


def test_an_agent_is_erased_only_when_it_rests(up: Up) -> None:
    _create(up, "gone")
    assert up.try_run("agents", "erase", "gone", "--yes").returncode == 73
    up.run("stop", "gone")
    up.run("agents", "erase", "gone", "--yes")
    assert "gone" not in [agent["agent_id"] for agent in up.json("agents", "list")]


def test_what_is_not_there_has_its_exit_code(up: Up) -> None:
    assert up.try_run("show", "inst-aaaaaaaaaaaaaaaa").returncode == 66
    assert up.try_run("send", "nobody", "hi").returncode == 66
    assert up.try_run("create", "no-such-type").returncode == 66
    assert "replica" in up.try_run("create", "my-agent", "--durability", "sync").stderr
    assert up.try_run("cancel", _create(up, "calm")).returncode == 73


def test_the_doctor_finds_this_host_fit(up: Up) -> None:
    findings = {finding["what"]: finding for finding in up.json("doctor")}
    assert findings["Python"]["good"]
    assert "process" in findings["isolation"]["found"]


@pytest.mark.parametrize("daemon", ["gateway", "coordinator"])
def test_the_daemons_alone_explain_their_configuration(up: Up, daemon: str) -> None:
    answer = subprocess.run(
        command(daemon, "--explain-config"),
        cwd=up.folder,
        env=environment(CLUSTER_KEY="c" * 40, SECRETS_KEY="s" * 40),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "PODIUM_DATA" in answer.stdout
    assert "c" * 40 not in answer.stdout
