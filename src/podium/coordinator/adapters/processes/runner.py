"""The program that runs TypeScript agents, built once per host: the SDK as one file, already compiled.

Bun reads and translates the SDK's fifty files at every start: 30 ms until an agent is linked, and 20 ms with what is built here
(medians; see docs/decisions/0011-bun-runtime.md).
"""

import hashlib
import logging
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Final

from podium.base.bun import sdk_directory

_log = logging.getLogger(__name__)

SOURCE: Final = Path("src") / "run.ts"
"""The SDK's program that runs an entry: `run.ts run DIRECTORY ENTRY`."""

BUILT_NAME: Final = "run.js"

BUILD_FLAGS: Final = (
    "--target=bun",
    "--bytecode",
    "--format=cjs",
    "--ignore-dce-annotations",  # modules that only register themselves are part of it, whatever the package says
)

BUILD_SECONDS: Final = 30.0
"""How long building may take; it takes a tenth of a second."""


def make_runner(bun: Path, parent: Path) -> Path:
    """The program, built below `parent` unless it is there for this Bun and this SDK. Blocking.

    Where it can't be built the SDK's source does the same, only slower: that is returned, and a warning logged.

    Raises:
        FileNotFoundError: this Podium was installed without the SDK.
    """
    sdk = sdk_directory()
    directory = parent / f"runner-{_fingerprint(bun, sdk)}"
    if (directory / BUILT_NAME).is_file():
        return directory / BUILT_NAME
    making = parent / f".runner-{secrets.token_hex(4)}"
    making.mkdir(mode=0o755, parents=True)
    try:
        _build(bun, sdk / SOURCE, making)
        os.rename(making, directory)
    except (OSError, subprocess.SubprocessError) as error:
        if not directory.is_dir():  # else somebody else made the same one first
            said = getattr(error, "stderr", None) or str(error)
            _log.warning("runner_not_built", extra={"reason": said[-500:]})
            return sdk / SOURCE
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return directory / BUILT_NAME


def _build(bun: Path, source: Path, target: Path) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(target), "DO_NOT_TRACK": "1"}
    subprocess.run(
        [str(bun), "build", *BUILD_FLAGS, f"--outdir={target}", str(source)],
        cwd=target,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=True,
    )
    if not (target / BUILT_NAME).is_file():
        raise OSError(f"bun built no {BUILT_NAME}")
    for file in target.iterdir():
        file.chmod(0o644)


def _fingerprint(bun: Path, sdk: Path) -> str:
    """Names a Bun and an SDK: other ones need another program."""
    found = bun.resolve()
    facts = (found, found.stat().st_mtime_ns, found.stat().st_size, *BUILD_FLAGS)
    digest = hashlib.sha256(" ".join(map(str, facts)).encode())
    for file in sorted(sdk.glob("src/**/*.ts")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
