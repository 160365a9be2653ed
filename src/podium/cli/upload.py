"""Packing an agent's directory and uploading it."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from podium.cli.project import Project
from podium.wire.manifest import MANIFEST_NAME, ManifestError, parse_manifest

if TYPE_CHECKING:
    from podium.client import PodiumClient
    from podium.wire.rest import Deployment

Progress = Callable[[int, int], None]

_VERSION_LINE = re.compile(rb'(?m)^(\s*version\s*=\s*)(["\'])[^"\'\n]*\2')


@contextmanager
def packed(project: Project, version: str | None = None) -> Iterator[Path]:
    """A bundle of the project in a temporary place: the same files give the same bytes.

    `version` replaces the one of the manifest.

    Raises:
        ManifestError | SyntaxError: the project would not run.
    """
    from podium.base.bundles import pack

    files = project.files()
    project.check(files)
    manifest = project.manifest
    with tempfile.TemporaryDirectory(prefix="podium-deploy-") as folder:
        directory = project.directory
        if version is not None:
            directory = _restaged(project, files, version, Path(folder) / "files")
        bundle = Path(folder) / f"{manifest.agent_type}-{version or manifest.version}.tar.gz"
        with bundle.open("wb") as out:
            pack(directory, out, files)
        yield bundle


async def deploy(
    podium: "PodiumClient", project: Project, version: str | None = None, progress: Progress | None = None
) -> "Deployment":
    """Packs and uploads; returns what the registry says."""
    from podium.client.deployments import no_progress

    manifest = project.manifest
    with packed(project, version) as bundle:
        return await podium.deployments.upload(
            bundle, manifest.agent_type, version or manifest.version, progress or no_progress
        )


def with_version(manifest: bytes, version: str) -> bytes:
    """A manifest's text with another version.

    Raises:
        ManifestError: the version is not written as a line of its own.
    """
    changed = _VERSION_LINE.sub(rb"\g<1>\g<2>" + version.encode() + rb"\g<2>", manifest, count=1)
    if parse_manifest(changed).version != version:
        raise ManifestError(f'{MANIFEST_NAME}: write agent.version as a line of its own: version = "1.0.0"')
    return changed


def _restaged(project: Project, files: list[PurePosixPath], version: str, target: Path) -> Path:
    for path in files:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(project.directory / path, target / path, follow_symlinks=False)
    manifest = target / MANIFEST_NAME
    manifest.write_bytes(with_version(manifest.read_bytes(), version))
    return target
