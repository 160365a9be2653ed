"""Programs people use work on the mount as on any file system."""

import fcntl
import json
import mmap
import os
import sqlite3
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import watchfiles

from tests.chronicle_mounts import Mounted
from tests.system.chronicle.programs.running import needs, run
from tests.waiting import until

pytestmark = pytest.mark.proves("CHR-PROGRAMS")


@needs("git")
def test_git_commits_clones_collects_and_keeps_worktrees(mounted: Mounted) -> None:
    repository = mounted.directory / "repository"
    repository.mkdir()
    run(repository, "git", "init", "-q", "-b", "main")
    for number in range(200):
        path = repository / f"package{number % 10}" / f"module{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"VALUE = {number}\n" * 20)
    run(repository, "git", "add", "-A")
    run(repository, "git", "commit", "-q", "-m", "all of it")
    assert run(repository, "git", "status", "--porcelain") == ""
    run(repository, "git", "checkout", "-q", "-b", "other")
    (repository / "package1" / "module1.py").write_text("changed\n")
    run(repository, "git", "rm", "-q", "-r", "package2")
    run(repository, "git", "commit", "-q", "-am", "less of it")
    run(repository, "git", "checkout", "-q", "main")
    assert (repository / "package1" / "module1.py").read_text().startswith("VALUE = 1\n")
    run(repository, "git", "worktree", "add", "-q", "../tree", "other")
    assert not (mounted.directory / "tree" / "package2").exists()
    run(repository, "git", "gc", "-q", "--aggressive", "--prune=now")
    run(repository, "git", "fsck", "--strict")
    run(mounted.directory, "git", "clone", "-q", "--no-local", "repository", "clone")
    assert run(mounted.directory / "clone", "git", "status", "--porcelain") == ""
    run(repository, "git", "stash", "list")
    run(repository, "git", "merge", "-q", "other")
    assert not (repository / "package2").exists()


def _packages(directory: Path, count: int = 3) -> None:
    for number in range(count):
        package = directory / f"package{number}"
        package.mkdir()
        described = {
            "name": f"package{number}",
            "version": "1.0.0",
            "main": "index.js",
            "bin": {f"tool{number}": "tool.js"},
        }
        (package / "package.json").write_text(json.dumps(described))
        (package / "index.js").write_text(f"module.exports = {number};\n")
        (package / "tool.js").write_text(f"#!/usr/bin/env node\nconsole.log('tool {number}');\n")
        run(package, "npm", "pack", "--silent", "--pack-destination", "..")


@needs("npm")
def test_npm_installs_from_a_lock_file(mounted: Mounted) -> None:
    directory = mounted.directory / "project"
    directory.mkdir()
    _packages(directory)
    (directory / "package.json").write_text('{"name": "project", "version": "1.0.0"}')
    run(directory, "npm", "install", "--offline", *(f"./package{n}-1.0.0.tgz" for n in range(3)))
    run(directory, "npm", "ci", "--offline")
    assert run(directory, "node", "-p", "require('package2')").strip() == "2"
    assert run(directory, "npx", "--offline", "tool1").strip() == "tool 1"


@needs("bun")
def test_bun_installs_and_runs(mounted: Mounted) -> None:
    directory = mounted.directory / "project"
    directory.mkdir()
    _packages(directory)
    described = {"name": "project", "dependencies": {f"package{n}": f"file:./package{n}-1.0.0.tgz" for n in range(3)}}
    (directory / "package.json").write_text(json.dumps(described))
    tools = str(Path(__file__).parents[4] / ".tools/bin")
    path = f"{os.environ['PATH']}:{tools}"
    run(directory, "bun", "install", PATH=path)
    (directory / "index.ts").write_text("import two from 'package2'; console.log(two)\n")
    assert run(directory, "bun", "run", "index.ts", PATH=path).strip() == "2"


def _wheel(directory: Path) -> Path:
    wheel = directory / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny/__init__.py": "def answer():\n    return 42\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, "tiny-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, "tiny-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel


def test_uv_and_pip_make_environments_and_install(mounted: Mounted) -> None:
    directory = mounted.directory
    wheel = _wheel(directory)
    uv = str(Path(sys.executable).parent / "uv")
    run(directory, uv, "venv", "--offline", "-q", "-p", sys.executable, "quick")
    run(directory, uv, "pip", "install", "--offline", "-q", "-p", "quick/bin/python", wheel.name)
    assert run(directory, "quick/bin/python", "-c", "import tiny; print(tiny.answer())").strip() == "42"
    run(directory, "/usr/bin/env", "python3", "-m", "venv", "--without-pip", "plain")
    run(
        directory,
        uv,
        "pip",
        "install",
        "--offline",
        "-q",
        "-p",
        "plain/bin/python",
        wheel.name,
        "--link-mode",
        "hardlink",
    )
    assert run(directory, "plain/bin/python", "-c", "import tiny; print(tiny.answer())").strip() == "42"


def test_compileall_compiles_once(mounted: Mounted) -> None:
    package = mounted.directory / "package"
    package.mkdir()
    for number in range(50):
        (package / f"module{number}.py").write_text(f"def f():\n    return {number}\n")
    environment = {"PYTHONDONTWRITEBYTECODE": ""}
    run(mounted.directory, sys.executable, "-m", "compileall", "-q", "package", **environment)
    compiled = {p: p.stat().st_mtime_ns for p in (package / "__pycache__").iterdir()}
    assert len(compiled) == 50
    run(mounted.directory, sys.executable, "-m", "compileall", "-q", "package", **environment)
    assert {p: p.stat().st_mtime_ns for p in (package / "__pycache__").iterdir()} == compiled


def test_sqlite_in_wal_mode_serves_processes_at_once(mounted: Mounted) -> None:
    path = mounted.directory / "data.db"
    first = sqlite3.connect(path, isolation_level=None)
    assert first.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    first.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB)")
    insert = (
        "import sqlite3, sys, os\n"
        "db = sqlite3.connect('data.db', timeout=30, isolation_level=None)\n"
        "for i in range(300): db.execute('INSERT INTO item (body) VALUES (?)', (os.urandom(300),))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", insert], cwd=mounted.directory) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert first.execute("SELECT count(*) FROM item").fetchone() == (900,)
    first.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    first.execute("VACUUM")
    assert first.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    first.close()
    mounted.workspace.barrier()
    copy = mounted.directory.parent / "copy.db"
    copy.write_bytes(mounted.workspace.read(b"data.db", mounted.workspace.head))
    kept = sqlite3.connect(copy)
    assert kept.execute("SELECT count(*) FROM item").fetchone() == (900,)
    kept.close()
    copy.unlink()


@needs("make")
def test_make_builds_once_and_again_after_a_change(mounted: Mounted) -> None:
    (mounted.directory / "Makefile").write_text("out: in\n\ttr a-z A-Z < in > out\n\techo built >> log\n")
    (mounted.directory / "in").write_text("first")
    run(mounted.directory, "make", "-s")
    assert "up to date" in run(mounted.directory, "make")
    (mounted.directory / "in").write_text("second")
    built = os.stat(mounted.directory / "out").st_mtime_ns
    os.utime(mounted.directory / "in", ns=(built, built + 1_000_000))  # make compares times
    run(mounted.directory, "make", "-s")
    assert (mounted.directory / "out").read_text() == "SECOND"
    assert (mounted.directory / "log").read_text() == "built\nbuilt\n"


def _varied(directory: Path) -> None:
    directory.mkdir()
    (directory / "deep" / "er").mkdir(parents=True)
    for number in range(60):
        (directory / "deep" / f"file{number}").write_bytes(os.urandom(number * 97))
    (directory / "deep" / "er" / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (directory / "deep" / "er" / "run.sh").chmod(0o755)
    (directory / "link").symlink_to("deep/er")
    os.link(directory / "deep" / "file3", directory / "twin")
    with (directory / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 20)


@needs("tar")
def test_tar_packs_and_unpacks_the_same(mounted: Mounted) -> None:
    _varied(mounted.directory / "tree")
    run(mounted.directory, "tar", "-cSf", "tree.tar", "tree")
    (mounted.directory / "again").mkdir()
    run(mounted.directory, "tar", "-xpSf", "tree.tar", "-C", "again")
    run(mounted.directory, "diff", "-r", "--no-dereference", "tree", "again/tree")
    run(mounted.directory, "tar", "-df", "tree.tar")
    assert os.stat(mounted.directory / "again/tree/twin").st_nlink == 2
    assert run(mounted.directory, "again/tree/deep/er/run.sh") == "ran\n"


@needs("rsync")
def test_rsync_copies_once(mounted: Mounted) -> None:
    _varied(mounted.directory / "tree")
    run(mounted.directory, "rsync", "-aHS", "tree/", "copy/")
    run(mounted.directory, "diff", "-r", "--no-dereference", "tree", "copy")
    assert run(mounted.directory, "rsync", "-aHSi", "tree/", "copy/") == ""
    (mounted.directory / "tree" / "deep" / "file5").write_text("new")
    changed = run(mounted.directory, "rsync", "-aHSi", "--delete", "tree/", "copy/")
    assert [line.split()[-1] for line in changed.splitlines() if line.startswith(">f")] == ["deep/file5"]


def test_a_watcher_is_told_of_what_happens(mounted: Mounted) -> None:
    stop = threading.Event()
    seen: set[tuple[str, str]] = set()
    watching = threading.Event()

    def watch() -> None:
        for changes in watchfiles.watch(
            mounted.directory, stop_event=stop, debounce=20, step=5, rust_timeout=100, yield_on_timeout=True
        ):
            watching.set()
            seen.update((change.name, Path(path).name) for change, path in changes)

    watcher = threading.Thread(target=watch, name="watcher")
    watcher.start()
    try:
        assert watching.wait(10)
        (mounted.directory / "new").write_text("1")
        until(lambda: any(name == "new" for _, name in seen), what="the new file is seen")
        (mounted.directory / "new").unlink()
        until(lambda: ("deleted", "new") in seen, what="its removal is seen")
    finally:
        stop.set()
        watcher.join(10)
    assert ("deleted", "new") in seen
    assert any(kind in {"added", "modified"} and name == "new" for kind, name in seen)


_TRY_LOCK = (
    "import fcntl, sys\n"
    "file = open('lock', 'r+')\n"
    "lock = fcntl.flock if sys.argv[1] == 'flock' else fcntl.lockf\n"
    "try: lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "except OSError: print('held')\n"
    "else: print('free')\n"
)


@pytest.mark.parametrize("kind", ["flock", "lockf"])
def test_locks_keep_other_processes_out(mounted: Mounted, kind: str) -> None:
    with (mounted.directory / "lock").open("w+") as file:
        file.write("x" * 100)
        file.flush()
        lock = fcntl.flock if kind == "flock" else fcntl.lockf
        lock(file, fcntl.LOCK_EX)
        assert run(mounted.directory, sys.executable, "-c", _TRY_LOCK, kind).strip() == "held"
        lock(file, fcntl.LOCK_UN)
        assert run(mounted.directory, sys.executable, "-c", _TRY_LOCK, kind).strip() == "free"


def test_a_shared_mapping_is_shared_between_processes_and_recorded(mounted: Mounted) -> None:
    path = mounted.directory / "shared"
    path.write_bytes(bytes(8192))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8192) as mapping:
        store = "import mmap\nf = open('shared', 'r+b')\nm = mmap.mmap(f.fileno(), 8192)\nm[4096:4101] = b'hello'\nm.close()\n"
        run(mounted.directory, sys.executable, "-c", store)
        assert mapping[4096:4101] == b"hello"
        mapping[0:5] = b"there"
        mapping.flush()

    def kept() -> bytes:
        content = mounted.workspace.read(b"shared", mounted.workspace.barrier())
        return content[:5] + content[4096:4101]

    until(lambda: kept() == b"therehello", what="the stores through the mapping are recorded")


@pytest.mark.proves("CHR-OPEN-FILES")
def test_a_file_that_stays_open_is_recorded_after_it_grew_quiet(mounted: Mounted) -> None:
    with (mounted.directory / "log").open("w") as file:
        for number in range(3):
            file.write(f"line {number}\n")
            file.flush()
        until(
            lambda: mounted.workspace.barrier() and mounted.workspace.history(b"log"), what="the open file is recorded"
        )
        assert mounted.workspace.read(b"log", mounted.workspace.head) == b"line 0\nline 1\nline 2\n"
