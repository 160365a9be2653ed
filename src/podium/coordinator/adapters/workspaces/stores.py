"""Workspaces on disk: made, filled from the template, forked, erased. Everything blocks; everything is there whole or is made again."""

import logging
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from chronicle import remove_tree
from chronicle.layout import Layout, Retention, Settings
from chronicle.model.errors import (
    ChronicleError,
    InvalidInputError,
    IterationNotFoundError,
    WorkspaceBusyError,
    WorkspaceNotFoundError,
)
from chronicle.workspace import forking, moving
from chronicle.workspace.library import Workspace
from chronicle.workspace.marks import Lock, clean_mark
from chronicle.workspace.tiers import open_pool, upload
from chronicle.workspace.writing import Writing
from podium.coordinator.adapters.workspaces.places import STORE_NAME, Places
from podium.coordinator.adapters.workspaces.templates import copy_template, give, template_of
from podium.coordinator.domain.ports import PreparedDeployment
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.manifest import Manifest

_log = logging.getLogger(__name__)

MODE: Final = 0o700
"""Of a workspace's root: its agent's alone."""

Owner = tuple[int, int]


class Stores:
    """Workspaces below one data directory. `tenant_of`: whose an agent is; `pooled`: contents are shared within a tenant; `history_bytes`:
    how much of the past of each stays readable, None: as its settings say, at first all."""

    def __init__(
        self, places: Places, tenant_of: Callable[[str], str | None], *, pooled: bool, history_bytes: int | None = None
    ) -> None:
        self._places = places
        self._tenant_of = tenant_of
        self._pooled = pooled
        self._retention = None if history_bytes is None else Retention(history_bytes=history_bytes)

    def exists(self, agent_id: str) -> bool:
        """Whether the agent has a workspace."""
        return Layout(self._places.store(agent_id)).exists() and not self._places.beginning(agent_id).exists()

    def ensure(self, agent_id: str, deployment: PreparedDeployment, owner: Owner | None) -> None:
        """The workspace, made if it is new, with the settings that the deployment asks for now."""
        store, mountpoint = self._places.store(agent_id), self._places.mountpoint(agent_id)
        if not self.exists(agent_id):
            self._make(agent_id, deployment, owner)
        else:
            _adjust(Layout(store), deployment.manifest, self._retention)
        mountpoint.mkdir(mode=MODE, exist_ok=True)

    def fork(self, source_id: str, iteration: int | None, agent_id: str, owner: Owner | None) -> None:
        """The workspace of `agent_id` as a fork. Takes as long whatever the size.

        Raises:
            ChronicleError: `IterationNotFoundError`, `WorkspaceNotFoundError`, `InvalidInputError`.
        """
        source, store = Layout(self._places.store(source_id)), self._places.store(agent_id)
        settings = source.read_settings()
        if self._places.beginning(agent_id).exists():
            self.erase(agent_id)
        self._begin(agent_id)
        writing = Writing(source)
        try:
            forking.fork(source, settings, store, None, lambda history: writing.fork(history, iteration), owner)
        finally:
            writing.close()
        self._end(agent_id)

    def _end(self, agent_id: str) -> None:
        """What was made from another's history is there: its own, and where it is can be moved."""
        store = self._places.store(agent_id)
        layout = Layout(store)
        layout.tree.chmod(MODE)
        made = layout.read_settings()
        layout.write_settings(msgspec.structs.replace(made, pool=os.path.relpath(layout.pool(made), store)))
        self._places.beginning(agent_id).unlink()

    def history_file(self, agent_id: str) -> Path | None:
        """The database its history is written to; None before there is one."""
        head = Layout(self._places.store(agent_id)).history / "head.db"
        return head.resolve() if self.exists(agent_id) and head.exists() else None

    def settings_of(self, agent_id: str) -> bytes | None:
        """Its settings as they are on disk."""
        try:
            return Layout(self._places.store(agent_id)).settings_file.read_bytes()
        except FileNotFoundError:
            return None

    def adopt(self, agent_id: str, past: Path, settings: bytes, owner: Owner | None) -> int:
        """The workspace of `agent_id` from a history in `past/history`; the iteration it goes on from.

        Raises:
            ChronicleError: as of `chronicle.workspace.moving.settle_down`.
        """
        store = self._places.store(agent_id)
        tenant = self._tenant_of(agent_id) if self._pooled else None
        pool = self._places.pool(tenant) if tenant is not None else self._places.agent(agent_id) / "contents"
        if self._places.beginning(agent_id).exists():
            self.erase(agent_id)  # an earlier try was cut off
        self._begin(agent_id)
        at = moving.settle_down(past, settings, store, pool, owner)
        self._end(agent_id)
        return at

    def upload(self, agent_id: str, seconds: float) -> None:
        """Brings contents that were stored while nobody served the workspace to the remote tier, where there is one.

        Raises:
            ChronicleError, TimeoutError: not all of them are there.
        """
        layout = Layout(self._places.store(agent_id))
        if not layout.exists():
            return
        upload(layout, layout.read_settings(), seconds)

    def check_moment(self, agent_id: str, iteration: int | None) -> None:
        """Raises IterationNotFoundError for a moment beyond head, WorkspaceNotFoundError without a workspace."""
        with Workspace.open(self._places.store(agent_id)) as workspace:
            if iteration is not None and not 0 <= iteration <= workspace.head:
                raise IterationNotFoundError(iteration, workspace.head)

    def erase(self, agent_id: str) -> None:
        """Removes the workspace for good; none is fine. It must not be mounted.

        Raises:
            PodiumError: `agent_in_use`: forks keep their contents in it.
            WorkspaceBusyError: somebody writes it.
        """
        store = self._places.store(agent_id)
        try:
            Workspace.open(store).erase()
        except WorkspaceNotFoundError:
            pass
        except WorkspaceBusyError:
            raise
        except InvalidInputError as error:
            detail = "forks of the agent keep their contents in its workspace; remove them first"
            raise PodiumError(ErrorCode.AGENT_IN_USE, detail) from error
        except Exception:  # noqa: BLE001 - what can't be opened any more is removed all the same
            _log.warning("workspace_erased_by_force", extra={"agent_id": agent_id}, exc_info=True)
        remove_tree(store, ignore_errors=True)
        remove_tree(self._places.mountpoint(agent_id), ignore_errors=True)
        self._places.beginning(agent_id).unlink(missing_ok=True)

    def moved_in(self) -> int:
        """Tells the pools where their workspaces are, when the data directory has been moved or copied since the last start: a
        pool keeps what the workspaces that it knows need, by where they are. Returns how many workspaces that was.
        """
        note, here = self._places.where, str(self._places.data)
        if note.exists() and note.read_text() == here:
            return 0
        count = 0
        for store in self._places.agents.glob(f"*/{STORE_NAME}"):
            layout = Layout(store)
            if not layout.exists():
                continue
            try:
                _register_again(layout)
            except ChronicleError as error:
                _log.error("workspace_not_moved", extra={"agent_id": store.parent.name, "error": str(error)})
            count += 1
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note.write_text(here)
        return count

    # ── making ──────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, agent_id: str) -> None:
        self._places.agent(agent_id).mkdir(mode=0o755, parents=True, exist_ok=True)
        self._places.beginning(agent_id).touch(mode=0o600)

    def _make(self, agent_id: str, deployment: PreparedDeployment, owner: Owner | None) -> None:
        store, mountpoint, manifest = (
            self._places.store(agent_id),
            self._places.mountpoint(agent_id),
            deployment.manifest,
        )
        if store.exists():
            self._clear(agent_id)
        self._begin(agent_id)
        tenant = self._tenant_of(agent_id) if self._pooled else None
        # Relative, so that the data directory can be moved.
        pool = os.path.relpath(self._places.pool(tenant), store) if tenant is not None else "pool"
        settings = Settings(
            workspace_id=f"{agent_id}-{secrets.token_hex(4)}",
            pool=pool,
            exclude=tuple(manifest.exclude),
            quota_bytes=manifest.limits.disk,
            retention=self._retention or Retention(),
            created_at=time.time_ns() // 1_000_000,
        )
        forking.make(store, settings)
        if _fill(Layout(store), mountpoint, template_of(deployment), owner):
            with Workspace.open(store) as workspace:
                workspace.barrier()
        self._places.beginning(agent_id).unlink()
        _adopted(Layout(store)).unlink(missing_ok=True)

    def _clear(self, agent_id: str) -> None:
        """A making that was cut off leaves nothing. What an earlier version kept in a plain directory stays."""
        store = self._places.store(agent_id)
        _move_back(Layout(store), self._places.mountpoint(agent_id))
        try:
            Workspace.open(store).erase()
        except WorkspaceNotFoundError:
            remove_tree(store, ignore_errors=True)


def _fill(layout: Layout, mountpoint: Path, template: Path | None, owner: Owner | None) -> bool:
    """The first files: those of a plain directory that was there before there were versions, else those of the template.
    Whether there are any, which are then not in the history yet."""
    layout.tree.chmod(MODE)
    if mountpoint.is_dir() and any(mountpoint.iterdir()):
        _adopted(layout).touch(mode=0o600)
        os.rename(mountpoint, layout.tree)
    elif template is not None:
        copy = layout.root / "filling"
        remove_tree(copy, ignore_errors=True)
        copy_template(template, copy, mode=MODE)
        os.rename(copy, layout.tree)
    else:
        if owner is not None:
            os.chown(layout.tree, *owner)
        return False
    if owner is not None:
        give(layout.tree, owner)
    clean_mark(layout).unlink()  # the tree is ahead of the history: whoever writes next records what differs
    return True


def _adopted(layout: Layout) -> Path:
    """The mark that the tree is, or is about to be, files that were there before: their only copy."""
    return layout.root / "adopted"


def _move_back(layout: Layout, mountpoint: Path) -> None:
    """Undoes an adoption that was cut off, so that it begins anew."""
    if not _adopted(layout).exists() or not layout.tree.is_dir() or not any(layout.tree.iterdir()):
        return
    if mountpoint.is_dir():
        if any(mountpoint.iterdir()):
            return  # it was not moved yet
        mountpoint.rmdir()
    os.rename(layout.tree, mountpoint)


def _register_again(layout: Layout) -> None:
    settings = layout.read_settings()
    pool = open_pool(layout, settings)
    try:
        pool.register(settings.workspace_id, layout.root)
    finally:
        pool.close()


def _adjust(layout: Layout, manifest: Manifest, retention: Retention | None) -> None:
    """A new version of a deployment may exclude other paths, or allow another size; the host may keep more or less of the past."""
    settings = layout.read_settings()
    wanted = msgspec.structs.replace(
        settings,
        exclude=tuple(manifest.exclude),
        quota_bytes=manifest.limits.disk,
        retention=retention or settings.retention,
    )
    if wanted == settings:
        return
    lock = Lock.take(layout)
    try:
        layout.write_settings(wanted)
    finally:
        lock.release()
