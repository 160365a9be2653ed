"""Terraform itself, over a provider that has the real schema of AWS and no cloud behind it."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[4]
HERE: Final = Path(__file__).parent
TOOLS: Final = ROOT / ".tools" / "deploy" / "bin"
ENVIRONMENTS: Final = ("staging", "production")
SECONDS: Final = 240
"""For all commands of a test together: some seconds, on a machine that has nothing else to do."""

LOCAL_BACKEND: Final = 'terraform {\n  backend "local" {}\n}\n'
"""Takes the place of the bucket that keeps an environment's state."""


PLAN_NAME: Final = "tested.tfplan"
VARIABLES: Final = "-no-color -input=false -var-file=example.tfvars -var=diminuendo_enabled=true"

Plan = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a command ended with."""

    code: int
    output: str
    errors: str


class Terraform:
    """Runs commands in a copy of `deploy/terraform`."""

    def __init__(self, directory: Path, reattach: str) -> None:
        self.directory = directory
        self._environment = {
            **os.environ,
            "TF_REATTACH_PROVIDERS": reattach,
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def run(self, *commands: tuple[str, str]) -> list[Outcome]:
        """Runs `(directory below deploy/terraform, command line)` one after another."""
        wanted = [[str(self.directory / where), line.split()] for where, line in commands]
        done = subprocess.run(
            [TOOLS / "python", HERE / "run_terraform.py"],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return [Outcome(*result) for result in json.loads(done.stdout)]


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Terraform with its provider; one of both for all tests."""
    if not (TOOLS / "python").exists():
        pytest.skip("Terraform is not installed (bash tools/set_up_deploy_tools.sh)")
    directory = tmp_path_factory.mktemp("terraform") / "deploy"
    shutil.copytree(ROOT / "deploy" / "terraform", directory, ignore=shutil.ignore_patterns(".terraform", "*.tfvars.*"))
    for name in ENVIRONMENTS:
        (directory / "environments" / name / "backend_override.tf").write_text(LOCAL_BACKEND)
    with tempfile.TemporaryDirectory(prefix="podium-tf-") as place:  # a socket's path is short
        provider = subprocess.Popen(
            [TOOLS / "python", HERE / "stub_provider.py", HERE / "aws_schema.json", f"{place}/socket"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert provider.stdout is not None
        try:
            reattach = provider.stdout.readline().strip()
            assert reattach, "the provider does not serve"
            yield Terraform(directory, reattach)
        finally:
            provider.kill()
            provider.wait()
            provider.stdout.close()


def planned(terraform: Terraform, name: str) -> Plan:
    """The plan of an environment with Diminuendo, as Terraform tells it; it is left beside, to be applied."""
    where = f"environments/{name}"
    *made, shown = terraform.run(
        (where, "init -no-color -input=false"),
        (where, f"plan {VARIABLES} -out={PLAN_NAME}"),
        (where, f"show -json {PLAN_NAME}"),
    )
    for outcome in made:
        assert outcome.code == 0, outcome.errors
    return dict(json.loads(shown.output))
