"""The Terraform of `deploy/` is valid, well formed, planned and applied without an error, and keeps no password."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.system.deploy.terraform.conftest import (
    ENVIRONMENTS,
    PLAN_NAME,
    ROOT,
    SECONDS,
    TOOLS,
    VARIABLES,
    Terraform,
    planned,
)

pytestmark = pytest.mark.timeout(2 * SECONDS)


@pytest.mark.proves("DEPLOY-TERRAFORM-VALID")
def test_everything_is_formatted_and_valid_against_the_schema_of_aws(terraform: Terraform) -> None:
    commands = ("init -no-color -input=false", "validate -no-color")
    formatted, *others = terraform.run(
        (".", "fmt -check -recursive -diff"),
        *((f"environments/{name}", command) for name in ENVIRONMENTS for command in commands),
    )
    assert formatted.code == 0, formatted.output
    assert [(outcome.code, outcome.errors) for outcome in others] == [(0, "")] * 4


@pytest.mark.proves("DEPLOY-TERRAFORM-VALID")
def test_a_misspelt_argument_would_be_refused(terraform: Terraform, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('resource "aws_lb" "this" {\n  idle_time = 1\n}\n')
    init, validate = terraform.run((str(tmp_path), "init -no-color"), (str(tmp_path), "validate -no-color"))
    assert init.code == 0, init.errors
    assert validate.code == 1
    assert "Unsupported argument" in validate.errors
    assert "idle_time" in validate.errors


def test_the_modules_hold_what_their_own_tests_say(terraform: Terraform) -> None:
    where = "modules/platform"
    init, tested = terraform.run((where, "init -no-color -input=false"), (where, "test -no-color"))
    assert init.code == 0, init.errors
    assert tested.code == 0, tested.output[-6000:] + tested.errors[-6000:]
    assert "0 failed" in tested.output


@pytest.mark.proves("DEPLOY-NO-SECRET-IN-STATE")
def test_a_second_apply_changes_nothing_and_no_password_is_in_state_or_plan(terraform: Terraform) -> None:
    where, plan = "environments/staging", planned(terraform, "staging")
    applied, again = terraform.run(
        (where, f"apply -no-color -input=false -auto-approve {PLAN_NAME}"),
        (where, f"plan -detailed-exitcode {VARIABLES}"),
    )
    assert applied.code == 0, applied.errors
    assert again.code == 0, again.output[-3000:] + again.errors
    state = (terraform.directory / where / "terraform.tfstate").read_text()
    assert "podium-staging/valkey-url" in state
    assert "drawn-password" not in state + json.dumps(plan)


@pytest.mark.proves("DEPLOY-POLICIES")
def test_the_policy_scanner_finds_nothing_that_has_no_reason(tmp_path: Path) -> None:
    if not (TOOLS / "checkov").exists():
        pytest.skip("checkov is not installed (bash tools/set_up_deploy_tools.sh)")
    config = ROOT / "deploy" / "terraform" / "checkov.yaml"
    done = subprocess.run(
        [TOOLS / "checkov", "--directory", ROOT / "deploy", "--config-file", config, "--output", "json"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.stdout.startswith("["), done.stderr[-2000:]
    reports = json.loads(done.stdout)
    assert {report["check_type"] for report in reports} == {"terraform", "dockerfile"}
    for report in reports:
        assert report["results"]["failed_checks"] == [], report["results"]["failed_checks"][:3]
        assert report["summary"]["parsing_errors"] == 0
        assert report["summary"]["passed"] > 50


def test_every_finding_that_is_left_has_its_reason() -> None:
    lines = (ROOT / "deploy" / "terraform" / "checkov.yaml").read_text().splitlines()
    skipped = [number for number, line in enumerate(lines) if line.startswith("  - CKV")]
    assert skipped
    assert all(lines[number - 1].startswith("  # ") for number in skipped)
