"""The image as it is: built by `build_image.sh`, run by a container engine. `make image-test` runs this; it takes some minutes.

Not part of the suite, which carries out the same Dockerfile on the host instead (test_image.py) and takes seconds for it.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.agents import source
from tests.contract.s3_server import S3Server
from tests.contract.servers import Server
from tests.noise.leaks import children
from tests.system.api import Caller
from tests.system.daemons import ADMIN_KEY, Daemons, reap_adopted
from tests.system.deploy.documents import run_line, variables_of_run_line
from tests.system.deploy.image.container import Containers, ready
from tests.system.deploy.image.dockerfile import arguments
from tests.system.deploy.image.engine import BuiltImage, Docker, Podman, build
from tests.system.deploy.image.host_root import DOCKERFILE, PROGRAMS, ROOT
from tests.system.deploy.image.platform import talk
from tests.waiting import free_port, wait_until

SECRETS: Final = {"CLUSTER_KEY": "cluster-key-of-a-test-0123456789", "SECRETS_KEY": "secrets-key-of-a-test-0123456789"}

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.leaves("processes", "mounts", "files"),  # what engines keep of their stores while the module runs
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltImage]:
    """The image, built."""
    if Docker.there():
        build(docker := Docker())
        yield BuiltImage(docker)
        return
    engine = Podman(tmp_path_factory.mktemp("engine"))
    try:
        images = arguments(DOCKERFILE)
        for stage, (program, inside) in PROGRAMS.items():
            engine.bring(images[f"{stage.upper()}_IMAGE"], ROOT / program, inside)
        build(engine)
        yield BuiltImage(engine)
    finally:
        engine.close()
        reap_adopted(children())  # the engine's own watchers of containers, which nobody else takes leave of


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Valkey and S3, as variables that name them."""
    valkey, s3 = Server(tmp_path / "valkey"), S3Server(tmp_path / "s3")
    try:
        valkey.start()
        s3.start()
        yield {"VALKEY_URL": f"redis://127.0.0.1:{valkey.port}", **s3.environment()}
    finally:
        s3.stop()
        valkey.kill()


@pytest.fixture
def containers(image: BuiltImage, tmp_path: Path) -> Iterator[Containers]:
    """What a test starts."""
    made = Containers(image, tmp_path)
    try:
        yield made
    finally:
        made.close()


async def test_the_documented_line_runs_a_platform(
    image: BuiltImage, stores: dict[str, str], containers: Containers, tmp_path: Path
) -> None:
    gateway = Daemons(tmp_path)
    given = variables_of_run_line()
    meant = {
        **stores,
        "CHRONICLE_ENABLE": given["CHRONICLE_ENABLE"],
        "CHRONICLE_S3_BUCKET": "podium-files",
        "ADMIN_API_KEY": ADMIN_KEY,
        "SECRETS_KEY": SECRETS["SECRETS_KEY"],
    }
    environment = {
        **{name: meant[name] for name in given},
        **{name: value for name, value in stores.items() if name.startswith("AWS_")},
        "GATEWAY_PORT": str(gateway.gateway_port),
        "COORDINATOR_PORT": str(gateway.coordinator_port),
        "DIMINUENDO_PORT": str(free_port()),
    }
    containers.start_command("up", image.as_documented(run_line(), environment))
    await ready(containers, gateway)
    await talk(gateway, tmp_path)
    assert containers.stop("up") == 0


async def test_a_cluster_of_containers_as_compose_has_it_goes_on_without_one_of_them(
    stores: dict[str, str], containers: Containers, tmp_path: Path
) -> None:
    shared = {
        **stores,
        **SECRETS,
        "CHRONICLE_BACKEND": "fuse",
        "CHRONICLE_S3_BUCKET": "podium-files",
        "LITESTREAM_REPLICA_URL": f"s3://{stores['S3_BUCKET']}/replicas",
        "COORDINATOR_STOP": "20s",
    }
    gateways = [Daemons(tmp_path / f"gateway-{number}") for number in (1, 2)]
    for number in (1, 2, 3):
        environment = {**shared, "COORDINATOR_PORT": str(free_port())}
        containers.start(f"coordinator-{number}", ["coordinator"], environment, privileged=True)
    for number, gateway in enumerate(gateways, start=1):
        told = {name: shared[name] for name in (*stores, *SECRETS)}
        environment = {**told, "GATEWAY_PORT": str(gateway.gateway_port), "ADMIN_API_KEY": ADMIN_KEY}
        containers.start(f"gateway-{number}", ["gateway"], environment)
    for gateway in gateways:
        await ready(containers, gateway)
    key = await talk(gateways[1], tmp_path)
    port = free_port()
    sessions = {"PODIUM_URL": gateways[0].url, "PODIUM_API_KEY": key, "DIMINUENDO_PORT": str(port)}
    containers.start("diminuendo", ["diminuendo"], sessions)

    async with aiohttp.ClientSession() as session:
        caller = Caller(gateways[0], session, key)

        async def all_there() -> bool:
            containers.check()
            items = (await caller.admin("GET", "/api/v1/coordinators")).body["items"]
            try:
                async with session.get(f"http://127.0.0.1:{port}/health") as answer:
                    return answer.status == 200 and len(items) == 3
            except aiohttp.ClientError:
                return False

        await wait_until(all_there, 60, "three coordinators and Diminuendo")
        deployment = await caller.deploy(tmp_path / "mover", "mover", source("tally"))
        instance = await caller.create(deployment)
        async with caller.connect(instance["instance_id"]) as stream:
            await stream.say("one")
            await stream.until("checkpoint")
            # Its container is told to stop; the connection and the conversation go on with another.
            where = (await caller("GET", f"/api/v1/instances/{instance['instance_id']}")).body["coordinator_id"]
            (name,) = [
                name for name in ("coordinator-1", "coordinator-2", "coordinator-3") if where in containers.said(name)
            ]
            assert containers.stop(name) == 0
            await stream.say("two")
            await stream.until("checkpoint")
        state = (await caller("GET", f"/api/v1/instances/{instance['instance_id']}/state")).body
        assert "2" in str(state), state


def test_a_container_without_configuration_refuses_to_start(image: BuiltImage, containers: Containers) -> None:
    containers.start("gateway", ["gateway"], {})
    assert containers.wait("gateway") == os.EX_CONFIG
    assert "CLUSTER_KEY is missing" in containers.said("gateway")
