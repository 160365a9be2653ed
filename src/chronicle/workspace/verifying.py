"""`chronicle fsck`: contents, history, what each says of the other, and the tree."""

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from blake3 import blake3

from chronicle import reaching
from chronicle.layout import Layout, Settings
from chronicle.model.errors import DamagedError, StorageError
from chronicle.model.findings import Finding
from chronicle.model.paths import BESIDE, name_of
from chronicle.recording.comparing import Comparison
from chronicle.recording.excluding import Excluded
from chronicle.recording.notes import WroteNote
from chronicle.store.history import History
from chronicle.store.history.check import check as check_history
from chronicle.store.history.check import check_directory as check_history_directory
from chronicle.store.pool import Pool
from chronicle.store.pool.bodies import open_body
from chronicle.store.pool.check import check as check_pool
from chronicle.workspace import applying
from chronicle.workspace.marks import Lock, mark_in_use, read_mount, was_clean

_UNFINISHED: Final = re.compile(re.escape(BESIDE) + rb"[0-9a-f]{16}")
"""The names that `chronicle.reaching.beside` gives; others that begin so are somebody's."""


def verify(layout: Layout, settings: Settings, history: History, pool: Pool) -> Iterator[Finding]:
    """Everything that is not as it should be. Reads every object. The tree is compared only when nobody writes it."""
    yield from check_pool(pool)
    yield from check_history(history)
    yield from _references(settings, history, pool)
    yield from _registration(layout, settings, pool)
    yield from _leftovers(layout)
    lock = None if read_mount(layout) is not None else Lock.try_take(layout)
    if lock is None:
        return
    try:
        yield from _unfinished(layout)
        yield from _tree(layout, settings, history)
    finally:
        lock.release()


def check_unopened(root: Path) -> Iterator[Finding]:
    """What is wrong with a workspace that can't even be opened."""
    layout = Layout(root)
    yield from check_history_directory(layout.history)
    settings = layout.read_settings()
    try:
        pool = Pool.open(layout.pool(settings))
    except DamagedError as error:
        yield Finding("pool-database", str(layout.pool(settings)), str(error))
        return
    try:
        yield from check_pool(pool)
    finally:
        pool.close()


def _references(settings: Settings, history: History, pool: Pool) -> Iterator[Finding]:
    """Kinds `content-missing`: a version that has to be readable has no content in any tier; `object-damaged`: the remote tier has
    it, nobody else, and what it has is damaged; `content-unreachable`: the remote tier can't be asked."""
    for digest in history.live_digests(settings.retention, int(time.time() * 1000)):
        try:
            there = pool.contains(digest)
            damage = _damage_outside(pool, digest) if there else None
        except StorageError as error:
            yield Finding("content-unreachable", digest.hex(), f"the remote tier can't be asked: {error}", "loss")
            return
        if not there:
            yield Finding("content-missing", digest.hex(), "a version's content is in no tier", "loss")
        if damage is not None:
            yield Finding(
                "object-damaged", f"object {digest.hex()}", f"in the remote tier, and it is not here: {damage}"
            )


def _damage_outside(pool: Pool, digest: bytes) -> str | None:
    """What is wrong with a content that only the remote tier has, or None. It is read, and not kept."""
    if pool.remote is None or pool.catalogue.find(digest) is not None:
        return None
    body = pool.remote.get(digest)
    if body is None:
        return "it is gone"
    try:
        manifest = open_body(digest, body).manifest
    except DamagedError as error:
        return str(error)
    if manifest is not None:
        for extent in manifest.extents():
            damage = None if extent.digest is None else _damage_outside(pool, extent.digest)
            if damage is not None:
                return f"a chunk of it: {damage}"
    return None


def _registration(layout: Layout, settings: Settings, pool: Pool) -> Iterator[Finding]:
    """Kind `not-registered`: the pool does not know this workspace, so that a collection would take its contents."""
    known = pool.users().get(settings.workspace_id)
    if known is None or not known.exists() or not known.samefile(layout.root):
        where = "nowhere" if known is None else str(known)
        yield Finding(
            "not-registered",
            settings.workspace_id,
            f"its pool believes it at {where}; open it with `chronicle fsck --repair`",
        )


def _leftovers(layout: Layout) -> Iterator[Finding]:
    """Kinds `temporary-file` (of a program that died) and `mount-note` (of a supervisor that was killed)."""
    for name in sorted(os.listdir(layout.root)):
        if name.startswith((".incoming-", ".workspace-", ".mount.")):
            yield Finding("temporary-file", name, "left by a program that died", "leftover")
    if layout.mount_file.exists() and read_mount(layout) is None:
        yield Finding("mount-note", str(layout.mount_file), "says it is mounted, and nobody keeps it so", "leftover")


def _unfinished(layout: Layout) -> Iterator[Finding]:
    """Kind `unfinished-file`: what a restore or import that was killed wrote beside the file it was to become. Nobody writes now."""
    for path in applying.paths_below(layout.tree, b""):
        if _is_unfinished(layout, path):
            yield Finding(
                "unfinished-file", os.fsdecode(path), "left by a restore or import that was killed", "leftover"
            )


def _is_unfinished(layout: Layout, path: bytes) -> bool:
    if not _UNFINISHED.fullmatch(name_of(path)):
        return False
    try:
        return not stat.S_ISDIR(reaching.look(layout.tree, path).st_mode)
    except OSError:
        return False


def _tree(layout: Layout, settings: Settings, history: History) -> Iterator[Finding]:
    """Kind `tree-differs`: the last writer ended in order, and yet the tree is not what head says.

    After an unclean end differences are expected: the next writer records them.
    """
    if not was_clean(layout):
        return
    excluded = Excluded(settings.exclude)
    for found in Comparison(layout, history, excluded).of(b"", time.time_ns() // 1_000_000):
        if isinstance(found, WroteNote) and _same_bytes(layout, history, found.path):
            continue  # written anew with what it had: no iteration, only another time
        path = found.path if isinstance(found, WroteNote) else found.change.path
        what = "content" if isinstance(found, WroteNote) else found.change.kind
        yield Finding(
            "tree-differs", os.fsdecode(path), f"the tree differs from head ({what}); the next writer records it"
        )


def _same_bytes(layout: Layout, history: History, path: bytes) -> bool:
    known = history.lookup(path)
    try:
        with open(reaching.open_file(layout.tree, path), "rb") as file:
            digest = blake3(max_threads=1)
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError:
        return False
    return known is not None and known.digest == digest.digest()


def repair(layout: Layout, settings: Settings, pool: Pool, findings: Iterable[Finding]) -> list[Finding]:
    """Puts right what loses nothing: the registration in the pool, files that died programs left, the note of a mount that is gone.

    A tree that differs from head needs no repair: the next writer records it.
    """
    mended = []
    for finding in findings:
        match finding.kind:
            case "not-registered":
                pool.register(settings.workspace_id, layout.root)
            case "temporary-file" if (layout.root / finding.where).is_file():
                (layout.root / finding.where).unlink()
            case "unfinished-file" if _remove_unfinished(layout, os.fsencode(finding.where)):
                pass
            case "mount-note" if read_mount(layout) is None:
                layout.mount_file.unlink(missing_ok=True)
            case "tree-differs":
                mark_in_use(layout)
            case _:
                continue
        mended.append(finding)
    return mended


def _remove_unfinished(layout: Layout, path: bytes) -> bool:
    """Not while anybody writes the workspace: it may be theirs, and be finished yet."""
    lock = None if read_mount(layout) is not None else Lock.try_take(layout)
    if lock is None:
        return False
    try:
        if not _is_unfinished(layout, path):
            return False
        with reaching.place(layout.tree, path) as (here, name):
            os.unlink(name, dir_fd=here)
    except OSError:
        return False
    finally:
        lock.release()
    return True
