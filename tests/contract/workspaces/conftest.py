"""Each kind of workspaces, ready, over a directory of the test's own."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podium.coordinator.adapters.workspaces import DirectoryWorkspaces, VersionedSettings, VersionedWorkspaces, Whose
from podium.coordinator.domain.ports import PreparedDeployment, Workspaces
from podium.wire.manifest import Limits, Manifest
from podium.wire.rest import Deployment

KINDS = ("directory", "watch", "fuse")
VERSIONED = ("watch", "fuse")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What keeps the workspaces."""
    wanted = str(request.param)
    if wanted == "fuse" and not (os.geteuid() == 0 and os.access("/dev/fuse", os.W_OK)):
        pytest.skip("mounting needs root and /dev/fuse")
    return wanted


@asynccontextmanager
async def started(kind: str, data: Path, linger: float = 60.0, *, pooled: bool = True) -> AsyncIterator[Workspaces]:
    """Workspaces of a kind, from start to stop."""
    data.mkdir(exist_ok=True)
    made: Workspaces
    if kind == "directory":
        made = DirectoryWorkspaces(data / "agents")
    else:
        settings = VersionedSettings(backend="fuse" if kind == "fuse" else "watch", linger=linger, pooled=pooled)
        made = VersionedWorkspaces(data, settings, Whose(lambda _: "acme", lambda _: None))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def workspaces(kind: str, tmp_path: Path) -> AsyncIterator[Workspaces]:
    """Workspaces of every kind."""
    async with started(kind, tmp_path / "data") as made:
        yield made


@pytest.fixture
def deployment(tmp_path: Path) -> Callable[..., PreparedDeployment]:
    """Makes a deployment on this host; `template`: name and content of its files."""

    def make(template: dict[str, str] | None = None, exclude: tuple[str, ...] = ()) -> PreparedDeployment:
        bundle = tmp_path / "bundle"
        (bundle / "skeleton").mkdir(parents=True, exist_ok=True)
        for name, text in (template or {}).items():
            file = bundle / "skeleton" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        manifest = Manifest(
            agent_type="t",
            version="1.0.0",
            runtime="python",
            entry="agent:Agent",
            limits=Limits(disk=64 * 2**20),
            exclude=list(exclude),
            template="skeleton" if template else None,
        )
        known = Deployment("t:1.0.0@12345678", "t", "1.0.0", "sha256:" + "0" * 64, 0, "python", 0)
        return PreparedDeployment(known, manifest, bundle, Path("/usr/bin/python3"))

    return make
