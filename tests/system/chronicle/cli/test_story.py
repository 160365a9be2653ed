"""The command, as a person uses it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chronicle import Workspace
from tests.system.chronicle.cli.conftest import Command
from tests.waiting import until


def shell(directory: Path, commands: str) -> None:
    subprocess.run(["sh", "-ec", commands], cwd=directory, check=True, capture_output=True)


def shown(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in directory.rglob("*")
    }


@pytest.mark.proves("CHR-EVERY-VERSION", "CHR-RESTORE", "CHR-FOLLOWS-RENAMES")
def test_a_project_is_adopted_wrecked_and_brought_back_with_one_command(chronicle: Command) -> None:
    project = chronicle.directory / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "main.py").write_text("print('hello')\n")
    shell(project, "git init -q . && git add . && git -c user.name=a -c user.email=b@c commit -qm one")
    assert "--adopt" in chronicle("mount", "project", code=64)
    assert "remembers" in chronicle("mount", "project", "--adopt")
    chronicle("checkpoint", "before", at="project")
    was = shown(project)
    shell(
        project,
        "sed -i s/hello/bye/ src/main.py; rm -rf src; git checkout -q -- .; echo '#' >> src/main.py; mv src lib",
    )
    assert chronicle.lines("history", "lib/main.py", at="project")[1]["path"] == "src/main.py"
    history = chronicle.lines("history", "src/main.py", at="project")
    contents = [
        chronicle("cat", one["path"], "--at", str(one["iteration"]), at="project") for one in history if one["hash"]
    ]
    assert set(contents) == {"print('hello')\n", "print('bye')\n", "print('hello')\n#\n"}
    assert "hello" in chronicle("diff", "before", at="project")
    told = chronicle("restore", "before", at="project")
    assert shown(project) == was
    shell(project, "git fsck --strict")
    undo = told.split("chronicle restore ")[1].split()[0]
    chronicle("restore", undo, at="project")
    assert (project / "lib" / "main.py").read_text() == "print('hello')\n#\n"
    chronicle("unmount", "project")
    assert os.listdir(project) == []
    assert chronicle("cat", "project/src/main.py", "--at", "before") == "print('hello')\n"
    chronicle("fsck", "-w", "project")


def test_every_command_answers_in_json(chronicle: Command) -> None:
    assert chronicle.json("mount", "project")["state"] == "ready"
    (chronicle.directory / "project" / "a").write_text("one\n")
    assert chronicle.json("checkpoint", "first", at="project")["iteration"] == 1
    (chronicle.directory / "project" / "a").write_text("two\n")
    assert chronicle.json("status", "project")["state"] == "mounted"
    assert [one["kind"] for one in chronicle.lines("log", at="project")] == ["modify", "create"]
    assert [one["label"] for one in chronicle.lines("log", "--checkpoints", at="project")] == ["first"]
    assert chronicle.json("cat", "a", "--at", "first", at="project")["content"] == "one\n"
    assert [one["path"] for one in chronicle.lines("at", "first", at="project")] == ["a"]
    assert [one["path"] for one in chronicle.lines("diff", "first", at="project")] == ["a"]
    assert chronicle.json("restore", "first", "--dry-run", at="project")["paths"] == ["a"]
    assert chronicle.json("restore", "head~1", at="project")["paths"] == ["a"]
    assert chronicle.json("fork", "../other", "--at", "first", at="project")["iteration"] == 1
    assert chronicle.json("gc", "--dry-run", at="project")["dry_run"] is True
    assert chronicle.json("fsck", at="project") == {"findings": [], "repaired": 0, "ok": True}
    assert chronicle.json("du", at="project")["history"] > 0
    assert chronicle.json("export", "out.tar", at="project")["entries"] == 1
    assert (
        chronicle.json("import", str(chronicle.directory / "project" / "out.tar"), "--into", "in", at="project")[
            "entries"
        ]
        >= 1
    )
    assert [one["path"] for one in chronicle.lines("watch", "--after", "0", "--count", "1", at="project")] == ["a"]
    assert len(chronicle.json("status")["mounts"]) == 1
    assert chronicle.json("unmount", "project")["mountpoint"] == str(chronicle.directory / "project")


def test_a_fork_is_mounted_beside_its_origin(chronicle: Command) -> None:
    chronicle("mount", "project")
    (chronicle.directory / "project" / "a").write_text("one")
    chronicle("fork", "../other", at="project")
    chronicle("mount", "other")
    (chronicle.directory / "other" / "a").write_text("two")
    assert (chronicle.directory / "project" / "a").read_text() == "one"
    chronicle("unmount", "other")
    chronicle("unmount", "project")


def test_settings_are_given_at_mounting_and_kept(chronicle: Command) -> None:
    chronicle("mount", "project", "--exclude", "*.log", "--quota", "50m", "--keep-last", "5", "--durability", "sync")
    (chronicle.directory / "project" / "a.log").write_text("x")
    (chronicle.directory / "project" / "a").write_text("x")
    assert [one["path"] for one in chronicle.lines("log", at="project")] == ["a"]
    chronicle("unmount", "project")
    chronicle("mount", "project")
    with Workspace.open(chronicle.directory / "project") as workspace:
        settings = workspace.settings
    assert (settings.exclude, settings.quota_bytes, settings.retention.last, settings.durability) == (
        ("*.log",),
        50 << 20,
        5,
        "sync",
    )
    chronicle("unmount", "project")


def test_errors_say_what_to_do_and_have_codes(chronicle: Command) -> None:
    assert "chronicle mount DIR" in chronicle("log", code=66)
    chronicle("mount", "project")
    assert "nothing is there" in chronicle("cat", "missing", at="project", code=66)
    assert "newest is 0" in chronicle("restore", "99", at="project", code=66)
    assert "log --checkpoints" in chronicle("restore", "never", at="project", code=66)
    assert "No such command" in chronicle("frobnicate", code=64)
    assert chronicle("log", "/nowhere", "--json", code=66).startswith('{"error": {"code": "workspace_not_found"')
    chronicle("unmount", "project")
    assert "not mounted" in chronicle("unmount", "project", code=66)


def test_without_fuse_the_directory_is_watched_and_that_is_said(chronicle: Command) -> None:
    assert "backend watch" in chronicle("mount", "project", "--backend", "watch")
    (chronicle.directory / "project" / "a").write_text("one")
    with Workspace.open(chronicle.directory / "project") as workspace:
        workspace.barrier()
        assert workspace.read("a") == b"one"
    assert chronicle.json("status", at="project")["backend"] == "watch"
    chronicle("unmount", "project")
    assert os.listdir(chronicle.directory / "project") == []


def test_in_the_foreground_it_stays_until_it_is_interrupted(chronicle: Command) -> None:
    command = [sys.executable, "-m", "chronicle.cli", "mount", "project", "--foreground"]
    process = subprocess.Popen(
        command,
        cwd=chronicle.directory,
        env=chronicle.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: os.path.ismount(chronicle.directory / "project"))
        (chronicle.directory / "project" / "a").write_text("one")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not os.path.ismount(chronicle.directory / "project")
    assert chronicle("cat", "project/a") == "one"


def test_names_that_are_no_text_go_through(chronicle: Command) -> None:
    chronicle("mount", "project")
    name = b"caf\xe9"
    (Path(os.fsdecode(os.fsencode(chronicle.directory / "project") + b"/" + name))).write_text("x")
    assert "caf\udce9" in chronicle("log", at="project")
    assert chronicle.lines("log", at="project")[0]["path"] == "caf\udce9"
    chronicle("unmount", "project")


@pytest.mark.proves("CHR-FSCK-FINDS")
def test_a_workspace_that_can_not_be_opened_is_checked_all_the_same(chronicle: Command) -> None:
    with Workspace.create(chronicle.directory / "store") as workspace:
        workspace.put("a", b"x")
        database = (workspace.root / "history" / "head.db").resolve()
    database.write_bytes(b"no database" * 1000)
    assert "damage" in chronicle("fsck", "-w", "store", code=1)
    chronicle("log", "-w", "store", code=65)
