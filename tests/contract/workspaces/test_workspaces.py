"""What every kind of workspaces does, and what those with a history do besides."""

import asyncio
import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from chronicle.daemon.client import LOCK
from chronicle.model.errors import IterationNotFoundError, WorkspaceNotFoundError
from chronicle.model.iterations import Iteration
from chronicle.workspace.library import Workspace
from podium.coordinator.adapters.workspaces import VersionedSettings, VersionedWorkspaces, Whose
from podium.coordinator.adapters.workspaces.supervision import Supervision
from podium.coordinator.domain.ports import PreparedDeployment, Workspaces, WorkspacesUnavailableError
from podium.coordinator.domain.tags import tag_of
from podium.wire.errors import ErrorCode, PodiumError
from tests.contract.workspaces.conftest import started
from tests.waiting import wait_until

Make = Callable[..., PreparedDeployment]


async def test_a_new_workspace_holds_the_template_and_stays_as_it_is_left(
    workspaces: Workspaces, deployment: Make
) -> None:
    prepared = deployment({"a/b.txt": "hello"})
    path = await workspaces.open("one", prepared, owner=None)
    assert path.is_absolute()
    assert (path / "a" / "b.txt").read_text() == "hello"
    (path / "a" / "b.txt").write_text("changed")
    assert await workspaces.open("one", prepared, owner=None) == path
    await workspaces.close("one")
    await workspaces.close("one")
    path = await workspaces.open("one", deployment({"a/b.txt": "newer template"}), owner=None)
    assert (path / "a" / "b.txt").read_text() == "changed"


@pytest.mark.parametrize("pause", [0.0, 0.003, 0.01, 0.03])
async def test_a_workspace_whose_opening_was_cancelled_at_any_moment_can_be_opened_and_removed(
    workspaces: Workspaces, deployment: Make, pause: float
) -> None:
    prepared = deployment()
    for _ in range(2):
        opening = asyncio.get_running_loop().create_task(workspaces.open("one", prepared, owner=None))
        await asyncio.wait({opening}, timeout=pause)
        opening.cancel()
        await asyncio.wait({opening})
        await workspaces.remove("one")
        assert not workspaces.place("one").exists()
    opening = asyncio.get_running_loop().create_task(workspaces.open("one", prepared, owner=None))
    await asyncio.wait({opening}, timeout=pause)
    opening.cancel()
    await asyncio.wait({opening})
    path = await workspaces.open("one", prepared, owner=None)
    assert path == workspaces.place("one")
    (path / "f").write_text("x")
    await workspaces.barrier("one")
    assert await workspaces.work("one", lambda library: library.read(b"f"), seconds=10) == b"x"


async def test_a_library_reads_and_writes_whether_it_is_open_or_not(workspaces: Workspaces, deployment: Make) -> None:
    assert not workspaces.exists("one")
    with pytest.raises(WorkspaceNotFoundError), workspaces.library("one"):
        pass
    path = await workspaces.open("one", deployment(), owner=None)
    assert workspaces.exists("one")

    def write(name: str) -> None:
        with workspaces.library("one") as library:
            library.put(name, b"by hand")
            assert library.read(name) == b"by hand"

    await asyncio.to_thread(write, "d/while-open")
    assert (path / "d" / "while-open").read_bytes() == b"by hand"
    (path / "d" / "by-agent").write_bytes(b"agent")
    await workspaces.barrier("one")
    with workspaces.library("one") as library:
        assert [entry.name for entry in library.entries("d")] == [b"by-agent", b"while-open"]
        assert tag_of(library.version("d/by-agent")).is_strong
        assert [entry.path for entry in library.tree()] == [b"d", b"d/by-agent", b"d/while-open"]
        with pytest.raises(IterationNotFoundError):
            library.version("d", 10_000)


async def test_removing_leaves_nothing_and_the_name_can_be_used_again(workspaces: Workspaces, deployment: Make) -> None:
    path = await workspaces.open("one", deployment(), owner=None)
    (path / "f").write_text("x")
    await workspaces.remove("one")
    assert not path.exists()
    assert not workspaces.exists("one")
    await workspaces.remove("one")
    again = await workspaces.open("one", deployment(), owner=None)
    assert [entry for entry in again.iterdir() if entry.name != ".chronicle"] == []


async def test_a_fork_has_the_files_and_goes_its_own_way(workspaces: Workspaces, deployment: Make) -> None:
    path = await workspaces.open("one", deployment({"f": "shared"}), owner=None)
    await workspaces.barrier("one")
    await workspaces.fork("one", None, "two")
    with pytest.raises(PodiumError) as caught:
        await workspaces.fork("one", None, "two")
    assert caught.value.code is ErrorCode.AGENT_IN_USE
    other = await workspaces.open("two", deployment(), owner=None)
    assert (other / "f").read_text() == "shared"
    (other / "f").write_text("theirs")
    (path / "g").write_text("ours")
    assert (path / "f").read_text() == "shared"
    assert not (other / "g").exists()


async def test_what_is_asked_of_an_agent_that_never_was_is_harmless(workspaces: Workspaces) -> None:
    assert workspaces.head_iteration("nobody") == 0
    await workspaces.close("nobody")
    await workspaces.annotate("nobody", "turn-1")
    await workspaces.fork("nobody", None, "somebody")
    assert not workspaces.exists("somebody")


async def test_changes_are_told_in_order_under_the_turn_that_made_them(
    workspaces: Workspaces, deployment: Make
) -> None:
    if not workspaces.is_versioned:
        return
    path = await workspaces.open("one", deployment(), owner=None)
    told: list[Iteration] = []
    unfollow = workspaces.follow("one", told.extend)
    await workspaces.annotate("one", "turn-1")
    (path / "a").write_text("1")
    (path / "b").write_text("2")
    head = await workspaces.barrier("one")
    await workspaces.annotate("one", None)
    assert told[-1].iteration == head == workspaces.head_iteration("one")
    assert {each.turn_id for each in told if each.path in (b"a", b"b")} == {"turn-1"}
    numbers = [each.iteration for each in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    (path / "c").write_text("3")
    await workspaces.barrier("one")
    assert (told[-1].path, told[-1].turn_id) == (b"c", None)
    unfollow()
    (path / "d").write_text("4")
    await workspaces.barrier("one")
    assert told[-1].path == b"c"


async def test_moments_are_named_and_gone_back_to(workspaces: Workspaces, deployment: Make) -> None:
    if not workspaces.is_versioned:
        with pytest.raises(PodiumError) as caught:
            await workspaces.restore("one", 1, None, None)
        assert caught.value.code is ErrorCode.INVALID_REQUEST
        return
    path = await workspaces.open("one", deployment(), owner=None)
    (path / "f").write_text("good")
    good = await workspaces.checkpoint("one", "good", None)
    (path / "f").write_text("bad")
    (path / "g").write_text("bad too")
    bad = await workspaces.barrier("one")
    head = await workspaces.restore("one", good, None, "turn-9")
    assert head > bad
    assert ((path / "f").read_text(), (path / "g").exists()) == ("good", False)
    await workspaces.restore("one", bad, "g", None)
    assert (path / "g").read_text() == "bad too"
    with workspaces.library("one") as library:
        assert library.moment("good") == good
        assert {each.turn_id for each in library.log(after=bad, limit=10) if each.iteration <= head} == {"turn-9"}
    with pytest.raises(PodiumError) as caught:
        await workspaces.restore("one", 10_000, None, None)
    assert caught.value.code is ErrorCode.ITERATION_NOT_FOUND


@pytest.mark.parametrize("kind", ["watch", "fuse"], indirect=True)
async def test_a_turn_that_begins_while_files_are_taken_back_is_not_forgotten(
    workspaces: Workspaces, deployment: Make
) -> None:
    path = await workspaces.open("one", deployment(), owner=None)
    for number in range(400):
        (path / f"f{number}").write_text("kept")
    good = await workspaces.checkpoint("one", "good", None)
    for number in range(400):
        (path / f"f{number}").unlink()
    await workspaces.annotate("one", "turn-1")
    restoring = asyncio.ensure_future(workspaces.restore("one", good, None, "turn-1"))
    await wait_until(lambda: any(path.glob("f*")))
    await workspaces.annotate("one", "turn-2")
    await restoring
    (path / "after").write_text("x")
    await workspaces.barrier("one")
    with workspaces.library("one") as library:
        assert library.history("after")[0].turn_id == "turn-2"


@pytest.mark.parametrize("kind", ["watch", "fuse"], indirect=True)
async def test_a_workspace_closes_a_little_later_and_is_found_as_it_was(
    kind: str, tmp_path: Path, deployment: Make
) -> None:
    async with started(kind, tmp_path / "data", linger=0.05) as workspaces:
        path = await workspaces.open("one", deployment(), owner=None)
        (path / "f").write_text("kept")
        await workspaces.close("one")
        async with asyncio.timeout(10):
            while list(path.iterdir()):
                await asyncio.sleep(0.02)
        head = workspaces.head_iteration("one")
        assert head == await workspaces.barrier("one") > 0
        assert await workspaces.restore("one", 0, None, None) > head
        assert await workspaces.restore("one", head, None, None) > head
        path = await workspaces.open("one", deployment(), owner=None)
        assert (path / "f").read_text() == "kept"
    async with started(kind, tmp_path / "data") as again:
        assert again.head_iteration("one") > head
        assert ((await again.open("one", deployment(), owner=None)) / "f").read_text() == "kept"


@pytest.mark.parametrize("kind", ["watch", "fuse"], indirect=True)
async def test_a_making_that_was_cut_off_is_made_anew(kind: str, tmp_path: Path, deployment: Make) -> None:
    async with started(kind, tmp_path / "data") as workspaces:
        agent = tmp_path / "data" / "agents" / "one"
        (agent / "chronicle" / "tree").mkdir(parents=True)
        (agent / "chronicle" / "tree" / "half").write_text("half")
        (agent / ".beginning").touch()
        assert not workspaces.exists("one")
        path = await workspaces.open("one", deployment({"whole": "whole"}), owner=None)
        assert sorted(entry.name for entry in path.iterdir() if entry.name != ".chronicle") == ["whole"]


@pytest.mark.parametrize("kind", ["watch", "fuse"], indirect=True)
async def test_a_data_directory_can_be_moved(kind: str, tmp_path: Path, deployment: Make) -> None:
    async with started(kind, tmp_path / "data") as workspaces:
        path = await workspaces.open("one", deployment(), owner=None)
        (path / "f").write_text("kept")
        await workspaces.barrier("one")
        await workspaces.fork("one", None, "two")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    async with started(kind, tmp_path / "elsewhere") as workspaces:
        for agent_id in ("one", "two"):
            path = await workspaces.open(agent_id, deployment(), owner=None)
            assert path.is_relative_to(tmp_path / "elsewhere")
            assert (path / "f").read_text() == "kept"
            with workspaces.library(agent_id) as library:
                assert library.read("f") == b"kept"
    assert not (tmp_path / "data").exists()
    with Workspace.open(tmp_path / "elsewhere" / "agents" / "one" / "chronicle") as workspace:
        workspace.gc(grace_s=0)
        assert workspace.read("f") == b"kept"
        assert list(workspace.fsck()) == []


@pytest.mark.parametrize("kind", ["watch", "fuse"], indirect=True)
async def test_files_from_before_there_were_versions_become_the_first(
    kind: str, tmp_path: Path, deployment: Make
) -> None:
    async with started("directory", tmp_path / "data") as plain:
        ((await plain.open("one", deployment(), owner=None)) / "old").write_text("from before")
    async with started(kind, tmp_path / "data") as workspaces:
        path = await workspaces.open("one", deployment({"template": "no"}), owner=None)
        assert (path / "old").read_text() == "from before"
        with workspaces.library("one") as library:
            assert [each.path for each in library.log()] == [b"old"]


@pytest.mark.parametrize("cut", ["os.rename", "clean_mark", "Workspace.open"])
@pytest.mark.noisy("workspace_refused")
async def test_files_from_before_survive_a_taking_over_that_is_cut_off_anywhere(
    cut: str, tmp_path: Path, deployment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started("directory", tmp_path / "data") as plain:
        path = await plain.open("one", deployment(), owner=None)
        (path / "old").write_text("from before, and nowhere else")
        (path / "d").mkdir()
    async with started("watch", tmp_path / "data") as workspaces:
        with monkeypatch.context() as broken:

            def fail(*_: object) -> None:
                raise OSError("cut off")

            broken.setattr(f"podium.coordinator.adapters.workspaces.stores.{cut}", fail)
            for _ in range(2):  # nor by one that is cut off again
                with pytest.raises(PodiumError):
                    await workspaces.open("one", deployment({"template": "no"}), owner=None)
        assert not workspaces.exists("one")
    async with started("watch", tmp_path / "data") as workspaces:
        path = await workspaces.open("one", deployment({"template": "no"}), owner=None)
        assert (path / "old").read_text() == "from before, and nowhere else"
        with workspaces.library("one") as library:
            assert {each.path for each in library.log()} == {b"old", b"d"}
        assert not (tmp_path / "data" / "agents" / "one" / ".beginning").exists()


async def test_a_workspace_whose_contents_its_forks_use_is_not_erased_before_them(
    tmp_path: Path, deployment: Make
) -> None:
    async with started("watch", tmp_path / "data", pooled=False) as workspaces:
        path = await workspaces.open("one", deployment(), owner=None)
        (path / "f").write_text("shared")
        await workspaces.barrier("one")
        await workspaces.fork("one", None, "two")
        with pytest.raises(PodiumError) as caught:
            await workspaces.remove("one")
        assert caught.value.code is ErrorCode.AGENT_IN_USE
        assert str(tmp_path) not in caught.value.detail
        for agent_id in ("one", "two"):
            opened = await workspaces.open(agent_id, deployment(), owner=None)
            assert (opened / "f").read_text() == "shared"
        for agent_id in ("two", "one"):
            await workspaces.remove(agent_id)
            assert not workspaces.exists(agent_id)


async def test_the_daemon_of_an_earlier_coordinator_is_waited_for(tmp_path: Path) -> None:
    directory = tmp_path / "daemon"
    directory.mkdir()

    def came_back() -> None:
        raise AssertionError("it never went")

    with (directory / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        supervision = Supervision(directory, lambda: "", came_back)
        starting = asyncio.ensure_future(supervision.start())
        done, _ = await asyncio.wait({starting}, timeout=0.3)
        assert (done, supervision.pid) == (set(), None)
    await starting
    assert supervision.pid is not None
    await supervision.stop()


@pytest.mark.noisy("chronicle")
async def test_a_daemon_of_another_coordinator_that_stays_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.coordinator.adapters.workspaces.supervision.FOLLOW_SECONDS", 0.1)
    data = tmp_path / "data"
    async with started("watch", data):
        second = VersionedWorkspaces(data, VersionedSettings(backend="watch"), Whose(lambda _: None, lambda _: None))
        with pytest.raises(WorkspacesUnavailableError, match="does not start"):
            await second.start()
        await second.stop()


@pytest.mark.noisy("chronicle")
async def test_a_daemon_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.coordinator.adapters.workspaces.supervision._SCRIPT", Path("/nonexistent.py"))
    workspaces = VersionedWorkspaces(
        tmp_path, VersionedSettings(backend="watch"), Whose(lambda _: None, lambda _: None)
    )
    with pytest.raises(WorkspacesUnavailableError, match="does not start"):
        await workspaces.start()
    await workspaces.stop()
