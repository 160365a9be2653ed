"""Packages of TypeScript deployments: what is declared, what is installed, and where the SDK comes from."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from podium.base.bun import find_bun, sdk_directory
from podium.coordinator.adapters.deployments.packages import bun_path, command, declared, install_packages
from podium.coordinator.adapters.deployments.tools import run_all, under_builder
from podium.wire.errors import ErrorCode, PodiumError
from tests.bun import needs_bun

LOCK = """{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "a, ]",
      "dependencies": {
        "@podium/ts": "^0.1.0",
        "tiny": "file:./tiny",
      },
    },
  },
  "packages": {
    "@podium/ts": ["@podium/ts@0.1.0", "", {}, "sha512-x=="],

    "tiny": ["tiny@file:tiny", {}],
  }
}
"""


def bundle(directory: Path, **package: Any) -> Path:
    """A bundle with a package of its own, `tiny`, beside its `package.json`."""
    made = directory / "making" / "agent" / "bundle"
    (made / "tiny").mkdir(parents=True)
    (made / "tiny" / "package.json").write_text('{"name": "tiny", "version": "1.0.0", "main": "index.js"}')
    (made / "tiny" / "index.js").write_text("export const value = 42;\n")
    (made / "package.json").write_text(json.dumps({"name": "a", **package}))
    return made


async def install(made: Path, seconds: float = 30.0) -> bool:
    for parent in (made, *made.parents[:3]):  # as a builder's user id reaches it
        parent.chmod(0o755)
    try:
        return await install_packages(made, made.parent, find_bun() or Path("bun"), seconds, {})
    except PodiumError as error:
        error.add_note("\n".join(error.logs or ["nothing was printed"]))
        raise


def run(made: Path, code: str) -> str:
    (made / "main.ts").write_text(code)
    done = subprocess.run(
        [str(find_bun()), "--no-install", str(made / "main.ts")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_bundle_without_dependencies_installs_nothing(tmp_path: Path) -> None:
    assert declared(bundle(tmp_path, devDependencies={"typescript": "7"})) is None
    assert declared(bundle(tmp_path / "b", dependencies={"@podium/ts": "*"})) is None
    assert declared(tmp_path) is None


def test_the_sdk_is_taken_out_of_package_and_lock_and_the_rest_stays(tmp_path: Path) -> None:
    made = bundle(tmp_path, dependencies={"@podium/ts": "^0.1.0", "tiny": "file:./tiny"})
    (made / "bun.lock").write_text(LOCK)
    wanted = declared(made)
    assert wanted is not None
    assert wanted.frozen
    assert json.loads(wanted.package)["dependencies"] == {"tiny": "file:./tiny"}
    assert json.loads(wanted.lock or "") == {
        "lockfileVersion": 1,
        "workspaces": {"": {"name": "a, ]", "dependencies": {"tiny": "file:./tiny"}}},
        "packages": {"tiny": ["tiny@file:tiny", {}]},
    }


def test_a_lock_without_the_sdk_is_left_as_it_is(tmp_path: Path) -> None:
    made = bundle(tmp_path, dependencies={"tiny": "file:./tiny"})
    (made / "bun.lock").write_text("// as it is")
    wanted = declared(made)
    assert wanted is not None
    assert wanted.lock == "// as it is"


def test_an_sdk_in_the_bundle_is_installed_as_declared_and_one_outside_is_not(tmp_path: Path) -> None:
    inside = declared(bundle(tmp_path / "a", dependencies={"@podium/ts": "file:./tiny"}))
    assert inside is not None
    assert json.loads(inside.package)["dependencies"] == {"@podium/ts": "file:./tiny"}
    assert declared(bundle(tmp_path / "b", dependencies={"@podium/ts": "file:../../.."})) is None


def test_scripts_run_only_for_bundles_that_trust_packages(tmp_path: Path) -> None:
    careful = declared(bundle(tmp_path / "a", dependencies={"tiny": "1"}))
    trusting = declared(bundle(tmp_path / "b", dependencies={"tiny": "1"}, trustedDependencies=["tiny"]))
    assert careful is not None
    assert trusting is not None
    assert "--ignore-scripts" in command(Path("bun"), careful)
    assert "--ignore-scripts" not in command(Path("bun"), trusting)


@pytest.mark.parametrize(
    "files",
    [
        {"package.json": "{"},
        {"package.json": "[]"},
        {"package.json": '{"dependencies": {"@podium/ts": "1", "tiny": "1"}}', "bun.lock": "{"},
        {"package.json": '{"dependencies": {"@podium/ts": "1", "tiny": "1"}}', "bun.lockb": "binary"},
    ],
    ids=["no JSON", "no object", "no lock", "a binary lock with the SDK"],
)
def test_what_can_not_be_read_is_a_fault_of_the_bundle(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(PodiumError) as refused:
        declared(tmp_path)
    assert refused.value.code is ErrorCode.INVALID_BUNDLE


@needs_bun
async def test_the_sdk_that_ships_is_found_though_no_package_declares_it(tmp_path: Path) -> None:
    made = bundle(tmp_path)
    assert not await install(made)
    assert run(made, 'console.log(import.meta.resolve("@podium/ts"))') == (sdk_directory() / "src/index.ts").as_uri()


@needs_bun
@pytest.mark.parametrize("locked", [False, True])
async def test_packages_are_installed_beside_the_sdk_that_is_listed(tmp_path: Path, locked: bool) -> None:
    made = bundle(tmp_path, dependencies={"@podium/ts": "^0.1.0", "tiny": "file:./tiny"}, devDependencies={"none": "1"})
    before = (made / "package.json").read_bytes()
    if locked:
        (made / "package.json").write_text('{"name": "a", "dependencies": {"tiny": "file:./tiny"}}')
        environment = {**os.environ, "BUN_INSTALL_CACHE_DIR": str(tmp_path / "cache")}
        subprocess.run([str(find_bun()), "install", "--lockfile-only"], cwd=made, check=True, env=environment)
        before = before.replace(b', "devDependencies": {"none": "1"}', b"")
        (made / "package.json").write_bytes(before)
        lock = (made / "bun.lock").read_text()
        listed = lock.replace('"tiny": "file:./tiny",', '"@podium/ts": "^0.1.0",\n"tiny": "file:./tiny",', 1)
        (made / "bun.lock").write_text(listed)
    assert await install(made)
    assert run(made, 'import {value} from "tiny"; console.log(value, import.meta.resolve("@podium/ts"))') == (
        f"42 {(sdk_directory() / 'src/index.ts').as_uri()}"
    )
    assert (made / "package.json").read_bytes() == before
    assert (made / "node_modules").stat().st_uid == os.geteuid()
    assert (made / "bun.lock").exists() == locked
    assert not (made.parent / "scratch").exists()


@needs_bun
async def test_packages_that_can_not_be_installed_tell_why(tmp_path: Path) -> None:
    made = bundle(tmp_path, dependencies={"gone": "file:./gone"})
    with pytest.raises(PodiumError) as refused:
        await install(made)
    assert refused.value.code is ErrorCode.AGENT_START_FAILED
    assert any("gone" in line for line in refused.value.logs or []), (str(refused.value), refused.value.logs)
    assert "the installer ended with exit code 1" in str(refused.value)


@pytest.mark.parametrize(("number", "said"), [(9, "was killed by SIGKILL"), (11, "was killed by SIGSEGV")])
async def test_an_installer_that_was_killed_before_it_said_anything_is_told_by_its_signal(
    tmp_path: Path, number: int, said: str
) -> None:
    # A shell within a shell: the outer one is the first process of its namespace, which no signal of its own ends.
    tmp_path.chmod(0o755)  # as a builder's user id reaches it
    dying = ["/bin/sh", "-c", f"sh -c 'kill -{number} $$'; exit $?"]
    with pytest.raises(PodiumError, match=said) as refused:
        await run_all([[*under_builder([tmp_path]), *dying]], tmp_path, {"PATH": os.defpath}, 30)
    assert refused.value.code is ErrorCode.AGENT_START_FAILED


def test_without_bun_the_error_names_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PodiumError, match=r"set PODIUM_BUN") as refused:
        bun_path(tmp_path / "nothing")
    assert refused.value.code is ErrorCode.AGENT_START_FAILED
