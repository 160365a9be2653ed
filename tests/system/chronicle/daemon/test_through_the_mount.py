"""Writes of the library on a workspace that a process serves: they go through it, and users see them at once."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from chronicle import ChangedMeanwhileError, InvalidPathError, QuotaExceededError, Workspace, WorkspaceBusyError
from tests.chronicle_mounts import MountMaker
from tests.waiting import until

BACKENDS = pytest.mark.parametrize("backend", ["fuse", "watch"])


def shown(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and ".chronicle" not in path.parts
    }


@BACKENDS
def test_puts_and_removals_are_seen_by_users_and_recorded_once(maker: MountMaker, backend: str) -> None:
    mounted = maker(backend=backend)  # type: ignore[arg-type]
    workspace, directory = mounted.workspace, mounted.directory
    first = workspace.put("src/file", b"one", mode=0o755)
    assert (directory / "src" / "file").read_bytes() == b"one"
    assert os.access(directory / "src" / "file", os.X_OK)
    second = workspace.put("src/file", b"two")
    assert (directory / "src" / "file").read_bytes() == b"two"
    assert (first.kind, second.kind, second.iteration) == ("create", "modify", first.iteration + 1)
    with pytest.raises(ChangedMeanwhileError):
        workspace.put("src/file", b"three", if_hash=first.hash)
    workspace.remove("src")
    assert os.listdir(directory) in ([], [".chronicle"])


@BACKENDS
@pytest.mark.proves("CHR-RESTORE")
def test_a_restore_is_seen_by_users_exactly_and_can_be_undone(maker: MountMaker, backend: str) -> None:
    mounted = maker(backend=backend)  # type: ignore[arg-type]
    workspace, directory = mounted.workspace, mounted.directory
    shell(
        directory,
        "mkdir -p src/deep; echo one > src/file; echo x > src/deep/x; ln -s file src/link; chmod 750 src/deep",
    )
    then = workspace.barrier()
    was = shown(directory)
    shell(directory, "echo two > src/file; rm -rf src/deep; mv src lib; echo new > new")
    before = workspace.barrier()
    changed = shown(directory)
    done = workspace.restore(then)
    assert shown(directory) == was
    assert (directory / "src" / "deep").stat().st_mode & 0o777 == 0o750
    assert os.readlink(directory / "src" / "link") == "file"
    assert done.head == workspace.head > before
    workspace.restore(before)
    assert shown(directory) == changed
    assert workspace.restore(before).paths == []


@pytest.mark.proves("CHR-EVERY-VERSION", "CHR-RESTORE")
def test_what_a_shell_destroyed_is_listed_read_back_and_restored(maker: MountMaker) -> None:
    mounted = maker()
    workspace, directory = mounted.workspace, mounted.directory
    shell(directory, "mkdir src; echo 'print(1)' > src/main.py; echo notes > notes.md")
    git = "git -c user.name=a -c user.email=b@c"
    shell(directory, f"git init -q . && git add . && {git} commit -qm one")
    workspace.checkpoint("before")
    was = shown(directory)
    shell(
        directory,
        "sed -i s/1/2/ src/main.py; rm -rf src; git checkout -q -- .; echo 'print(3)' > src/main.py; rm notes.md",
    )
    workspace.barrier()
    versions = [one for one in workspace.history("src/main.py") if one.hash is not None]
    contents = [workspace.read(one.path, one.iteration) for one in versions]
    # Newest first: the shell's, git's, sed's (written beside, then renamed), and the first.
    assert contents == [b"print(3)\n", b"print(1)\n", b"print(2)\n", b"print(2)\n", b"print(1)\n"]
    workspace.restore(workspace.moment("before"))
    assert shown(directory) == was
    shell(directory, 'git fsck --strict && test -z "$(git status --porcelain)"')


@BACKENDS
def test_no_link_in_the_tree_leads_a_write_out(maker: MountMaker, tmp_path: Path, backend: str) -> None:
    mounted = maker(backend=backend)  # type: ignore[arg-type]
    (tmp_path / "outside").mkdir()
    (mounted.directory / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidPathError):
        mounted.workspace.put("link/file", b"x")
    assert os.listdir(tmp_path / "outside") == []


@BACKENDS
def test_turns_and_checkpoints_are_in_order_with_what_users_do(maker: MountMaker, backend: str) -> None:
    mounted = maker(backend=backend)  # type: ignore[arg-type]
    workspace, directory = mounted.workspace, mounted.directory
    for turn in ("turn_1", "turn_2"):
        workspace.annotate(turn)
        (directory / "file").write_text(turn)
        made = workspace.checkpoint(None, turn)
        assert workspace.read("file", made.iteration) == turn.encode()
    workspace.annotate(None)
    (directory / "file").write_text("nobody's")
    workspace.barrier()
    assert [one.turn_id for one in workspace.history("file")] == [None, "turn_2", "turn_1"]
    assert [one.turn_id for one in workspace.checkpoints()] == ["turn_2", "turn_1"]


@BACKENDS
@pytest.mark.proves("CHR-FORK")
def test_a_fork_of_a_mounted_workspace_has_what_was_there_and_leaves_it_alone(
    maker: MountMaker, tmp_path: Path, backend: str
) -> None:
    mounted = maker(backend=backend)  # type: ignore[arg-type]
    shell(mounted.directory, "mkdir src; echo one > src/file")
    with mounted.workspace.fork(tmp_path / "fork") as fork:
        shell(mounted.directory, "echo two > src/file")
        (tmp_path / "shown").mkdir()
        maker.process.daemon.mount(fork.root, tmp_path / "shown", backend=backend)  # type: ignore[arg-type]
        assert (tmp_path / "shown" / "src" / "file").read_text() == "one\n"
        shell(tmp_path / "shown", "echo three > src/file")
        maker.process.daemon.unmount(fork.root)
        assert fork.read("src/file") == b"three\n"
        assert list(fork.fsck()) == []
    assert (mounted.directory / "src" / "file").read_text() == "two\n"


@BACKENDS
def test_followers_are_told_at_once_and_go_on_when_the_mount_ends(maker: MountMaker, backend: str) -> None:
    mounted = maker(backend=backend)  # type: ignore[arg-type]
    seen: list[tuple[int, bytes]] = []
    watch = mounted.workspace.watch(0)

    def follow() -> None:
        with watch:
            seen.extend((one.iteration, one.path) for one in watch)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for number in range(300):
            (mounted.directory / f"file{number:03}").write_text("x")
        head = mounted.workspace.barrier()
        until(lambda: len(seen) == head)
        maker.process.daemon.unmount(mounted.root)
        mounted.workspace.put("offline", b"x")
        until(lambda: len(seen) == head + 1)
        maker.process.daemon.mount(mounted.root, mounted.directory)
        (mounted.directory / "again").write_text("x")
        until(lambda: len(seen) == head + 2)
    finally:
        watch.close()
        thread.join()
    assert [number for number, _ in seen] == list(range(1, head + 3))
    assert [path for _, path in seen[-2:]] == [b"offline", b"again"]


def test_many_puts_at_once_are_all_done(maker: MountMaker) -> None:
    mounted = maker()

    def write(number: int) -> None:
        with Workspace.open(mounted.root) as workspace:
            for count in range(5):
                workspace.put(f"file{number}", b"%d" % count)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mounted.workspace.head == 20


def test_a_put_over_the_quota_is_an_error_and_damages_nothing(maker: MountMaker) -> None:
    mounted = maker(quota_bytes=1 << 20)
    mounted.workspace.put("small", b"x" * 1000)
    with pytest.raises(QuotaExceededError):
        mounted.workspace.put("large", os.urandom(4 << 20))
    assert mounted.workspace.read("small") == b"x" * 1000


def shell(directory: Path, commands: str) -> None:
    subprocess.run(["sh", "-ec", commands], cwd=directory, check=True, capture_output=True)


@pytest.mark.proves("CHR-GC-SAFE")
def test_a_collection_that_would_not_be_safe_beside_writers_is_refused(maker: MountMaker) -> None:
    mounted = maker()
    mounted.workspace.put("a", b"x")
    with pytest.raises(WorkspaceBusyError, match="unmount"):
        mounted.workspace.gc(grace_s=0)
    assert mounted.workspace.gc().kept == 1
    mounted.unmount()
    assert mounted.workspace.gc(grace_s=0).kept == 1
