"""The scripts of `deploy/docker` as modules; they are no package, since the image and the deployment hold them alone."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from diminuendo.settings import DiminuendoSettings
from podium.base.settings import CoordinatorSettings, GatewaySettings

ROOT: Final = Path(__file__).parents[3]

SETTINGS: Final[dict[str, Any]] = {
    "gateway": GatewaySettings,
    "coordinator": CoordinatorSettings,
    "diminuendo": DiminuendoSettings,
}
"""What the daemon of each role reads."""


def loaded(name: str) -> ModuleType:
    """A script of `deploy/docker`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / "docker" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


entrypoint: Final = loaded("entrypoint")


def in_container(role: str, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a role's daemon in a container at 10.1.2.3 whose data belong to `coord-a`."""
    made: dict[str, str] = entrypoint.environment_of(role, given, lambda: "10.1.2.3", lambda _data: "coord-a")
    return made
