"""Restoring, forks and the magic files where users meet them: in a mount, with a shell."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.chronicle_mounts import MountMaker


def shell(directory: Path, script: str) -> str:
    done = subprocess.run(["sh", "-ec", script], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


@pytest.mark.proves("CHR-MAGIC", "CHR-HISTORY-EXACT")
def test_every_moment_can_be_compared_with_diff(maker: MountMaker) -> None:
    directory = maker(backend="fuse").directory
    shell(
        directory,
        "mkdir -p src/deep; echo one > src/file; ln -s file src/link; ln src/file other; "
        "head -c 300000 /dev/urandom > large; head -c 20000000 /dev/urandom > larger; : > empty; chmod 700 src/deep",
    )
    then = shell(directory, "cat .chronicle/barrier").strip()
    shell(directory, f"diff -r --no-dereference . .chronicle/at/{then}")
    shell(directory, f"cp -a .chronicle/at/{then} ../copy; diff -r --no-dereference -x .chronicle . ../copy")
    for path in ("src/file", "src/deep", "large", "empty"):
        past, now = (directory / f".chronicle/at/{then}" / path).stat(), (directory / path).stat()
        assert past.st_mode == now.st_mode
        assert stat.S_ISDIR(now.st_mode) or (past.st_size, past.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
    shell(directory, "echo two > src/file; rm -r src/deep; mv large renamed")
    shell(directory, "cat .chronicle/barrier")
    told = subprocess.run(
        ["diff", "-rq", "--no-dereference", ".", f".chronicle/at/{then}"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert sorted(told.splitlines()) == [
        f"Files ./other and .chronicle/at/{then}/other differ",
        f"Files ./src/file and .chronicle/at/{then}/src/file differ",
        "Only in .: renamed",
        f"Only in .chronicle/at/{then}/src: deep",
        f"Only in .chronicle/at/{then}: large",
    ]


@pytest.mark.proves("CHR-MAGIC", "CHR-RESTORE")
def test_a_shell_asks_and_restores(maker: MountMaker) -> None:
    directory = maker(backend="fuse").directory
    shell(directory, "mkdir src; for n in 1 2 3 4 5; do echo $n > src/$n; done; echo one > file")
    then = int(shell(directory, "cat .chronicle/barrier"))
    shell(directory, "echo changed > src/3; rm src/4; echo new > src/new; echo two > file")
    before = int(shell(directory, "cat .chronicle/barrier"))
    shell(directory, f'echo \'{{"iteration": {then}, "path": "src"}}\' > .chronicle/restore')
    assert json.loads(shell(directory, "cat .chronicle/restore"))["changed"] == 3
    assert shell(directory, "cat src/*") == "1\n2\n3\n4\n5\n"
    assert shell(directory, "cat file") == "two\n"
    head = int(shell(directory, "cat .chronicle/barrier"))
    newest = [json.loads(line) for line in shell(directory, f"head -n {head - before} .chronicle/log").splitlines()]
    assert sorted((line["kind"], line["path"]) for line in newest) == [
        ("create", "src/4"),
        ("delete", "src/new"),
        ("modify", "src/3"),
    ]
    told = json.loads(shell(directory, "cat .chronicle/query/src/3"))
    assert [row["kind"] for row in told["iterations"]] == ["modify", "modify", "create"]
    assert shell(directory, "cat .chronicle/head") == f"{head}\n"
    assert "restore" in shell(directory, "ls .chronicle; cat .chronicle/README")
    refused = subprocess.run(
        ["tee", ".chronicle/restore"], cwd=directory, input=b'{"iteration": 99999}', capture_output=True, check=False
    )
    assert refused.returncode != 0
    assert b"No such file or directory" in refused.stderr
    assert "99999" in shell(directory, "cat .chronicle/restore")


@pytest.mark.proves("CHR-FORK")
def test_a_hollow_fork_in_a_mount_is_what_it_was_forked_from(maker: MountMaker, tmp_path: Path) -> None:
    mounted = maker(backend="fuse")
    shell(
        mounted.directory,
        "mkdir -p a/b c; echo one > a/b/file; ln a/b/file c/same; ln -s ../a c/link; chmod 500 a/b; chmod 400 a/b/file;"
        "for n in $(seq 200); do echo $n > c/$n; done; head -c 5000000 /dev/urandom > large",
    )
    moment = mounted.workspace.barrier()
    shell(mounted.directory, "rm -r c; echo two > later")
    with mounted.workspace.fork(tmp_path / "fork", moment) as fork:
        shown = tmp_path / "shown"
        shown.mkdir()
        maker.process.daemon.mount(fork.root, shown, backend="fuse")
        try:
            assert os.stat(shown / "large").st_size == 5_000_000
            assert os.stat(fork.root / "tree/large").st_blocks == 0
            shell(shown, f"diff -r --no-dereference -x .chronicle . {mounted.directory}/.chronicle/at/{moment}")
            assert os.stat(shown / "c/same").st_ino == os.stat(shown / "a/b/file").st_ino
            shell(shown, "test $(stat -c %a a/b) = 500; test $(stat -c %a c/same) = 400; echo more >> large; mv c d")
            # What was only looked at is no change.
            assert fork.barrier() == moment + 2
        finally:
            maker.process.daemon.unmount(fork.root)
        assert list(fork.fsck()) == []


@pytest.mark.proves("CHR-RESTORE")
def test_a_restored_file_is_one_iteration_of_the_same_history(maker: MountMaker) -> None:
    mounted = maker(backend="fuse")
    workspace, directory = mounted.workspace, mounted.directory
    (directory / "file").write_text("one")
    then = workspace.barrier()
    (directory / "file").write_text("two")
    before = workspace.barrier()
    done = workspace.restore(then)
    assert done.head == before + 1
    assert [one.kind for one in workspace.history("file")] == ["modify", "modify", "create"]
    assert workspace.log(limit=1000) == workspace.history("file")[::-1]
