"""A directory that holds nothing but links to the SDK and what it needs.

It goes to the end of an agent's search path, so that a deployment sees the SDK and not whatever else is installed
beside the coordinator.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def make_sdk_directory(parent: Path, packages: Iterable[Path]) -> Path:
    """The directory with links to `packages`, made when it is missing; named after them, so it never has to change."""
    chosen = sorted(packages)
    name = hashlib.sha256("\0".join(map(str, chosen)).encode()).hexdigest()[:16]
    directory = parent / f"sdk-{name}"
    if directory.is_dir():
        return directory
    parent.mkdir(parents=True, exist_ok=True)
    making = parent / f".sdk-{secrets.token_hex(4)}"
    making.mkdir(mode=0o755)
    for package in chosen:
        (making / package.name).symlink_to(package)
    try:
        os.rename(making, directory)
    except OSError:  # somebody else made the same one first
        for link in making.iterdir():
            link.unlink()
        making.rmdir()
    return directory
