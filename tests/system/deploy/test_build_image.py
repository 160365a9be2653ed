"""`build_image.sh`: what it asks of the container engine and of AWS, which stand-ins write down."""

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]

ENGINE: Final = """#!/bin/sh
echo "docker $*" >> "$SAID"
case "$1" in login) cat > "$SAID.password" ;; esac
"""

AWS: Final = """#!/bin/sh
echo "aws $*" >> "$SAID"
case "$1 $2" in
"sts get-caller-identity") echo 123456789012 ;;
"ecr get-login-password") echo a-password ;;
"ecr describe-images") [ -n "$PUSHED" ] ;;
"ecs describe-services") printf "$SERVICES" ;;
"ecs describe-task-definition")
    echo '{"family": "f", "revision": 1, "containerDefinitions": ['
    echo '{"name": "gateway", "image": "old"}, {"name": "coordinator", "image": "old"}]}' ;;
"ecs register-task-definition") echo "arn:new" ;;
esac
"""


class Script:
    """The script in a small repository of its own, with stand-ins for docker and aws on the path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "podium"
        self._bin = directory / "bin"
        self._said = directory / "said"
        self._bin.mkdir()
        for name, text in (("docker", ENGINE), ("aws", AWS)):
            (self._bin / name).write_text(text)
            (self._bin / name).chmod(0o755)
        for name in ("build_image.sh", "deploy/docker/with_image.py"):
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / name).write_bytes((ROOT / name).read_bytes())
        for name in (
            "src/podium/a",
            "src/chronicle/a",
            "src/diminuendo/a",
            "typescript/agent/a",
            "pyproject.toml",
            "uv.lock",
        ):
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / name).write_text("")
        for command in ("init -q", "add -A", "-c user.name=a -c user.email=a@example.com commit -q -m a"):
            subprocess.run(["git", *command.split()], cwd=self.directory, check=True, timeout=20)

    @property
    def revision(self) -> str:
        """The commit."""
        told = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=self.directory, check=True, capture_output=True, text=True
        )
        return told.stdout.strip()

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Runs it."""
        self._said.write_text("")
        path = f"{self._bin}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "build_image.sh", *arguments],
            cwd=self.directory,
            env={**os.environ, "PATH": path, "SAID": str(self._said), "SERVICES": "", "PUSHED": "", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def said(self) -> list[str]:
        """What was asked of docker and aws, in its order."""
        return self._said.read_text().splitlines()

    @property
    def password(self) -> str:
        """What docker was given to log in with."""
        return Path(f"{self._said}.password").read_text().strip()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """The script, where everything is committed."""
    return Script(tmp_path)


@pytest.mark.parametrize("arguments", [(), ("test",), ("staging", "--now"), ("staging", "--deploy", "x")])
def test_anything_but_an_environment_is_refused(script: Script, arguments: tuple[str, ...]) -> None:
    done = script.run(*arguments)
    assert done.returncode == os.EX_USAGE
    assert "./build_image.sh staging|production [--deploy]" in done.stderr
    assert script.said == []


def test_it_builds_one_image_with_three_tags(script: Script) -> None:
    assert script.run("production").returncode == 0
    (built,) = script.said
    tags = [word for word, before in zip(built.split()[1:], built.split(), strict=False) if before == "--tag"]
    assert tags == ["podium:production", "podium:latest", f"podium:{script.revision}"]
    assert "--file deploy/docker/Dockerfile --target podium" in built


def test_a_checkout_without_chronicle_is_refused(script: Script) -> None:
    (script.directory / "src" / "chronicle" / "a").unlink()
    (script.directory / "src" / "chronicle").rmdir()
    done = script.run("staging")
    assert done.returncode == 1
    assert "src/chronicle is missing" in done.stderr


def test_what_is_not_committed_can_be_built_and_not_deployed(script: Script) -> None:
    (script.directory / "src" / "podium" / "a").write_text("changed")
    assert script.run("staging").returncode == 0
    assert f"podium:{script.revision}-changed" in script.said[0]
    refused = script.run("staging", "--deploy", AWS_REGION="eu-central-1")
    assert refused.returncode == 1
    assert "not committed" in refused.stderr
    assert script.said == []


@pytest.mark.proves("DEPLOY-ROLLS")
def test_a_deploy_pushes_tells_terraform_and_rolls_what_runs_coordinators_first(script: Script) -> None:
    done = script.run("staging", "--deploy", AWS_REGION="eu-central-1", SERVICES="gateway\\tcoordinator")
    assert done.returncode == 0, done.stderr
    image = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/podium:{script.revision}"
    said = script.said
    assert f"docker push {image}" in said
    assert f"aws ssm put-parameter --name /podium/staging/image --type String --overwrite --value {image}" in said
    rolled = [line for line in said if line.startswith("aws ecs update-service")]
    assert [line.split("--service ")[1].split()[0] for line in rolled] == ["coordinator", "gateway"]
    assert all("--cluster podium-staging" in line and "--task-definition arn:new" in line for line in rolled)
    registered = [
        json.loads(line.split("--cli-input-json ")[1].rsplit(" --query", 1)[0]) for line in said if "register" in line
    ]
    assert [
        {found["name"]: found["image"] for found in definition["containerDefinitions"]} for definition in registered
    ] == [{"gateway": "old", "coordinator": image}, {"gateway": image, "coordinator": "old"}]
    waited = [number for number, line in enumerate(said) if "wait services-stable" in line]
    assert waited[0] < said.index(rolled[1]), "the next service waits for the one before"


def test_the_password_of_the_registry_is_never_an_argument(script: Script) -> None:
    script.run("staging", "--deploy", AWS_REGION="eu-central-1")
    assert script.password == "a-password"
    assert not any("a-password" in line for line in script.said)


@pytest.mark.proves("DEPLOY-ROLLS")
def test_a_commit_is_pushed_once_and_nothing_is_rolled_where_nothing_runs(script: Script) -> None:
    done = script.run("production", "--deploy", AWS_REGION="eu-central-1", PUSHED="yes")
    assert done.returncode == 0, done.stderr
    assert "is there already" in done.stdout
    assert "nothing runs in podium-production yet" in done.stdout
    assert not any("push" in line.split()[:2] or "update-service" in line for line in script.said)
