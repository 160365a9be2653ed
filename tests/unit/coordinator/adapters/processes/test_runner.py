"""The program that runs TypeScript agents: built once, and never missing."""

import subprocess
from pathlib import Path

import pytest

from podium.base.bun import find_bun, sdk_directory
from podium.coordinator.adapters.processes.runner import SOURCE, make_runner
from tests.bun import needs_bun


@needs_bun
def test_it_is_built_once_and_does_what_its_source_does(tmp_path: Path) -> None:
    bun = find_bun()
    assert bun is not None
    runner = make_runner(bun, tmp_path / "processes")
    built_at = runner.stat().st_mtime_ns
    assert make_runner(bun, tmp_path / "processes") == runner
    assert runner.stat().st_mtime_ns == built_at
    assert runner.with_suffix(".js.jsc").is_file()
    assert list((tmp_path / "processes").iterdir()) == [runner.parent]
    for program in (runner, sdk_directory() / SOURCE):
        said = subprocess.run([bun, program], capture_output=True, text=True, check=False, timeout=30)
        assert (said.returncode, "usage" in said.stderr) == (64, True)


@pytest.mark.noisy("runner_not_built")
def test_a_bun_that_can_not_build_it_runs_the_source(tmp_path: Path) -> None:
    broken = tmp_path / "bun"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert make_runner(broken, tmp_path / "processes") == sdk_directory() / SOURCE
    assert list((tmp_path / "processes").iterdir()) == []
