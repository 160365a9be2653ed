"""A workspace's first files: a copy of the template in the bundle."""

import os
import shutil
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
    if template is None:
        into.mkdir(mode=mode)
    else:
        shutil.copytree(template, into, symlinks=True, copy_function=shutil.copy)
        _make_writable(into)
    into.chmod(mode)


def give(directory: Path, owner: tuple[int, int]) -> None:
    """Makes everything in a directory nobody else can reach `owner`'s. Links are not followed."""
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            os.chown(os.path.join(parent, name), *owner, follow_symlinks=False)
    os.chown(directory, *owner)


def _make_writable(directory: Path) -> None:
    """A template's files may be read-only in the bundle; a workspace's are its agent's to change."""
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o600)
