"""What goes out is read by the real programs, and what they make comes in."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.exchange import GitCommit, export_git, export_tar, import_git
from chronicle.model.errors import InvalidInputError, InvalidPathError, NotSupportedError, VersionDroppedError
from tests.unit.chronicle.worktree.past import Past, Seen, seen, without_times


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    workspace = Past(tmp_path / "workspace")
    yield workspace
    workspace.close()


def git(where: Path, *arguments: str, **extra: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@b",
        **extra,
    }
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def checkpoint(past: Past, label: str | None = None, turn_id: str | None = None) -> None:
    with past.history.batch() as batch:
        batch.checkpoint(at=1_700_000_123_456, label=label, turn_id=turn_id)


def as_git_has_it(tree: dict[bytes, Seen]) -> dict[bytes, Seen]:
    """Without what git doesn't keep: empty directories, modes but the executable bit, hard links, special files."""
    found: dict[bytes, Seen] = {}
    for path, (kind, mode, held) in without_times(tree).items():
        if kind == "link":
            kind, mode, held = without_times(tree)[held]
        if kind == "file":
            found[path] = ("file", mode & 0o100, held[0])
        elif kind == "symlink":
            found[path] = (kind, 0, held)
    return found


@pytest.mark.proves("CHR-EXCHANGE")
def test_tar_unpacks_what_goes_out(past: Past, tmp_path: Path) -> None:
    past.mkdir("src", 0o750)
    past.write("src/main", b"x" * 5000, 0o755, mtime_ns=1_600_000_000_123_456_789)
    past.write("src/" + "n" * 240, b"long", xattrs={b"user.colour": b"blue"})
    past.write(b"bytes \xff\n", b"any")
    past.symlink("src/link", "../away")
    past.link("again", "src/main")
    past.write("large", os.urandom(9_000_000))
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    with open(tmp_path / "out.tar.gz", "wb") as out:
        export_tar(past.history, past.pool, None, out, gzip=True)
    subprocess.run(
        ["tar", "--xattrs", "--xattrs-include=*", "-xpzf", tmp_path / "out.tar.gz", "-C", unpacked],
        check=True,
        capture_output=True,
    )
    assert seen(unpacked) == past.at()
    assert os.stat(unpacked / "src").st_mtime_ns == past.history.entries(b"")[-1].version.mtime_ns


@pytest.mark.proves("CHR-EXCHANGE")
def test_checkpoints_and_head_become_commits(past: Past, tmp_path: Path) -> None:
    past.write("file", b"one")
    past.write("run", b"#!/bin/sh\n", 0o755)
    past.symlink("link", "file")
    checkpoint(past, "first\nwith a second line")
    first = past.history.head
    past.mkdir("d")
    past.mkdir("d/empty")
    past.write(b'd/"q\\uote"\xff\n\t', b"odd")
    past.rename("moved", "file")
    past.write("link", b"a file now")
    past.write("run", b"#!/bin/sh\n", 0o644)
    checkpoint(past, turn_id="turn-9")
    second = past.history.head
    past.rename("e", "d")
    past.delete("run")
    past.mkdir("run")
    past.write("run/inside", b"inside")
    past.write("large", bytes(range(256)) * 30_000)
    past.link("other name", "large")
    into = tmp_path / "repository"
    exported = export_git(past.history, past.pool, into)
    assert exported == (3, [])
    git(into, "fsck", "--strict", "--no-dangling")
    log = git(into, "log", "--reverse", "--format=%s|%at|%an").splitlines()
    assert log[0] == "first with a second line|1700000123|Chronicle"
    assert log[1] == "Turn turn-9|1700000123|Chronicle"
    assert log[2].startswith("Head|")
    assert f"Iteration: {second}\nTurn: turn-9" in git(into, "log", "-1", "--format=%B", "HEAD~1")
    assert git(into, "status", "--porcelain", "--ignored") == ""
    for revision, moment in (("main~2", first), ("main~1", second), ("main", past.history.head)):
        git(into, "checkout", "--quiet", "--detach", revision)
        shown = {path: it for path, it in seen(into).items() if not path.startswith(b".git")}
        assert as_git_has_it(shown) == as_git_has_it(past.at(moment))


def test_the_same_workspace_is_the_same_commits(past: Past, tmp_path: Path) -> None:
    past.write("file", b"one")
    checkpoint(past, "first")
    heads = []
    for name in ("one", "other"):
        export_git(past.history, past.pool, tmp_path / name, bare=True)
        heads.append(git(tmp_path / name, "rev-parse", "main"))
    assert heads[0] == heads[1]


def test_what_git_takes_no_file_at_is_left_out_and_said(past: Past, tmp_path: Path) -> None:
    past.mkdir(".git")
    past.write(".git/config", b"[core]\n fsmonitor = touch /tmp/evil\n")
    past.mkdir("sub")
    past.write("sub/.GIT", b"a worktree")
    past.write("sub/git~1", b"short name")
    past.write("sub/.gi\u200ct", b"ignorable")
    past.symlink(".gitmodules", "elsewhere")
    past.write("sub/.gitignore", b"fine")
    past.write("git", b"fine")
    past.change("special", "queue", mode=0o010644)
    into = tmp_path / "repository"
    exported = export_git(past.history, past.pool, into)
    assert exported.skipped == sorted(
        [b".git/config", b".gitmodules", b"queue", "sub/.gi\u200ct".encode(), b"sub/.GIT", b"sub/git~1"]
    )
    git(into, "fsck", "--strict")
    assert git(into, "ls-files").splitlines() == ["git", "sub/.gitignore"]


def test_an_empty_workspace_is_an_empty_repository(past: Past, tmp_path: Path) -> None:
    assert export_git(past.history, past.pool, tmp_path / "repository") == (0, [])
    assert git(tmp_path / "repository", "status", "--porcelain") == ""


def test_a_moment_without_files_is_a_commit(past: Past, tmp_path: Path) -> None:
    past.write("file", b"x")
    past.delete("file")
    checkpoint(past, "nothing")
    assert export_git(past.history, past.pool, tmp_path / "repository").commits == 1
    assert git(tmp_path / "repository", "ls-tree", "-r", "HEAD") == ""


def test_what_can_not_go_out_is_said(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past.change("write", "lost", size=3, digest=bytes(32), mode=0o100644)
    with pytest.raises(VersionDroppedError):
        export_git(past.history, past.pool, tmp_path / "lost")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(InvalidInputError):
        export_git(past.history, past.pool, tmp_path / "full")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotSupportedError, match="git is not installed"):
        export_git(past.history, past.pool, tmp_path / "nothing")


def commit(repository: Path, message: str, when: int) -> None:
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", message, GIT_COMMITTER_DATE=f"{when} +0000")


@pytest.mark.proves("CHR-EXCHANGE")
def test_commits_of_a_repository_come_in_one_by_one(tmp_path: Path) -> None:
    source, into = tmp_path / "source", tmp_path / "into"
    source.mkdir()
    into.mkdir()
    git(source, "init", "--quiet", "--initial-branch=main")
    (source / "d/e").mkdir(parents=True)
    (source / "d/e/file").write_bytes(b"one")
    (source / "run").write_bytes(b"#!/bin/sh\n")
    (source / "run").chmod(0o755)
    (source / "link").symlink_to("/etc/passwd")
    (source / os.fsdecode(b"odd \xff\n")).write_bytes(os.urandom(3_000_000))
    commit(source, "first: ünïcode\n\nbody", 1_600_000_000)
    shutil.rmtree(source / "d")
    (source / "d").write_bytes(b"a file where a directory was")
    (source / "link").unlink()
    (source / "link").write_bytes(b"a file where a link was")
    commit(source, "second", 1_600_000_060)
    git(source, "checkout", "--quiet", "-b", "side")
    (source / "side").write_bytes(b"side")
    commit(source, "on the side", 1_600_000_070)
    git(source, "checkout", "--quiet", "main")
    (source / "run").unlink()
    (source / "run/deep").mkdir(parents=True)
    (source / "run/deep/file").write_bytes(b"a directory where a file was")
    commit(source, "third", 1_600_000_080)
    git(source, "merge", "--quiet", "--no-edit", "side", GIT_COMMITTER_DATE="1600000090 +0000")
    came: list[tuple[str, int]] = []

    def compared(commit: GitCommit, paths: list[bytes]) -> None:
        came.append((commit.subject, commit.timestamp))
        assert paths == [path for path in paths if path]
        expected = tmp_path / "expected"
        git(source, "worktree", "add", "--quiet", "--detach", str(expected), commit.id)
        shown = {path: it for path, it in seen(expected).items() if path != b".git"}
        assert as_git_has_it(seen(into)) == as_git_has_it(shown)
        assert seen(into).keys() == shown.keys()
        git(source, "worktree", "remove", "--force", str(expected))

    arrived = import_git(source, into, compared)
    assert came == [
        ("first: ünïcode", 1_600_000_000_000),
        ("second", 1_600_000_060_000),
        ("third", 1_600_000_080_000),
        ("Merge branch 'side'", 1_600_000_090_000),
    ]
    assert arrived.skipped == []
    assert os.stat(into / "d").st_mtime == 1_600_000_060


def test_a_repository_that_went_out_comes_in_again(past: Past, tmp_path: Path) -> None:
    past.mkdir("d")
    past.write("d/file", b"one", 0o755)
    checkpoint(past, "first")
    past.write("d/file", b"two")
    past.symlink("link", "d/file")
    into = tmp_path / "into"
    into.mkdir()
    export_git(past.history, past.pool, tmp_path / "repository", bare=True)
    subjects: list[str] = []
    import_git(tmp_path / "repository", into, lambda commit, _: subjects.append(commit.subject), b"below")
    assert subjects == ["first", "Head"]
    assert as_git_has_it(seen(into / "below")) == as_git_has_it(past.at())


def test_submodules_are_skipped(tmp_path: Path) -> None:
    inner, outer, into = (tmp_path / name for name in ("inner", "outer", "into"))
    for directory in (inner, outer, into):
        directory.mkdir()
    git(inner, "init", "--quiet")
    (inner / "file").write_bytes(b"x")
    commit(inner, "inner", 1_600_000_000)
    git(outer, "init", "--quiet")
    git(outer, "submodule", "--quiet", "add", str(inner), "module")
    commit(outer, "outer", 1_600_000_000)
    assert import_git(outer, into, lambda *_: None).skipped == [b"module"]
    assert os.listdir(into) == [".gitmodules"]


def test_a_tree_that_leads_out_is_refused(tmp_path: Path) -> None:
    source, into = tmp_path / "source", tmp_path / "into"
    source.mkdir()
    into.mkdir()
    git(source, "init", "--quiet")
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=source, input=b"x", capture_output=True, check=True
    ).stdout.strip()
    leaf = b"100644 evil\0" + bytes.fromhex(blob.decode())
    tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"],
        cwd=source,
        input=leaf,
        capture_output=True,
        check=True,
    ).stdout.strip()
    above = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"],
        cwd=source,
        input=b"40000 ..\0" + bytes.fromhex(tree.decode()),
        capture_output=True,
        check=True,
    ).stdout.strip()
    made = git(source, "commit-tree", "-m", "evil", above.decode()).strip()
    git(source, "update-ref", "HEAD", made)
    with pytest.raises(InvalidPathError):
        import_git(source, into, lambda *_: None)
    assert os.listdir(into) == []
    assert not (tmp_path / "evil").exists()


def test_what_is_no_repository_or_has_no_commits_is_told_apart(tmp_path: Path) -> None:
    source, into = tmp_path / "source", tmp_path / "into"
    source.mkdir()
    into.mkdir()
    with pytest.raises(InvalidInputError, match="not a git repository"):
        import_git(source, into, lambda *_: None)
    git(source, "init", "--quiet")
    assert import_git(source, into, lambda *_: None) == (0, 0, [])
    with pytest.raises(InvalidInputError, match="no commit"):
        import_git(source, into, lambda *_: None, revision="--output=/tmp/evil")


def test_a_workspace_is_read_from_a_tar_stream_by_tar(past: Past, tmp_path: Path) -> None:
    past.write("a", b"x")
    out = io.BytesIO()
    export_tar(past.history, past.pool, None, out)
    listed = subprocess.run(["tar", "-tf", "-"], input=out.getvalue(), capture_output=True, check=True)
    assert listed.stdout == b"a\n"
    assert listed.stderr == b""
