"""What an installed Podium has, as opposed to a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from podium.coordinator.adapters.deployments.environments import uv_path

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 60


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [uv_path(), "build", "--wheel", "--out-dir", str(folder), "--python", sys.executable, str(ROOT)]
    environment = {**os.environ, "UV_CACHE_DIR": str(folder / "cache"), "UV_PYTHON_DOWNLOADS": "never"}
    built = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False, env=environment, cwd=folder
    )
    if built.returncode != 0 and "hatchling" in built.stderr:
        pytest.skip(f"the build backend can't be had: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_an_installed_podium_has_the_typescript_sdk_whole(installed: Path) -> None:
    code = "from podium.base.bun import sdk_directory; print(sdk_directory())"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    told = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd="/",
    )
    found = Path(told.stdout.strip())
    assert found == (installed / "podium" / "typescript").resolve()
    source = ROOT / "typescript" / "agent"
    names = {path.relative_to(source) for path in source.glob("src/**/*.ts")} | {Path("package.json")}
    assert {path.relative_to(found) for path in found.rglob("*") if path.is_file()} == names
    assert all((found / name).read_bytes() == (source / name).read_bytes() for name in names)
