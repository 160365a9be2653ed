"""Every `sh` block of the docs is run, page by page, as a reader would: in one shell, in an empty directory.

A block that can't be run that way says why in its fence: ```` ```sh skip: reason ````. Lines that end in `&` start
something; the next line waits until the platform answers. `make` lines are what set the machine up and what runs this
test, so they are only checked to name targets that exist.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.noise.leaks import children
from tests.waiting import free_port, wait_until

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh(?P<rest>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
PAGE_SECONDS = 180.0
WAIT = "for i in $(seq 200); do podium ps >/dev/null 2>&1 && break; sleep 0.1; done"


def _pages() -> list[Path]:
    found = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
    return sorted(page for page in found if page.exists() and BLOCK.search(page.read_text()))


def _script(page: Path) -> str:
    lines = ["set -eu"]
    for block in BLOCK.finditer(page.read_text()):
        if "skip:" in block["rest"]:
            continue
        for line in block["text"].splitlines():
            bare = line.split(" #")[0].rstrip()
            if not bare or bare.startswith(("#", "make ", "export PATH=")):
                continue
            lines.append(bare)
            if bare.endswith("&"):
                lines.append(WAIT)
    return "\n".join(lines) + "\n"


def test_every_make_line_names_a_target_that_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in _pages():
        for block in BLOCK.finditer(page.read_text()):
            for line in block["text"].splitlines():
                if line.startswith("make "):
                    assert line.split()[1] in targets, f"{page}: {line}"


def test_a_skipped_block_says_why() -> None:
    for page in _pages():
        for block in BLOCK.finditer(page.read_text()):
            if block["rest"].strip():
                assert re.fullmatch(r"\s*skip: .{10,}", block["rest"]), f"{page}: {block['rest']}"


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PODIUM_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GATEWAY_PORT": str(free_port()),
        "COORDINATOR_PORT": str(free_port()),
        "DIMINUENDO_PORT": str(free_port()),
        "NO_COLOR": "1",
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    before = set(children())
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script = _script(page)
    with (tmp_path / "output").open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = shell.wait(PAGE_SECONDS)
        finally:
            _end_session(shell)
            _reap_daemons(set(children()) - before)
    assert code == 0, f"{script}\n──\n{(tmp_path / 'output').read_text(errors='replace')[-4000:]}"


def _end_session(shell: subprocess.Popen[bytes]) -> None:
    """Ends what the page left running, politely first."""
    for name, seconds in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(shell.pid, name)
        except ProcessLookupError:
            break
        _wait_for_group(shell.pid, seconds)
    shell.wait()


def _reap_daemons(orphans: set[int]) -> None:
    """Daemons that a page started and that end by themselves (`chronicle unmount`) are orphans, hence children of this process."""
    for pid in orphans:
        with contextlib.suppress(TimeoutError, ChildProcessError):
            asyncio.run(wait_until(lambda pid=pid: os.waitpid(pid, os.WNOHANG)[0] == pid))  # type: ignore[misc]


def _wait_for_group(group: int, seconds: float) -> None:
    """Reaps what ends; orphans of the page's shell are children of this process, which adopts them."""
    with contextlib.suppress(TimeoutError):
        asyncio.run(wait_until(lambda: _reaped(group), seconds))


def _reaped(group: int) -> bool:
    try:
        os.waitpid(-group, os.WNOHANG)
    except ChildProcessError:
        return True
    return False
