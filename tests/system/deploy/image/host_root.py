"""The image made quickly: its Dockerfile's own steps, on this host's system instead of the base image.

The host's root is the lower layer of an overlay in a mount namespace of its own; what the steps write lies in memory above it and is
gone with the namespace. So all of the Dockerfile is carried out but `apt-get install`, whose packages must be on this host; programs
that come out of others' images are those the suite has anyway.
"""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.system.deploy.image.dockerfile import Instruction, Stage, stages

ROOT: Final = Path(__file__).parents[4]
DOCKERFILE: Final = ROOT / "deploy" / "docker" / "Dockerfile"
STEP_SECONDS: Final = 100

PROGRAMS: Final = {
    "uv": (".venv/bin/uv", "uv"),
    "bun": (".tools/bin/bun", "usr/local/bin/bun"),
    "litestream": (".venv/bin/litestream", "usr/local/bin/litestream"),
}
"""Stage that only brings a program → where the suite has it, where that stage has it."""

_HOLD: Final = """
mount -t tmpfs -o mode=0755 podium-image "$1"
for stage in build podium; do
    mkdir -p "$1/$stage/upper" "$1/$stage/work" "$1/$stage/root"
    mount -t overlay podium-image -o "lowerdir=/,upperdir=$1/$stage/upper,workdir=$1/$stage/work" "$1/$stage/root"
    mount --rbind /proc "$1/$stage/root/proc"
    mount --rbind /dev "$1/$stage/root/dev"
    mount --rbind /sys "$1/$stage/root/sys"
    mount -t tmpfs podium-image "$1/$stage/root/tmp"
done
echo ready
exec sleep infinity
"""


class Unavailable(Exception):
    """This host can't make the image this way; the message says which part it lacks."""


def lacking() -> str | None:
    """What this host lacks, in words; None when it has all."""
    if os.geteuid() != 0:
        return "mounts need root"
    if not shutil.which("unshare") or "overlay" not in Path("/proc/filesystems").read_text():
        return "no overlay file system, or no unshare"
    missing = [package for package in packages() if not _installed(package)]
    if missing:
        return f"packages of the base image are not on this host: {', '.join(missing)} (bash tools/install_test_programs.sh)"
    absent = [str(where) for where, _ in PROGRAMS.values() if not (ROOT / where).exists()]
    return f"not set up: {', '.join(absent)}" if absent else None


def packages() -> list[str]:
    """The packages that the Dockerfile installs."""
    (run,) = stages(DOCKERFILE)["base"].words("RUN")
    match = re.search(r"apt-get install ([^&]+)&&", run.rest)
    assert match is not None, run.rest
    return [word for word in match[1].split() if not word.startswith("-")]


def _installed(package: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, timeout=20, check=False
    )
    return "ok installed" in told.stdout


class HostRoot:
    """The file systems of the stages `build` and `podium`, as long as it is open."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stages = stages(DOCKERFILE)
        self.final = self._stages["podium"]
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _HOLD, "sh", str(directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def make(self) -> None:
        """Carries out the Dockerfile.

        Raises:
            Unavailable: the file systems can't be had.
            AssertionError: a step failed.
        """
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            assert self._holder.stderr is not None
            raise Unavailable(f"overlay over this host's root: {self._holder.stderr.read().strip()}")
        for name in ("build", "podium"):
            for instruction in self._stages[name].instructions:
                if instruction.word in ("RUN", "COPY", "WORKDIR"):
                    self._carry_out(self._stages[name], instruction)

    def close(self) -> None:
        """Ends the namespace; everything in it is gone."""
        self._holder.kill()
        self._holder.communicate()

    def command(self, role: list[str], environment: dict[str, str], *, privileged: bool) -> list[str]:
        """See `Image`. What a container would be refused without `privileged` is not refused here."""
        del privileged
        return self.inside("podium", [*self.final.command("ENTRYPOINT"), *role], environment)

    def run(self, words: list[str], environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs a program of the finished image to its end."""
        command = self.inside("podium", words, environment or {})
        return subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS, check=False)

    def inside(self, stage: str, words: list[str], environment: dict[str, str]) -> list[str]:
        """The command line that runs `words` in a stage with the stage's environment, `environment`, and nothing else."""
        basic = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "TINI_SUBREAPER": "1",
        }
        variables = {**basic, **self._stages[stage].environment, **environment}
        return [
            *("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt"),
            *("chroot", str(self._directory / stage / "root")),
            *("env", "-i", *(f"{name}={value}" for name, value in variables.items())),
            *words,
        ]

    def _carry_out(self, stage: Stage, instruction: Instruction) -> None:
        match instruction.word:
            case "WORKDIR":
                self._do(stage.name, ["mkdir", "-p", instruction.rest])
            case "RUN":
                # Wheels and sources that set-up has fetched are used again; nothing is compiled ahead, which only takes time.
                cached = {"UV_CACHE_DIR": _uv_cache(), "UV_COMPILE_BYTECODE": "0"} | _certificates()
                place = next((found.rest for found in reversed(stage.words("WORKDIR"))), "/")
                self._do(stage.name, ["sh", "-ec", f"cd {shlex.quote(place)}; {instruction.rest}"], cached)
            case "COPY":
                self._copy(stage, instruction)

    def _copy(self, stage: Stage, instruction: Instruction) -> None:
        *sources, target = instruction.rest.split()
        origin = instruction.options.get("from")
        place = next((found.rest for found in stage.words("WORKDIR")), "/")
        whole = Path(place) / target
        for source in sources:
            if origin in PROGRAMS:
                where, named = PROGRAMS[origin]
                assert source == f"/{named}", f"{origin} has no {source}"
                found = (ROOT / where).resolve()
            elif origin is not None:
                found = self._directory / origin / "root" / source.lstrip("/")
            else:
                found = ROOT / source
            # Out of the namespace's own view of the host, where the other stage is mounted, too.
            inside = self._directory / stage.name / "root" / str(whole).lstrip("/")
            goal = inside / found.name if target.endswith("/") or target == "." or len(sources) > 1 else inside
            script = 'mkdir -p "$(dirname "$2")"; rm -rf "$2"; cp -a --no-preserve=ownership "$1" "$2"'
            self._host(["sh", "-ec", script, "sh", str(found), str(goal)])
            if "chmod" in instruction.options:
                self._host(["chmod", instruction.options["chmod"], str(goal)])

    def _do(self, stage: str, words: list[str], environment: dict[str, str] | None = None) -> None:
        self._check(self.inside(stage, words, environment or {}))

    def _host(self, words: list[str]) -> None:
        self._check(["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", *words])

    def _check(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS, check=False)
        assert done.returncode == 0, f"{command[-3:]}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}"


def _uv_cache() -> str:
    told = subprocess.run(
        [ROOT / ".venv/bin/uv", "cache", "dir"], capture_output=True, text=True, timeout=20, check=True
    )
    return told.stdout.strip()


def _certificates() -> dict[str, str]:
    """Where this host has certificates of its own, steps that fetch something need them."""
    return {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
