"""Bun, which runs agents in TypeScript, and the SDK `@podium/ts` that ships with Podium: where they are on this host."""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BUN_VARIABLE: Final = "PODIUM_BUN"
"""Environment variable that names the program."""

SDK_NAME: Final = "@podium/ts"
"""What agents import the SDK as."""

BUN_REMEDY: Final = (
    "run `make setup` in a checkout, install Bun 1.4 (https://bun.sh), or set PODIUM_BUN to the path of the program"
)
"""What to do where there is none."""

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]


def find_bun(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The program: `PODIUM_BUN`, else the one beside Podium's own programs, on `PATH`, or in a checkout's `.tools`.

    What `PODIUM_BUN` names is never replaced by another one: None when it is no program.
    """
    given = environment.get(BUN_VARIABLE)
    if given:
        program = Path(given).expanduser().absolute()
        return program if os.access(program, os.X_OK) and program.is_file() else None
    searched = (sysconfig.get_path("scripts"), environment.get("PATH", os.defpath), str(_CHECKOUT / ".tools" / "bin"))
    for path in searched:
        found = shutil.which("bun", path=path)
        if found is not None:
            return Path(found).absolute()
    return None


def sdk_directory() -> Path:
    """The directory of the package `@podium/ts`, without links: part of an installed Podium, or of a checkout.

    Raises:
        FileNotFoundError: this Podium was installed without it.
    """
    for directory in (_PACKAGE / "typescript", _CHECKOUT / "typescript" / "agent"):
        if (directory / "package.json").is_file():
            return directory.resolve()
    raise FileNotFoundError("this Podium was installed without the TypeScript SDK; install it again")


def link_sdk(directory: Path) -> Path:
    """Has modules below `directory` find `@podium/ts`, by a link in its `node_modules`; returns that `node_modules`.

    A link that leads elsewhere is replaced at once. Anything else of that name is somebody's own, and stays.

    Raises:
        OSError: the directory can't be written to.
        FileNotFoundError: see `sdk_directory`.
    """
    modules = directory / "node_modules"
    link, target = modules / SDK_NAME, sdk_directory()
    if link.is_symlink():
        if link.readlink() == target:
            return modules
    elif link.exists():
        return modules
    link.parent.mkdir(parents=True, exist_ok=True)
    making = link.with_name(f".ts-{os.getpid()}")
    making.unlink(missing_ok=True)
    making.symlink_to(target)
    making.rename(link)
    return modules
