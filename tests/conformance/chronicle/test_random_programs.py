"""Random programs run in step on a plain directory and on the mount: equal after each step, and again from history.

`CHRONICLE_SEEDS=n` runs n seeds (default 8), `CHRONICLE_SEED=s` one; a failure prints its seed and what was done.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chronicle import Workspace
from tests.chronicle_mounts import Mounted, io_uring_allowed
from tests.conformance.chronicle.programs import Author, Step, contents

SEEDS = (
    [int(os.environ["CHRONICLE_SEED"])]
    if "CHRONICLE_SEED" in os.environ
    else range(int(os.environ.get("CHRONICLE_SEEDS", "8")))
)

MakeMount = Callable[..., Mounted]
Contents = dict[bytes, tuple[object, ...]]


def remembered(workspace: Workspace, iteration: int) -> Contents:
    """The tree of a moment as the history has it, in the shape of `contents`."""
    found: Contents = {}
    for entry in workspace.tree(iteration):
        version = entry.version
        match version.type:
            case "file":
                found[entry.path] = (oct(version.mode), workspace.read(entry.path, iteration))
            case "symlink":
                found[entry.path] = (oct(0o120000), version.target)
            case _:
                found[entry.path] = (oct(version.mode), None)
    return found


class Run:
    """One program on two directories."""

    def __init__(self, seed: int, plain: Path, mounted: Mounted) -> None:
        self.plain = os.fsencode(plain)
        self.mount = os.fsencode(mounted.directory)
        self.workspace = mounted.workspace
        self.author = Author(seed, self.plain)
        self.trail: list[Step] = []

    def step(self) -> None:
        """The next step, on both; the answers must be the same."""
        step = self.author.step()
        self.trail.append(step)
        expected, actual = step.run(self.plain), step.run(self.mount)
        assert actual == expected, self.told(step)

    def told(self, step: Step | None = None) -> str:
        """What was done, for the report of a failure."""
        lines = [str(step) for step in self.trail]
        return "\n".join([*lines[-40:], f"then differs: {step}" if step else ""])


@pytest.mark.proves("CHR-FALLBACK")
def test_over_io_uring_four_writers_find_what_they_wrote_and_the_history_is_exact(
    tmp_path: Path, make_mount: MakeMount
) -> None:
    with io_uring_allowed():
        mounted = make_mount(io_uring=True)
        _four_writers(tmp_path, mounted)


@pytest.mark.proves("CHR-HISTORY-EXACT", "CHR-NO-GAPS", "CHR-FSCK-CLEAN")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("passthrough", [True, False], ids=["passthrough", "through the daemon"])
def test_every_moment_of_a_random_program_can_be_read_back(
    tmp_path: Path, make_mount: MakeMount, seed: int, passthrough: bool
) -> None:
    mounted = make_mount(passthrough=passthrough)
    plain = tmp_path / "plain"
    plain.mkdir()
    run = Run(seed, plain, mounted)
    moments: dict[int, Contents] = {}
    for _ in range(120):
        run.step()
        head = mounted.workspace.barrier()
        was = contents(plain)
        assert moments.setdefault(head, was) == was, f"the tree changed without an iteration\n{run.told()}"
    assert contents(mounted.directory) == contents(plain), run.told()
    for head, was in moments.items():
        assert remembered(mounted.workspace, head) == was, f"iteration {head}\n{run.told()}"
    mounted.unmount()
    assert list(mounted.workspace.fsck()) == []
    assert remembered(mounted.workspace, mounted.workspace.head) == contents(plain)


@pytest.mark.proves("CHR-HISTORY-EXACT")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_burst_without_waiting_ends_in_the_same_tree_and_restores_to_where_it_began(
    tmp_path: Path, make_mount: MakeMount, seed: int
) -> None:
    mounted = make_mount()
    plain = tmp_path / "plain"
    plain.mkdir()
    run = Run(1_000 + seed, plain, mounted)
    for _ in range(60):
        run.step()
    middle = mounted.workspace.barrier()
    was = contents(plain)
    for _ in range(240):
        run.step()
    head = mounted.workspace.barrier()
    assert remembered(mounted.workspace, head) == contents(plain), run.told()
    mounted.workspace.restore(middle)
    assert contents(mounted.directory) == was, run.told()
    mounted.workspace.barrier()
    mounted.workspace.restore(head)
    assert contents(mounted.directory) == contents(plain), run.told()
    mounted.unmount()
    assert list(mounted.workspace.fsck()) == []


@pytest.mark.proves("CHR-FALLBACK")
@pytest.mark.parametrize("seed", [2_000, 2_001])
def test_a_watched_directory_has_the_tree_of_every_moment_it_was_waited_for(
    tmp_path: Path, make_mount: MakeMount, seed: int
) -> None:
    mounted = make_mount(backend="watch")
    plain = tmp_path / "plain"
    plain.mkdir()
    run = Run(seed, plain, mounted)
    moments: dict[int, Contents] = {}
    for _ in range(8):
        for _ in range(25):
            run.step()
        moments[mounted.workspace.barrier()] = contents(plain)
    for head, was in moments.items():
        assert remembered(mounted.workspace, head) == was, f"iteration {head}\n{run.told()}"
    mounted.unmount()
    assert list(mounted.workspace.fsck()) == []


_WRITER = """
import sys
from tests.conformance.chronicle.programs import Author
plain, mount, seed = (sys.argv[1].encode(), sys.argv[2].encode(), int(sys.argv[3]))
author = Author(seed, plain)
for number in range(250):
    step = author.step()
    expected, actual = step.run(plain), step.run(mount)
    if expected != actual:
        sys.exit(f"seed {seed}, step {number}: {step!s} answered {actual!r}, the host {expected!r}")
"""


@pytest.mark.proves("CHR-HISTORY-EXACT")
def test_four_writers_at_once_each_find_what_they_wrote(tmp_path: Path, make_mount: MakeMount) -> None:
    _four_writers(tmp_path, make_mount())


def _four_writers(tmp_path: Path, mounted: Mounted) -> None:
    writers = []
    for number in range(4):
        plain = tmp_path / f"plain{number}"
        plain.mkdir()
        corner = mounted.directory / f"writer{number}"
        corner.mkdir()
        arguments = [sys.executable, "-c", _WRITER, str(plain), str(corner), str(7_000 + number)]
        writers.append((plain, corner, subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)))
    for plain, corner, process in writers:
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert contents(corner) == contents(plain)
    whole = remembered(mounted.workspace, mounted.workspace.barrier())
    assert whole == contents(mounted.directory)
    mounted.unmount()
    assert list(mounted.workspace.fsck()) == []


@pytest.mark.proves("CHR-EVERY-VERSION")
def test_four_thousand_rapid_versions_are_all_kept_exactly(make_mount: MakeMount) -> None:
    mounted = make_mount()
    written: dict[bytes, list[bytes]] = {}
    for number in range(4_000):
        name = b"file%d" % (number % 7)
        path = os.fsencode(mounted.directory) + b"/" + name
        content = b"version %d of %s " % (number, name) * (1 + number % 50)
        if number % 3 == 0:
            with open(path + b".tmp", "wb") as file:
                file.write(content)
            os.rename(path + b".tmp", path)
        else:
            if number % 11 == 0 and os.path.exists(path):
                os.unlink(path)
            with open(path, "wb") as file:
                file.write(content)
        written.setdefault(name, []).append(content)
    mounted.workspace.barrier()
    for name, contents_ in written.items():
        kept = [
            i for i in reversed(list(mounted.workspace.history(name, limit=10_000))) if i.kind in {"create", "modify"}
        ]
        assert [mounted.workspace.read(i.path, i.iteration) for i in kept] == contents_
