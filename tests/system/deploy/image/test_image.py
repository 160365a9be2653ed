"""The image's own steps, carried out on this host, make a platform whose entry points bring up agents that answer."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.contract.s3_server import S3Server
from tests.contract.servers import Server
from tests.system.daemons import ADMIN_KEY, Daemons, descendants
from tests.system.deploy.documents import run_line, variables_of_run_line
from tests.system.deploy.image.container import Containers, ready
from tests.system.deploy.image.host_root import HostRoot, Unavailable, lacking
from tests.system.deploy.image.platform import talk
from tests.waiting import free_port, wait_until

SECRETS: Final = {"CLUSTER_KEY": "cluster-key-of-a-test-0123456789", "SECRETS_KEY": "secrets-key-of-a-test-0123456789"}
PODIUM_UID: Final = 10001
HEALTHY_SECONDS: Final = 60.0

pytestmark = pytest.mark.timeout(300)  # a busy machine compiles what was just installed


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostRoot]:
    """The file system of the image."""
    reason = lacking()
    if reason is not None:
        pytest.skip(f"the image can't be made here: {reason}")
    made = HostRoot(tmp_path_factory.mktemp("image"))
    try:
        made.make()
        yield made
    except Unavailable as error:
        pytest.skip(f"the image can't be made here: {error}")
    finally:
        made.close()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Valkey and S3, as variables that name them."""
    directory = tmp_path_factory.mktemp("stores")
    valkey, s3 = Server(directory / "valkey"), S3Server(directory / "s3")
    try:
        valkey.start()
        s3.start()
        yield {"VALKEY_URL": f"redis://127.0.0.1:{valkey.port}", **s3.environment()}
    finally:
        s3.stop()
        valkey.kill()


@pytest.fixture
def containers(root: HostRoot, tmp_path: Path) -> Iterator[Containers]:
    """What a test starts out of the image."""
    made = Containers(root, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.proves("DEPLOY-RUN-LINE", "DEPLOY-IMAGE-RUNS")
async def test_the_documented_run_line_brings_a_platform_up(
    root: HostRoot, stores: dict[str, str], containers: Containers, tmp_path: Path
) -> None:
    gateway = Daemons(tmp_path)
    given = variables_of_run_line()
    words = run_line()
    assert words[-1].startswith("podium:"), "the line names no role: the image's own command is what runs"
    ports = {
        "GATEWAY_PORT": str(gateway.gateway_port),
        "COORDINATOR_PORT": str(gateway.coordinator_port),
        "DIMINUENDO_PORT": str(free_port()),
    }
    meant = {
        **stores,
        "CHRONICLE_ENABLE": given["CHRONICLE_ENABLE"],
        "CHRONICLE_S3_BUCKET": "podium-files",
        "ADMIN_API_KEY": ADMIN_KEY,
        "SECRETS_KEY": SECRETS["SECRETS_KEY"],
    }
    # Exactly the documented variables, and where this host's stores and ports are.
    environment = {name: meant[name] for name in given}
    here = {name: value for name, value in stores.items() if name.startswith("AWS_")}
    containers.start("up", root.final.command("CMD"), environment | here | ports, privileged=True)
    await ready(containers, gateway)
    await talk(gateway, tmp_path)

    async def healthy() -> bool:
        return (await asyncio.to_thread(root.run, ["podium-image", "health", "up"], ports)).returncode == 0

    await wait_until(healthy, HEALTHY_SECONDS, "a healthy container, Diminuendo included")
    assert containers.stop("up") == 0


@pytest.mark.proves("DEPLOY-IMAGE-RUNS")
async def test_each_role_runs_alone_and_only_coordinators_keep_root(
    root: HostRoot, stores: dict[str, str], containers: Containers, tmp_path: Path
) -> None:
    gateway = Daemons(tmp_path)
    ports = {
        "GATEWAY_PORT": str(gateway.gateway_port),
        "COORDINATOR_PORT": str(gateway.coordinator_port),
        "DIMINUENDO_PORT": str(free_port()),
    }
    shared = {**stores, **SECRETS, **ports, "S3_PREFIX": "roles"}
    containers.start("coordinator", ["coordinator"], shared, privileged=True)
    containers.start("gateway", ["gateway"], {**shared, "ADMIN_API_KEY": ADMIN_KEY})
    await ready(containers, gateway)
    key = await talk(gateway, tmp_path, ("python",))
    sessions = {"PODIUM_URL": gateway.url, "PODIUM_API_KEY": key, **ports}
    containers.start("diminuendo", ["diminuendo"], sessions)

    async def all_healthy() -> bool:
        containers.check()
        asked = [
            asyncio.to_thread(root.run, ["podium-image", "health", role], ports)
            for role in ("gateway", "coordinator", "diminuendo")
        ]
        return all(done.returncode == 0 for done in await asyncio.gather(*asked))

    await wait_until(all_healthy, HEALTHY_SECONDS, "three roles that are healthy")
    assert users(containers, "gateway") == users(containers, "diminuendo") == {PODIUM_UID}
    assert 0 in users(containers, "coordinator")
    assert [containers.stop(name) for name in ("diminuendo", "gateway", "coordinator")] == [0, 0, 0]
    name = await asyncio.to_thread(root.run, ["cat", "/data/coordinator-name"])
    assert name.stdout.startswith("coord-"), "the coordinator's name is kept with its data"


def test_a_role_without_its_configuration_refuses_to_start_and_says_all(root: HostRoot) -> None:
    refused = root.run(["podium-image", "gateway"])
    assert refused.returncode == os.EX_CONFIG
    assert "CLUSTER_KEY is missing" in refused.stderr
    assert "ADMIN_API_KEY" in refused.stderr


def users(containers: Containers, name: str) -> set[int]:
    """User ids of the processes of a container, tini's own left out."""
    found = set()
    for pid in descendants(containers.pid(name)):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        found.add(int(next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))))
    return found
