"""The library on a workspace that nobody serves: it reads, and writes under the lock."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from chronicle import (
    ChangedMeanwhileError,
    CheckpointNotFoundError,
    FileNotFoundInHistoryError,
    InvalidInputError,
    InvalidPathError,
    IterationNotFoundError,
    Workspace,
    WorkspaceNotFoundError,
)
from tests.waiting import until


def kinds(workspace: Workspace, after: int = 0) -> list[tuple[str, bytes]]:
    return [(one.kind, one.path) for one in workspace.log(after=after)]


def snapshot(workspace: Workspace, at: int | None = None) -> dict[bytes, tuple[int, bytes]]:
    found = {}
    for entry in workspace.tree(at):
        content = b"" if entry.version.type == "directory" else workspace.read(entry.path, at)
        found[entry.path] = (entry.version.mode, content)
    return found


def test_a_new_workspace_is_empty_and_at_zero(workspace: Workspace) -> None:
    assert workspace.head == 0
    assert list(workspace.tree()) == []
    assert workspace.status().state == "idle"


@pytest.mark.proves("CHR-NO-GAPS", "CHR-HISTORY-EXACT")
def test_every_put_is_an_iteration_that_can_be_read_back(workspace: Workspace) -> None:
    for number in range(5):
        workspace.put("notes.md", b"version %d" % number)
    assert [one.iteration for one in workspace.log()] == [1, 2, 3, 4, 5]
    assert [workspace.read("notes.md", n) for n in range(1, 6)] == [b"version %d" % n for n in range(5)]


@pytest.mark.proves("CHR-EQUAL-BYTES")
def test_equal_bytes_make_no_iteration_and_the_old_one_is_answered(workspace: Workspace) -> None:
    first = workspace.put("a", b"same")
    assert workspace.put("a", b"same") == first
    assert workspace.head == first.iteration


def test_parents_are_made_and_the_mode_is_kept(workspace: Workspace) -> None:
    workspace.put("deep/er/file", b"x", mode=0o755)
    workspace.put("deep/er/file", b"y")
    assert kinds(workspace) == [
        ("mkdir", b"deep"), ("mkdir", b"deep/er"), ("create", b"deep/er/file"), ("modify", b"deep/er/file"),
    ]  # fmt: skip
    assert workspace.version("deep/er/file").mode == 0o100755


def test_content_comes_from_a_file_too(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(6_000_000))
    workspace.put("large", source=tmp_path / "large")
    assert workspace.read("large") == (tmp_path / "large").read_bytes()


def test_a_precondition_that_does_not_hold_writes_nothing(workspace: Workspace) -> None:
    first = workspace.put("a", b"one", if_hash="")
    workspace.put("a", b"two", if_hash=first.hash)
    with pytest.raises(ChangedMeanwhileError) as refused:
        workspace.put("a", b"three", if_hash=first.hash)
    assert refused.value.actual == workspace.history("a", limit=1)[0].hash
    with pytest.raises(ChangedMeanwhileError):
        workspace.put("a", b"three", if_hash="")
    with pytest.raises(ChangedMeanwhileError):
        workspace.remove("a", if_hash=first.hash)
    with pytest.raises(ChangedMeanwhileError):
        workspace.put("b", b"three", if_hash=first.hash)
    assert workspace.read("a") == b"two"


def test_removing_a_directory_takes_what_it_holds(workspace: Workspace) -> None:
    workspace.put("src/a", b"1")
    workspace.put("src/b", b"2")
    head = workspace.head
    workspace.remove("src")
    assert sorted(kinds(workspace, head)) == [("delete", b"src"), ("delete", b"src/a"), ("delete", b"src/b")]
    with pytest.raises(FileNotFoundInHistoryError):
        workspace.remove("src")
    with pytest.raises(FileNotFoundInHistoryError):
        workspace.read("src/a")
    assert workspace.read("src/a", head) == b"1"


@pytest.mark.proves("CHR-RESTORE")
def test_a_restore_brings_a_moment_back_exactly_and_can_be_undone(workspace: Workspace) -> None:
    workspace.put("keep", b"kept")
    workspace.put("src/main", b"one", mode=0o755)
    then = workspace.head
    was = snapshot(workspace)
    workspace.put("src/main", b"two")
    workspace.put("more/new", b"x")
    workspace.remove("keep")
    before = workspace.head
    changed = snapshot(workspace)
    done = workspace.restore(then)
    assert snapshot(workspace) == was
    assert done.head == workspace.head > before
    assert done.paths == [b"keep", b"more", b"more/new", b"src/main"]
    workspace.restore(before)
    assert snapshot(workspace) == changed
    assert workspace.restore(workspace.head).paths == []


@pytest.mark.proves("CHR-RESTORE")
def test_one_path_is_restored_and_the_rest_stays(workspace: Workspace) -> None:
    workspace.put("a/x", b"1")
    workspace.put("b", b"1")
    then = workspace.head
    workspace.remove("a")
    workspace.put("b", b"2")
    workspace.restore(then, "a")
    assert (workspace.read("a/x"), workspace.read("b")) == (b"1", b"2")


def test_differences_come_as_values_and_as_text(workspace: Workspace) -> None:
    workspace.put("a", b"one\n")
    then = workspace.head
    workspace.put("a", b"two\n")
    workspace.put("b", b"new\n")
    assert [(one.path, one.before is None) for one in workspace.diff(then)] == [(b"a", False), (b"b", True)]
    text = "".join(workspace.diff_text(then))
    assert "-one\n+two\n" in text
    assert "new file mode 100644" in text
    assert "".join(workspace.diff_text(then, path="b")).count("diff --git") == 1


def test_the_text_of_a_difference_is_what_git_applies(workspace: Workspace, tmp_path: Path) -> None:
    workspace.put("src/a.py", b"one\ntwo\nthree\n")
    workspace.put("gone", b"bye\n")
    then = workspace.head
    workspace.put("src/a.py", b"one\n2\nthree")
    workspace.put("with space", b"x\n", mode=0o755)
    workspace.remove("gone")
    target = tmp_path / "patched"
    (target / "src").mkdir(parents=True)
    (target / "src" / "a.py").write_bytes(workspace.read("src/a.py", then))
    (target / "gone").write_bytes(b"bye\n")
    subprocess.run(["git", "apply", "-"], input="".join(workspace.diff_text(then)).encode(), cwd=target, check=True)
    assert (target / "src" / "a.py").read_bytes() == b"one\n2\nthree"
    assert os.access(target / "with space", os.X_OK)
    assert not (target / "gone").exists()


def test_moments_have_names(workspace: Workspace) -> None:
    workspace.put("a", b"1")
    made = workspace.checkpoint("first", "turn_1")
    workspace.put("a", b"2")
    again = workspace.checkpoint("first")
    assert [one.iteration for one in workspace.checkpoints()] == [2, 1]
    assert (workspace.moment("turn_1"), workspace.moment("first"), workspace.moment("head"), workspace.moment("1")) == (
        1,
        2,
        2,
        1,
    )
    assert (made.iteration, again.iteration) == (1, 2)
    with pytest.raises(CheckpointNotFoundError):
        workspace.moment("never")
    with pytest.raises(IterationNotFoundError):
        workspace.moment(99)


def test_a_time_is_a_moment_too(workspace: Workspace) -> None:
    first = workspace.put("a", b"1")
    assert workspace.moment_of(first.timestamp - 1) == 0
    assert workspace.moment_of(first.timestamp) == 1
    workspace.put("a", b"2")
    assert workspace.moment_of(10**15) == 2


def test_iterations_carry_the_turn_that_made_them(workspace: Workspace) -> None:
    workspace.annotate("turn_3")
    assert workspace.put("a", b"1").turn_id == "turn_3"
    workspace.annotate(None)
    assert workspace.put("a", b"2").turn_id is None


@pytest.mark.proves("CHR-AGENT-ESCAPES")
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside", "a/../../outside", "a\0b", ".chronicle/head", "x" * 256, "a/" * 2100 + "b"]
)
def test_paths_that_can_not_be_in_a_workspace_are_refused(workspace: Workspace, path: str) -> None:
    for use in (
        workspace.read,
        workspace.history,
        workspace.entries,
        workspace.remove,
        lambda p: workspace.put(p, b"x"),
    ):
        with pytest.raises(InvalidPathError):
            use(path)


@pytest.mark.proves("CHR-AGENT-ESCAPES")
def test_no_link_leads_a_write_out(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (workspace.root / "tree" / "link").symlink_to(outside)
    (workspace.root / "tree" / "direct").symlink_to(outside / "file")
    for path in ("link/file", "link/new", "direct"):
        with pytest.raises(InvalidPathError):
            workspace.put(path, b"theirs")
    with pytest.raises(InvalidPathError):
        workspace.remove("link/file")
    workspace.remove("direct")
    assert [entry.name for entry in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "mine"
    (workspace.root / "tree" / "link").unlink()
    (workspace.root / "clean").unlink()
    workspace.barrier()


def test_a_link_reads_as_its_target_and_a_directory_has_no_content(workspace: Workspace) -> None:
    (workspace.root / "tree" / "link").symlink_to("somewhere")
    (workspace.root / "clean").unlink()  # as after a crash: the next writer compares
    workspace.put("dir/file", b"x")
    assert workspace.read("link") == b"somewhere"
    with pytest.raises(InvalidInputError):
        workspace.read("dir")
    with pytest.raises(InvalidInputError):
        workspace.entries("dir/file")


@pytest.mark.proves("CHR-CRASH")
def test_what_a_writer_that_died_left_in_the_tree_is_recorded_by_the_next(workspace: Workspace) -> None:
    (workspace.root / "clean").unlink()
    (workspace.root / "tree" / "left").write_text("behind")
    assert workspace.status().state == "unclean"
    workspace.barrier()
    assert workspace.read("left") == b"behind"
    assert workspace.status().state == "idle"


def test_a_workspace_is_found_from_inside_and_from_beside(workspace: Workspace, tmp_path: Path) -> None:
    with Workspace.create(tmp_path / ".project.chronicle") as beside:
        (tmp_path / "project").mkdir()
        for place in (tmp_path / "project", tmp_path / "project" / "src" / "deep", beside.root, beside.root / "tree"):
            with Workspace.open(place) as found:
                assert found.root == beside.root
    with pytest.raises(WorkspaceNotFoundError):
        Workspace.open(tmp_path)
    with Workspace.open(tmp_path / "made", create=True) as made:
        assert made.head == 0


def test_two_programs_write_one_after_the_other(workspace: Workspace) -> None:
    def write(number: int) -> None:
        with Workspace.open(workspace.root) as other:
            for count in range(4):
                other.put(f"file{number}", b"%d" % count)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert workspace.head == 12
    assert all(len(workspace.history(f"file{number}")) == 4 for number in range(3))


def test_followers_see_what_others_write_in_order(workspace: Workspace) -> None:
    workspace.put("a", b"0")
    seen: list[int] = []
    watch = workspace.watch(0)

    def follow() -> None:
        with watch:
            seen.extend(one.iteration for one in watch)

    thread = threading.Thread(target=follow)
    thread.start()
    for number in range(1, 6):
        workspace.put("a", b"%d" % number)
    until(lambda: len(seen) == 6)
    watch.close()
    thread.join()
    assert seen == [1, 2, 3, 4, 5, 6]


def test_settings_can_be_changed_later(workspace: Workspace) -> None:
    workspace.put("a.log", b"x")
    workspace.configure(exclude=("*.log",), quota_bytes=1_000_000)
    workspace.put("b", b"x")
    with Workspace.open(workspace.root) as again:
        assert again.settings.exclude == ("*.log",)
    with pytest.raises(InvalidInputError):
        workspace.configure(workspace_id="other")
    with pytest.raises(InvalidInputError):
        workspace.configure(durability="perhaps")


def test_erased_is_gone_and_shared_contents_stay(workspace: Workspace, tmp_path: Path) -> None:
    workspace.put("a", b"shared")
    with workspace.fork(tmp_path / "fork") as fork:
        with pytest.raises(InvalidInputError, match="erase them first"):
            Workspace.open(workspace.root).erase()
        fork.erase()
        assert not fork.root.exists()
    assert workspace.read("a") == b"shared"


def test_a_restore_is_recorded_when_size_and_time_are_the_same(workspace: Workspace) -> None:
    for content in (b"one", b"two"):
        workspace.put("a", content)
        os.utime(workspace.root / "tree" / "a", ns=(10**18, 10**18))
        (workspace.root / "clean").unlink()
        workspace.barrier()
    workspace.restore(1)
    assert workspace.read("a") == b"one"
