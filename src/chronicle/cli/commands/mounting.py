"""Commands that show a workspace as a directory, or stop showing it: mount, unmount, status."""

import contextlib
import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any, Literal

import click

from chronicle.cli.places import size_bytes, span_s
from chronicle.cli.showing import as_json_option, plain, show
from chronicle.control.client import NobodyThereError
from chronicle.control.messages import Mounted
from chronicle.daemon.client import Daemon, DaemonProcess, ensure_running, user_directory
from chronicle.layout import Layout, Retention
from chronicle.model.errors import NotFoundError, WorkspaceNotFoundError
from chronicle.workspace.adopting import adopt as adopt_tree
from chronicle.workspace.library import Workspace
from chronicle.workspace.marks import read_mount
from chronicle.workspace.places import find, store_beside
from chronicle.workspace.status import Status


@click.command(
    help="Makes the directory DIR remember every version of every file in it. Makes a new workspace when there is none yet. "
    "Everything works in DIR as before; `chronicle unmount DIR` ends it, and the next `chronicle mount DIR` goes on."
)
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--store", type=click.Path(), help="Where the workspace is kept; default: `.NAME.chronicle` beside DIR.")
@click.option(
    "--adopt", is_flag=True, help="DIR has files already: they become the first versions (moved by rename, not copied)."
)
@click.option("--backend", type=click.Choice(["auto", "fuse", "watch"]), default="auto", show_default=True,
              help="`fuse` refuses where FUSE can't be had; `auto` watches a plain directory then, and says so.")  # fmt: skip
@click.option(
    "--foreground", is_flag=True, help="Stay, and unmount at Ctrl-C, instead of leaving it to a background process."
)
@click.option("--allow-other", is_flag=True, help="Let other users in, by file permissions.")
@click.option(
    "--no-passthrough", is_flag=True, help="File data goes through Chronicle instead of straight to the kernel."
)
@click.option("--keep-awake", type=click.Choice(["off", "auto", "on"]), default="auto", show_default=True,
              help="No processor sleeps during a burst of requests; `auto`: on hosts with at most 16.")  # fmt: skip
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Paths without history, as in .gitignore. May be given several times.",
)
@click.option(
    "--durability",
    type=click.Choice(["queued", "sync"]),
    help="`sync`: a change is on disk in the history before the call returns.",
)
@click.option("--quota", metavar="SIZE", help="How much the tree may hold, as `500m`, `10g`.")
@click.option("--keep-last", type=int, metavar="N", help="Retention: the newest N iterations stay readable.")
@click.option("--keep-within", metavar="SPAN", help="Retention: the iterations of so long stay readable, as `30d`.")
@click.option("--keep-checkpoints", is_flag=True, help="Retention: named moments stay readable.")
@click.option(
    "--keep-bytes",
    metavar="SIZE",
    help="Retention: only the newest iterations with so much content stay readable, as `10g`, and what files hold now.",
)
@click.option("--keep-all", is_flag=True, help="Retention: everything stays readable (as at first).")
@click.option(
    "--daemon", "daemon", type=click.Path(), help="The directory of the background process; default: this user's own."
)
@as_json_option
def mount(
    directory: str,
    store: str | None,
    adopt: bool,
    backend: Literal["auto", "fuse", "watch"],
    foreground: bool,
    allow_other: bool,
    no_passthrough: bool,
    keep_awake: Literal["off", "auto", "on"],
    daemon: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """`chronicle mount`."""
    point = Path(os.path.abspath(directory))
    root = Path(os.path.abspath(store)) if store else store_beside(point)
    _prepare(point, root, adopt=adopt, settings=_settings(settings))
    options: dict[str, Any] = {
        "backend": backend, "allow_other": allow_other, "passthrough": not no_passthrough, "keep_awake": keep_awake,
    }  # fmt: skip
    if foreground:
        _stay(root, point, options, as_json=as_json)
        return
    home = Path(daemon) if daemon else user_directory()
    running = ensure_running(home, log=home / "log")
    with contextlib.closing(running):
        _say_mounted(running.mount(root, point, **options), as_json=as_json)


def _settings(given: dict[str, Any]) -> dict[str, object]:
    """What the options say about the workspace's settings; what they don't mention stays."""
    changes: dict[str, object] = {}
    if given["exclude"]:
        changes["exclude"] = tuple(given["exclude"])
    if given["durability"]:
        changes["durability"] = given["durability"]
    if given["quota"]:
        changes["quota_bytes"] = size_bytes(given["quota"])
    within = span_s(given["keep_within"]) if given["keep_within"] else None
    most = size_bytes(given["keep_bytes"]) if given["keep_bytes"] else None
    retention = Retention(given["keep_last"], within, given["keep_checkpoints"], most)
    if given["keep_all"] or not retention.keeps_all:
        changes["retention"] = Retention() if given["keep_all"] else retention
    return changes


def _prepare(point: Path, root: Path, *, adopt: bool, settings: dict[str, object]) -> None:
    """The workspace and the empty directory it is shown at."""
    if read_mount(Layout(root)) is not None:
        return
    if not Layout(root).exists():
        Workspace.create(root).close()
    with Workspace.open(root) as workspace:
        if settings:
            workspace.configure(**settings)
    if not point.exists():
        point.mkdir(parents=True)
    if adopt:
        adopt_tree(Layout(root), point)


def _say_mounted(mounted: Mounted, *, as_json: bool) -> None:
    text = f"{mounted.mountpoint} remembers every version now"
    if mounted.backend == "watch":
        text += "\nbackend watch: changes are seen by notification, so versions that follow each other within moments may be missing"
        text += f" ({mounted.why_watch})" if mounted.why_watch else ""
    if Path.cwd().is_relative_to(mounted.mountpoint):
        text += "\nyou stand in it: `cd .` brings your shell into it"
    show(mounted, text, as_json=as_json)


def _stay(root: Path, point: Path, options: dict[str, Any], *, as_json: bool) -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: ended.set())
    with tempfile.TemporaryDirectory(prefix="chronicle-") as home:
        process = DaemonProcess.start(home, until_idle=True)
        try:
            _say_mounted(process.daemon.mount(root, point, **options), as_json=as_json)
            while process.alive and not ended.wait(0.2):
                pass
        finally:
            process.stop()


@click.command(
    help="Records everything, then stops showing the workspace at DIR (or the workspace DIR). Its history stays."
)
@click.argument("directory", metavar="DIR", type=click.Path())
@as_json_option
def unmount(directory: str, as_json: bool) -> None:
    """`chronicle unmount`."""
    root = find(directory).root
    note = read_mount(Layout(root))
    if note is None:
        raise NotFoundError(f"{directory} is not mounted")
    daemon = Daemon(note.supervisor)
    with contextlib.closing(daemon):
        done = daemon.unmount(root)
    text = f"{done.mountpoint} is unmounted; its history is in {done.workspace}"
    if done.lazy:
        text += f"\nit was taken from processes that still use it: {done.lazy}"
    show(done, text, as_json=as_json)


@click.command(help="How the workspace at PATH stands; without PATH and outside of workspaces: what is mounted.")
@click.argument("path", required=False, type=click.Path())
@as_json_option
def status(path: str | None, as_json: bool) -> None:
    """`chronicle status`."""
    try:
        root = find(path or ".").root
    except WorkspaceNotFoundError:
        if path is not None:
            raise
        _all_mounts(as_json=as_json)
        return
    with Workspace.open(root) as workspace:
        found = workspace.status()
    show(found, _status_text(found), as_json=as_json)


def _all_mounts(*, as_json: bool) -> None:
    daemon = Daemon(user_directory())
    with contextlib.closing(daemon):
        try:
            mounts = daemon.mounts()
        except NobodyThereError:
            mounts = []
    lines = [f"{one.mountpoint}  {one.state}  {one.backend}  {one.workspace}" for one in mounts]
    show({"mounts": plain(mounts)}, "\n".join(lines) or "nothing is mounted", as_json=as_json)


def _status_text(found: Status) -> str:
    shown = {
        "mounted": f"mounted at {found.mountpoint} ({found.backend}{', passthrough' if found.passthrough else ''}), process {found.pid}",
        "replacing": f"mounted at {found.mountpoint}; its process died and is being replaced",
        "written": "being written by another program",
        "idle": "not mounted",
        "unclean": "not mounted; its last writer did not end in order, the next one compares tree and history",
    }[found.state]
    lines = [
        f"workspace   {found.root}",
        f"state       {shown}",
        f"iterations  {found.head}",
        f"contents    {found.pool}",
        f"durability  {found.durability}",
    ]
    if found.quota_bytes is not None:
        lines.append(f"quota       {found.quota_bytes} bytes")
    if found.problem:
        lines.append(f"problem     {found.problem}; changes wait and are recorded when it is mended")
    return "\n".join(lines)
