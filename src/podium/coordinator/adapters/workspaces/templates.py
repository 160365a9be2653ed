"""A workspace's first files: a copy of the template in the bundle."""

import os
import shutil
import stat
from pathlib import Path

from podium.coordinator.domain.ports import PreparedDeployment


def template_of(deployment: PreparedDeployment) -> Path | None:
    """The template's directory; None when the manifest names none, or it is not there."""
    if deployment.manifest.template is None:
        return None
    template = deployment.directory / deployment.manifest.template
    return template if template.is_dir() else None


def copy_template(template: Path | None, into: Path, *, mode: int) -> None:
    """Makes the directory `into`, with `mode`, holding a copy of the template. Links are copied, not followed."""
    into.mkdir(mode=0o700)
    if template is not None:
        _copy(template, into)
    into.chmod(mode)


def _copy(source: Path, into: Path) -> None:
    """Copies directories, regular files and links as links; anything else is left out.

    The source may be an agent's, who changes it meanwhile: everything is reached by descriptors of directories, and no link is
    followed.
    """
    for here, names, files, directory in os.fwalk(source, follow_symlinks=False):
        target = into / os.path.relpath(here, source)
        for name in (*names, *files):
            seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISLNK(seen.st_mode):
                os.symlink(os.readlink(name, dir_fd=directory), target / name)
            elif stat.S_ISDIR(seen.st_mode):
                (target / name).mkdir(mode=stat.S_IMODE(seen.st_mode) | 0o700, exist_ok=True)
            elif stat.S_ISREG(seen.st_mode):
                _copy_file(name, directory, target / name)


def _copy_file(name: str, directory: int, target: Path) -> None:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    with open(source, "rb") as reading:
        mode = os.fstat(source).st_mode
        if not stat.S_ISREG(mode):
            return
        with target.open("xb") as writing:
            shutil.copyfileobj(reading, writing)
        # A template's files may be read-only in the bundle; a workspace's are its agent's to change.
        target.chmod(stat.S_IMODE(mode) & 0o777 | 0o600)


def give(directory: Path, owner: tuple[int, int]) -> None:
    """Makes everything in a directory nobody else can reach `owner`'s. Links are not followed."""
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            os.chown(os.path.join(parent, name), *owner, follow_symlinks=False)
    os.chown(directory, *owner)
