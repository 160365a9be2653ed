"""Workspaces go out and come in, mounted or not."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from chronicle import ChronicleError, Workspace
from tests.chronicle_mounts import mount_maker

pytestmark = pytest.mark.proves("CHR-EXCHANGE")


def fill(directory: Path) -> None:
    (directory / "src").mkdir(parents=True)
    (directory / "src" / "main.py").write_text("print(1)\n")
    (directory / "src" / "main.py").chmod(0o755)
    (directory / "link").symlink_to("src/main.py")


def git(*arguments: str, at: Path, date: str = "2026-01-01T00:00:00Z") -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=b@c", *arguments]
    environment = {**os.environ, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
    return subprocess.run(command, cwd=at, check=True, capture_output=True, text=True, env=environment).stdout


def commit_versions(source: Path, dates: list[str]) -> None:
    fill(source)
    git("init", "-q", ".", at=source)
    for number, date in enumerate(dates):
        (source / "file").write_text(f"version {number}\n")
        git("add", ".", at=source)
        git("commit", "-qm", f"commit {number}", at=source, date=date)


@pytest.fixture(params=["alone", "fuse", "watch"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A workspace that nobody serves, or that a process does."""
    if request.param == "alone":
        with Workspace.create(tmp_path / "alone") as opened:
            yield opened
        return
    with mount_maker(tmp_path) as maker:
        yield maker(backend=request.param).workspace


def test_a_directory_comes_in_and_goes_out_as_tar(workspace: Workspace, tmp_path: Path) -> None:
    fill(tmp_path / "source")
    workspace.import_tree(tmp_path / "source", "in/here")
    assert workspace.read("in/here/src/main.py") == b"print(1)\n"
    assert workspace.version("in/here/src/main.py").mode == 0o100755
    assert workspace.read("in/here/link") == b"src/main.py"
    with open(tmp_path / "out.tar", "wb") as out:
        workspace.export_tar(out, path="in/here")
    subprocess.run(["tar", "-xf", "out.tar", "--one-top-level=back"], cwd=tmp_path, check=True)
    subprocess.run(["diff", "-r", "--no-dereference", "source", "back"], cwd=tmp_path, check=True)


def test_an_archive_comes_in_and_a_hostile_one_is_refused_whole(workspace: Workspace, tmp_path: Path) -> None:
    fill(tmp_path / "source")
    subprocess.run(["tar", "-czf", "in.tar.gz", "-C", "source", "."], cwd=tmp_path, check=True)
    with open(tmp_path / "in.tar.gz", "rb") as archive:
        workspace.import_tar(archive)
    assert workspace.read("src/main.py") == b"print(1)\n"
    head = workspace.head
    hostile = io.BytesIO()
    with tarfile.open(fileobj=hostile, mode="w") as made:
        made.addfile(tarfile.TarInfo("good"), io.BytesIO())
        made.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    hostile.seek(0)
    with pytest.raises(ChronicleError):
        workspace.import_tar(hostile)
    assert workspace.barrier() == head
    assert not (tmp_path / "outside").exists()


def test_a_repository_comes_in_with_its_history_and_goes_out_again(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    commit_versions(source, [f"2026-01-01T00:00:0{number}Z" for number in range(3)])
    workspace.import_git(source)
    labels = [one.label for one in workspace.checkpoints(newest_first=False)]
    assert labels == ["commit 0", "commit 1", "commit 2"]
    assert [workspace.read("file", workspace.moment(label)) for label in labels if label] == [
        b"version 0\n", b"version 1\n", b"version 2\n",
    ]  # fmt: skip
    workspace.export_git(tmp_path / "out")
    git("fsck", "--strict", at=tmp_path / "out")
    assert git("log", "--format=%s", at=tmp_path / "out").split("\n")[:3] == ["commit 2", "commit 1", "commit 0"]
    assert git("rev-parse", "HEAD^{tree}", at=tmp_path / "out") == git("rev-parse", "HEAD^{tree}", at=source)
    assert os.access(tmp_path / "out" / "src" / "main.py", os.X_OK)


def test_commits_of_one_second_with_contents_of_one_size_are_told_apart(tmp_path: Path) -> None:
    commit_versions(tmp_path / "source", ["2026-01-01T00:00:00Z"] * 3)
    with Workspace.create(tmp_path / "store") as workspace:
        workspace.import_git(tmp_path / "source")
        assert [workspace.read("file", one.iteration) for one in workspace.checkpoints(newest_first=False)] == [
            b"version 0\n", b"version 1\n", b"version 2\n",
        ]  # fmt: skip
        assert list(workspace.fsck()) == []
