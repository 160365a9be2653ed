"""Container engines that build and run the image: Docker where it answers, else buildah and podman with a base made here."""

import os
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[4]
BASE: Final = ROOT / ".tools" / "image" / "bookworm.tar"
BUILD_SECONDS: Final = 600
IMAGE: Final = "podium:staging"

# Programs of others come out of the suite's own set-up, under the names that the Dockerfile has for them.
_BUILDER: Final = """#!/bin/sh -e
# Speaks docker's command line for build_image.sh.
test "$1" = build
shift
exec buildah {stores} build --isolation chroot --network host --pull-never \\
    --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt --build-arg DEBIAN_IMAGE=docker.io/library/debian:made-here "$@"
"""


class Docker:
    """Docker with the images the Dockerfile names."""

    run: Final = ["docker", "run", "--rm", "--init=false", "--network=host"]
    builder = "docker"

    @staticmethod
    def there() -> bool:
        """Whether its daemon answers."""
        if shutil.which("docker") is None:
            return False
        return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0

    def close(self) -> None:
        """Nothing is left but the image."""


class Podman:
    """buildah and podman with stores of their own in `directory`. Registries are not asked."""

    def __init__(self, directory: Path) -> None:
        os.environ["STORAGE_DRIVER"] = "vfs"  # works over any file system
        self._stores = ["--root", str(directory / "images"), "--runroot", str(directory / "run")]
        engine = ["podman", *self._stores, "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
        # Left to itself podman asks for more than this process may give, and for a timer of systemd for the health check.
        limits = [word for name in ("nofile", "nproc") for word in ("--ulimit", f"{name}={_limit(name)}")]
        self.run = [*engine, "run", "--rm", "--network=host", "--no-healthcheck", *limits]
        script = directory / "builder"
        script.write_text(_BUILDER.format(stores=" ".join(self._stores)))
        script.chmod(0o755)
        self.builder = str(script)
        self._engine = engine
        self._directory = directory
        with BASE.open("rb") as base:
            self._import(base.read(), "docker.io/library/debian:made-here")

    def bring(self, image: str, program: Path, inside: str) -> None:
        """An image that holds one program."""
        place = self._directory / "program"
        target = place / inside
        target.parent.mkdir(parents=True)
        shutil.copy(program.resolve(), target)
        packed = subprocess.run(["tar", "-C", place, "-c", "."], capture_output=True, check=True, timeout=60)
        self._import(packed.stdout, image)
        shutil.rmtree(place)

    def close(self) -> None:
        """Removes containers, volumes and images."""
        subprocess.run([*self._engine, "system", "reset", "--force"], capture_output=True, timeout=120, check=False)

    def _import(self, archive: bytes, name: str) -> None:
        command = [*self._engine, "import", "--quiet", "-", name]
        subprocess.run(command, input=archive, capture_output=True, check=True, timeout=120)


def _limit(name: str) -> str:
    """What may be given: what this process has, and for processes no more than the kernel has numbers for (so podman)."""
    _, hard = resource.getrlimit({"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}[name])
    numbers = int(Path("/proc/sys/kernel/pid_max").read_text())
    most = min(65_536, numbers if name == "nproc" else 65_536, 65_536 if hard == resource.RLIM_INFINITY else hard)
    return f"{most}:{most}"


class BuiltImage:
    """The image as `build_image.sh` made it; see `Image`."""

    def __init__(self, engine: Docker | Podman) -> None:
        self._engine = engine

    def command(self, role: list[str], environment: dict[str, str], *, privileged: bool) -> list[str]:
        """As `deploy/compose.yaml` runs it: what mounts may mount, everything else may nothing."""
        mounting = ["--cap-add", "SYS_ADMIN", "--device", "/dev/fuse", "--security-opt", "apparmor=unconfined"]
        confined = ["--user", "10001", "--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges"]
        return [
            *self._engine.run,
            *(mounting if privileged else confined),
            *(word for name, value in environment.items() for word in ("-e", f"{name}={value}")),
            IMAGE,
            *role,
        ]

    def as_documented(self, words: list[str], environment: dict[str, str]) -> list[str]:
        """A documented `docker run` with this engine, on the host's network, with these variables instead of its own."""
        options, skip = [], False
        for word in words[2:-1]:
            if skip or word in ("-e", "-p"):
                skip = not skip
                continue
            options.append(word)
        given = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        return [*self._engine.run, *options, *given, words[-1]]


def build(engine: Docker | Podman) -> str:
    """Builds the image with `build_image.sh`; returns what it said.

    Raises:
        AssertionError: it can't be built.
    """
    done = subprocess.run(
        [ROOT / "build_image.sh", "staging"],
        env={**os.environ, "CONTAINER_ENGINE": engine.builder},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout
