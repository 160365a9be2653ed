"""What people do with files, each timed the same way on any directory.

A workload gets a directory and answers with seconds. Preparation isn't timed. Calls are made from Python, so every side pays the
same interpreter beside its own cost.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
FILES = 5_000
DIRECTORIES = 50

Workload = Callable[[Path, "Materials"], float | None]


@dataclass
class Materials:
    """What workloads need from outside the directory: made once, on the host's file system."""

    place: Path
    files: int = FILES
    large_mib: int = 1024
    random_calls: int = 20_000
    cold: Callable[[], bool] = lambda: False
    """Forgets all caches; False where that can't be done."""
    _made: dict[str, Path] = field(default_factory=dict)

    def repository(self) -> Path:
        """A git repository of `files` files."""
        if "repository" not in self._made:
            place = self.place / "repository"
            place.mkdir()
            _small_files(place, self.files)
            for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
                _git(place, *command)
            _git(place, "gc", "-q")
            self._made["repository"] = place
        return self._made["repository"]

    def node_project(self) -> Path | None:
        """A project with packages in local archives and its lock file; None without npm."""
        if shutil.which("npm") is None:
            return None
        if "node" not in self._made:
            self._made["node"] = _node_project(self.place / "node", packages=60, files=60)
        return self._made["node"]

    def python_library(self) -> Path:
        """A copy of a part of the standard library, without compiled files."""
        if "python" not in self._made:
            place = self.place / "python"
            source = Path(os.__file__).parent
            for name in (
                "asyncio",
                "email",
                "json",
                "http",
                "unittest",
                "xml",
                "importlib",
                "logging",
                "lib2to3",
                "idlelib",
                "ctypes",
            ):
                if (source / name).is_dir():
                    shutil.copytree(source / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
            for file in source.glob("*.py"):
                shutil.copy(file, place / file.name)
            self._made["python"] = place
        return self._made["python"]


def _git(place: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_COUNT": "1",
                   "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b.c",
                   "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b.c"}  # fmt: skip
    subprocess.run(["git", *arguments], cwd=place, env=environment, check=True, capture_output=True, timeout=300)


def _node_project(place: Path, *, packages: int, files: int) -> Path:
    place.mkdir()
    dependencies = {}
    for number in range(packages):
        package = place / "source" / f"package{number}"
        package.mkdir(parents=True)
        (package / "package.json").write_text(json.dumps({"name": f"package{number}", "version": "1.0.0"}))
        for file in range(files):
            (package / f"file{file}.js").write_text(f"module.exports = {file};\n" * (1 + file % 40))
        subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", str(place)],
            cwd=package,
            check=True,
            capture_output=True,
            timeout=60,
        )
        dependencies[f"package{number}"] = f"file:package{number}-1.0.0.tgz"
    shutil.rmtree(place / "source")
    (place / "package.json").write_text(
        json.dumps({"name": "project", "version": "1.0.0", "dependencies": dependencies})
    )
    _npm(place, "install", "--package-lock-only")
    return place


def _npm(place: Path, *arguments: str) -> None:
    command = ["npm", *arguments, "--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=300)


def _small_files(directory: Path, count: int) -> None:
    root = str(directory)
    for number in range(DIRECTORIES):
        os.mkdir(f"{root}/d{number}")
    for number in range(count):
        content = (b"line %d of this file\n" % number) * (48 + number % 144)  # 1 to 4 KiB
        descriptor = os.open(f"{root}/d{number % DIRECTORIES}/f{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, content)
        os.close(descriptor)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def write_large(directory: Path, materials: Materials) -> float:
    """Sequential write, without fsync."""
    block = random.Random(1).randbytes(MIB)

    def work() -> None:
        with open(directory / "large", "wb", buffering=0) as file:
            for _ in range(materials.large_mib):
                file.write(block)

    return _timed(work)


def read_large(directory: Path, materials: Materials) -> float:
    """Sequential read of what was written, from the page cache."""

    def work() -> None:
        with open(directory / "large", "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    buffer = bytearray(MIB)
    return _timed(work)


def _random_calls(directory: Path, materials: Materials, flags: int, call: Callable[[int, int], object]) -> float:
    path = directory / "random"
    size = 128 * MIB
    if not path.exists():
        with path.open("wb") as file:
            for _ in range(128):
                file.write(b"r" * MIB)
    lots = random.Random(2)
    offsets = [lots.randrange(size // 4096) * 4096 for _ in range(materials.random_calls)]
    descriptor = os.open(path, flags)
    try:
        return _timed(lambda: [call(descriptor, offset) for offset in offsets])
    finally:
        os.close(descriptor)


def read_random(directory: Path, materials: Materials) -> float:
    """4 KiB reads at random places of 128 MiB."""
    return _random_calls(
        directory, materials, os.O_RDONLY, lambda descriptor, offset: os.pread(descriptor, 4096, offset)
    )


def write_random(directory: Path, materials: Materials) -> float:
    """4 KiB writes at random places of 128 MiB."""
    block = b"w" * 4096
    return _random_calls(
        directory, materials, os.O_RDWR, lambda descriptor, offset: os.pwrite(descriptor, block, offset)
    )


def create_small(directory: Path, materials: Materials) -> float:
    """New files of 1 to 4 KiB in 50 directories."""
    (directory / "small").mkdir()
    return _timed(lambda: _small_files(directory / "small", materials.files))


def _each_small(directory: Path, materials: Materials, call: Callable[[str], object]) -> float:
    paths = [f"{directory}/small/d{number % DIRECTORIES}/f{number}" for number in range(materials.files)]
    return _timed(lambda: [call(path) for path in paths])


def stat_first(directory: Path, materials: Materials) -> float:
    """`stat` of files just written."""
    return _each_small(directory, materials, os.stat)


def stat_warm(directory: Path, materials: Materials) -> float:
    """`stat` again."""
    return _each_small(directory, materials, os.stat)


def _read_whole(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.read(descriptor, 8192)
    os.close(descriptor)


def read_small(directory: Path, materials: Materials) -> float:
    """Open, read, close."""
    return _each_small(directory, materials, _read_whole)


def read_small_cold(directory: Path, materials: Materials) -> float | None:
    """The same after all caches were dropped; None where they can't be."""
    if not materials.cold():
        return None
    return _each_small(directory, materials, _read_whole)


def remove_small(directory: Path, materials: Materials) -> float:
    """`rm -rf` of the small files."""
    return _timed(lambda: subprocess.run(["rm", "-rf", str(directory / "small")], check=True))


def git_clone(directory: Path, materials: Materials) -> float:
    """`git clone` of 5,000 files, objects copied."""
    repository = str(materials.repository())
    return _timed(lambda: _git(directory, "clone", "-q", "--no-hardlinks", repository, "clone"))


def git_status(directory: Path, materials: Materials) -> float:
    """`git status` of the clone, the second time."""
    _git(directory / "clone", "status", "--porcelain")
    return _timed(lambda: _git(directory / "clone", "status", "--porcelain"))


def copy_tree(directory: Path, materials: Materials) -> float:
    """`cp -r` of the clone."""
    return _timed(lambda: subprocess.run(["cp", "-r", str(directory / "clone"), str(directory / "copy")], check=True))


def remove_tree(directory: Path, materials: Materials) -> float:
    """`rm -rf` of clone and copy."""
    return _timed(lambda: subprocess.run(["rm", "-rf", str(directory / "clone"), str(directory / "copy")], check=True))


def npm_ci(directory: Path, materials: Materials) -> float | None:
    """`npm ci` of 60 packages from local archives; None without npm."""
    project = materials.node_project()
    if project is None:
        return None
    shutil.copytree(project, directory / "node")
    return _timed(lambda: _npm(directory / "node", "ci"))


def compile_all(directory: Path, materials: Materials) -> float:
    """`python -m compileall` of a part of the standard library."""
    shutil.copytree(materials.python_library(), directory / "python")
    command = [sys.executable, "-m", "compileall", "-q", "-f", str(directory / "python")]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return _timed(lambda: subprocess.run(command, check=True, env=environment, capture_output=True))


def four_writers(directory: Path, materials: Materials) -> float:
    """Four processes, each making a fifth of the small files in a directory of its own."""
    code = "import sys, pathlib; from benchmarks.chronicle.workloads import _small_files; _small_files(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
    places = [directory / f"writer{number}" for number in range(4)]
    for place in places:
        place.mkdir()
    count = str(materials.files // 5)

    def work() -> None:
        writers = [
            subprocess.Popen([sys.executable, "-c", code, str(place), count], cwd=Path(__file__).parents[2])
            for place in places
        ]
        for writer in writers:
            writer.wait(timeout=300)

    return _timed(work)


@dataclass(frozen=True)
class Item:
    """A row of the table: the workload, and the ratios to the host's file system that it must and should keep."""

    name: str
    workload: Workload
    must: float | None = None
    aim: float | None = None


ITEMS = (
    Item("write 1 GiB", write_large, 1.5, 1.05),
    Item("read 1 GiB", read_large, 1.5, 1.05),
    Item("4 KiB random read", read_random, 1.5, 1.05),
    Item("4 KiB random write", write_random, 1.5, 1.05),
    Item("create small files", create_small, 8, 3),
    Item("stat, first", stat_first),
    Item("stat, warm", stat_warm, 1.5, 1.1),
    Item("read small files, warm", read_small, 10, 3),
    Item("read small files, cold", read_small_cold, 3, 1.5),
    Item("git clone", git_clone, 6, 2.5),
    Item("git status", git_status, 1.6, 1.1),
    Item("cp -r", copy_tree, 6, 2.5),
    Item("npm ci", npm_ci, 1.6, 1.1),
    Item("compileall", compile_all, 1.6, 1.1),
    Item("four writers", four_writers, 8, 3),
    Item("rm -rf small files", remove_small, 6, 2.5),
    Item("rm -rf clone and copy", remove_tree, 6, 2.5),
)
"""In the order in which they run: later ones use what earlier ones made. Removing comes last: for minutes afterwards ext4 looks
for inodes that were not removed a moment ago, which makes all that is created then slower on every side."""
