"""Running other people's programs in a directory."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM_SECONDS = 100

QUIET = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b.c",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b.c", "LC_ALL": "C.UTF-8", "npm_config_fund": "false",
    "npm_config_audit": "false", "npm_config_update_notifier": "false",
}  # fmt: skip


def run(directory: Path, *command: str, **environment: str) -> str:
    """What the program printed; its failure fails the test."""
    home = directory.parent / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **QUIET, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def needs(program: str) -> pytest.MarkDecorator:
    """Skips where the program isn't installed."""
    place = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{Path(__file__).parents[4] / '.tools/bin'}")
    return pytest.mark.skipif(
        place is None, reason=f"{program} is not installed here (`make test` installs it where it can)"
    )
