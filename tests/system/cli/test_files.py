"""`podium files`: an agent's files from a shell."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.cli.platforms import Up, environment, running


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with an agent `mine`."""
    folder = tmp_path_factory.mktemp("files")
    with running(folder) as made:
        made.run("new", "my-agent", "--runtime", "python")
        made.run("deploy", "my-agent")
        made.run("create", "my-agent", "--agent", "mine")
        yield made


def _stdout(up: Up, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "podium.cli", *arguments],
        cwd=up.folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.proves("CHR-AGENT-FILES")
def test_files_are_put_listed_read_compared_and_restored(up: Up, tmp_path: Path) -> None:
    local = tmp_path / "local.txt"
    local.write_text("one\ntwo\n")
    first = up.json("files", "put", "mine", "notes/n.txt", str(local))
    _stdout(up, "files", "put", "mine", "notes/n.txt", "-", stdin=b"one\n2\n")
    assert up.run("files", "ls", "mine", "--depth", "2").split() == ["notes/", "notes/n.txt"]
    assert "notes/n.txt" in up.run("files", "ls", "mine", "notes", "-l")
    assert up.run("files", "cat", "mine", "notes/n.txt") == "one\n2\n"
    assert up.run("files", "cat", "mine", "notes/n.txt", "--at", str(first["iteration"])) == "one\ntwo\n"
    assert up.run("files", "at", "mine", "notes/n.txt", str(first["iteration"])) == "one\ntwo\n"
    history = up.json("files", "history", "mine", "notes/n.txt")
    assert [each["kind"] for each in history] == ["modify", "create"]
    assert "notes/n.txt" in up.run("files", "history", "mine")
    assert "-two\n+2\n" in up.run("files", "diff", "mine", str(first["iteration"]))
    assert up.json("files", "diff", "mine", str(first["iteration"]))[0]["path"] == "notes/n.txt"
    up.run("files", "restore", "mine", str(first["iteration"]), "notes/n.txt")
    assert up.run("files", "cat", "mine", "notes/n.txt") == "one\ntwo\n"
    target = tmp_path / "out.tar.gz"
    up.run("files", "export", "mine", str(target))
    with tarfile.open(target) as archive:
        assert archive.getnames() == ["notes", "notes/n.txt"]
    with tarfile.open(fileobj=io.BytesIO(_stdout(up, "files", "export", "mine", "-"))) as archive:
        assert archive.extractfile("notes/n.txt").read() == b"one\ntwo\n"  # type: ignore[union-attr]
    up.run("files", "rm", "mine", "notes")
    assert up.run("files", "ls", "mine") == ""


def test_what_can_not_be_done_is_said_with_its_exit_code(up: Up, tmp_path: Path) -> None:
    assert up.try_run("files", "cat", "mine", "nothing").returncode == 66
    assert up.try_run("files", "cat", "mine", "../../etc/passwd").returncode == 65
    assert up.try_run("files", "put", "mine", "x", str(tmp_path / "missing")).returncode == 64
    local = tmp_path / "x"
    local.write_text("x")
    up.run("files", "put", "mine", "x", str(local), "--new")
    assert up.try_run("files", "put", "mine", "x", str(local), "--new").returncode == 73
    assert up.try_run("files", "put", "mine", "x", str(local), "--if-hash", "0" * 64).returncode == 73
