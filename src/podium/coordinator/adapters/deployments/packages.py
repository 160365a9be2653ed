"""The packages of a deployment in TypeScript: `@podium/ts`, which ships with Podium, and what its `package.json` declares,
installed by `bun`.

`bun.lock` (or `bun.lockb`) is followed to the letter; without one the newest that fit are taken. Packages for development are left
out. No registry has `@podium/ts`: wherever it is declared it is taken out before `bun` looks, and found by a link above the bundle;
only a copy that lies in the bundle (`"file:./…"`) is installed as declared.

Scripts of packages run only when the bundle's `package.json` names `trustedDependencies`, and then without the cache other
deployments use. As root, `bun` runs under a user id of its own.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from podium.base.bun import BUN_REMEDY, BUN_VARIABLE, SDK_NAME, find_bun, link_sdk
from podium.coordinator.adapters.deployments.tools import (
    BUILDER_UID,
    give_to_builder,
    passed,
    run_all,
    take_back,
    under_builder,
)
from podium.wire.errors import ErrorCode, PodiumError

PACKAGE: Final = "package.json"
LOCK: Final = "bun.lock"
BINARY_LOCK: Final = "bun.lockb"

_GROUPS: Final = ("dependencies", "optionalDependencies", "peerDependencies")
_DEVELOPMENT: Final = "devDependencies"
_TRUSTED: Final = "trustedDependencies"
_CACHE: Final = ".packages"
_STRING_OR_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


class Declared(NamedTuple):
    """What `bun` is to install: the texts of `package.json` and `bun.lock` (None: there is no such lock), whether a lock is
    followed, and whether scripts of packages may run."""

    package: str
    lock: str | None
    frozen: bool
    scripts: bool


def bun_path(given: Path | None = None) -> Path:
    """The Bun of this host: the one that was `given`, else the one that is found.

    Raises:
        PodiumError: `agent_start_failed`, there is none.
    """
    found = find_bun() if given is None else find_bun({BUN_VARIABLE: str(given)})
    if found is None:
        raise PodiumError(
            ErrorCode.AGENT_START_FAILED, f"this host has no Bun to run agents in TypeScript with: {BUN_REMEDY}"
        )
    return found


def declared(bundle: Path) -> Declared | None:
    """What the bundle declares; None: nothing that must be installed.

    Raises:
        PodiumError: `invalid_bundle`, a file is not what its name says, or the lock can't be followed.
    """
    package = _read(bundle / PACKAGE)
    own = _is_inside(bundle, package)
    listed = not own and any([_take_out(package, group) for group in (*_GROUPS, _DEVELOPMENT)])
    if not package.get("workspaces") and not any(package.get(group) for group in _GROUPS):
        return None
    binary = (bundle / BINARY_LOCK).is_file() and not (bundle / LOCK).is_file()
    if binary and listed:
        raise PodiumError(
            ErrorCode.INVALID_BUNDLE,
            f"{BINARY_LOCK} holds {SDK_NAME}, which comes with Podium; write {LOCK} with `bun install --save-text-lockfile`",
        )
    lock = _read_lock(bundle / LOCK, listed=listed) if (bundle / LOCK).is_file() else None
    if lock is None and not binary:
        package.pop(_DEVELOPMENT, None)  # else the registry is asked for what is not installed
    return Declared(json.dumps(package), lock, lock is not None or binary, bool(package.get(_TRUSTED)))


def command(bun: Path, wanted: Declared) -> list[str]:
    """How `bun` is called."""
    # Copies: a file shared with the cache by a hard link could be changed by whoever installs next.
    flags = ["--production", "--no-progress", "--no-summary", "--backend=copyfile"]
    flags.append("--frozen-lockfile" if wanted.frozen else "--no-save")
    return [str(bun), "install", *flags, *([] if wanted.scripts else ["--ignore-scripts"])]


async def install_packages(bundle: Path, making: Path, bun: Path, seconds: float, mark: Mapping[str, str]) -> bool:
    """Links the SDK above the bundle, and makes `bundle/node_modules` if it needs one; whether it did. `mark` goes into the
    tool's environment.

    Raises:
        PodiumError: `agent_start_failed` with the tool's last lines; `invalid_bundle`. Nothing runs on.
    """
    link_sdk(making)
    wanted = declared(bundle)
    if wanted is None:
        return False
    texts = {PACKAGE: wanted.package} | ({LOCK: wanted.lock} if wanted.lock is not None else {})
    originals = {name: (bundle / name).read_bytes() for name in texts}
    scratch = making / "scratch"
    scratch.mkdir(mode=0o700)
    cache = scratch / "cache" if wanted.scripts else making.parent.parent / _CACHE
    cache.mkdir(mode=0o700, exist_ok=True)
    before = under_builder([making, cache, bun.resolve().parent])
    as_root = os.geteuid() == 0
    for name, text in texts.items():
        (bundle / name).write_text(text)
    if as_root:
        await asyncio.to_thread(give_to_builder, bundle)
        for directory in (scratch, cache):
            os.chown(directory, BUILDER_UID, BUILDER_UID)
    variables = {**passed(("BUN_CONFIG_", "NPM_CONFIG_")), **mark, "BUN_INSTALL_CACHE_DIR": str(cache)}
    variables |= {"HOME": str(scratch), "TMPDIR": str(scratch), "DO_NOT_TRACK": "1"}
    if "SSL_CERT_FILE" in variables:  # Bun does not know it
        variables.setdefault("NODE_EXTRA_CA_CERTS", variables["SSL_CERT_FILE"])
    try:
        await run_all([[*before, *command(bun.resolve(), wanted)]], bundle, variables, seconds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if as_root:
        await asyncio.to_thread(take_back, bundle)
    for name, content in originals.items():
        (bundle / name).unlink(missing_ok=True)
        (bundle / name).write_bytes(content)
    return True


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    return _object(file.name, file.read_bytes().decode(errors="replace"))


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PodiumError(ErrorCode.INVALID_BUNDLE, f"{name} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise PodiumError(ErrorCode.INVALID_BUNDLE, f"{name} is not an object")
    return found


def _is_inside(bundle: Path, package: dict[str, Any]) -> bool:
    """Whether the bundle brings an SDK of its own, as a directory of its own."""
    group = package.get("dependencies")
    given = group.get(SDK_NAME) if isinstance(group, dict) else None
    if not isinstance(given, str) or not given.startswith("file:"):
        return False
    place = (bundle / given.removeprefix("file:")).resolve()
    return place.is_relative_to(bundle.resolve()) and place.exists()


def _take_out(holder: dict[str, Any], group: str) -> bool:
    """Takes the SDK out of a group of dependencies; whether it was there."""
    names = holder.get(group)
    return isinstance(names, dict) and names.pop(SDK_NAME, None) is not None


def _read_lock(file: Path, *, listed: bool) -> str:
    """The text of `bun.lock`, which is JSON with commas at the end; `listed`: the SDK is taken out of it."""
    text = file.read_text(errors="replace")
    if not listed:
        return text
    lock = _object(LOCK, _STRING_OR_LAST_COMMA.sub(lambda match: match[1] or "", text))
    workspaces, packages = lock.get("workspaces"), lock.get("packages")
    root = workspaces.get("") if isinstance(workspaces, dict) else None
    if isinstance(root, dict):
        for group in (*_GROUPS, _DEVELOPMENT):
            _take_out(root, group)
            if root.get(group) == {}:
                del root[group]
    if isinstance(packages, dict):
        packages.pop(SDK_NAME, None)
    return json.dumps(lock)
