"""Commands that keep a workspace in order: gc, fsck, du."""

from collections.abc import Iterable

import click

from chronicle.cli.places import span_s, target, workspace_option
from chronicle.cli.showing import as_json_option, plain, show, size_of
from chronicle.model.errors import DamagedError
from chronicle.model.findings import Finding
from chronicle.workspace.collecting import GRACE_SECONDS
from chronicle.workspace.places import find
from chronicle.workspace.verifying import check_unopened


@click.command(
    help="Gives up contents that no workspace of the pool needs under its retention policy (see `chronicle mount --keep-…`)."
)
@click.option("--dry-run", is_flag=True, help="Only tell.")
@click.option("--grace", help=f"What was used so recently stays, as `10m`, `2h`.  [default: {GRACE_SECONDS:.0f}s]")
@click.option("--forget", metavar="ID", help="First forget this workspace, which was removed by hand.")
@workspace_option
@as_json_option
def gc(dry_run: bool, grace: str | None, forget: str | None, workspace: str | None, as_json: bool) -> None:
    """`chronicle gc`."""
    opened, _ = target(workspace, None)
    with opened:
        if forget is not None:
            opened.forget_user(forget)
        done = opened.gc(grace_s=GRACE_SECONDS if grace is None else span_s(grace), dry_run=dry_run)
    would = "would give up" if done.dry_run else "gave up"
    text = (
        f"{would} {done.objects} contents, {size_of(done.bytes)}, and {done.leftovers} leftovers, {size_of(done.leftover_bytes)}; "
        f"{done.kept} contents of {done.workspaces} workspaces stay"
    )
    show(done, text, as_json=as_json)


@click.command(help="Checks contents, history and tree. Exit code 1 when something is damaged or lost.")
@click.option("--repair", is_flag=True, help="Put right what can be: registration, leftovers.")
@workspace_option
@as_json_option
def fsck(repair: bool, workspace: str | None, as_json: bool) -> None:
    """`chronicle fsck`."""
    found: list[Finding] = []
    mended: list[Finding] = []
    try:
        opened, _ = target(workspace, None)
    except DamagedError:
        _tell(check_unopened(find(workspace or ".").root), found, as_json=as_json)
        if not found:
            raise
    else:
        with opened:
            _tell(opened.fsck(), found, as_json=as_json)
            mended = opened.repair(found) if repair else []
    bad = [finding for finding in found if finding.severity != "leftover" and finding not in mended]
    answer = {"findings": [plain(finding) for finding in found], "repaired": len(mended), "ok": not bad}
    told = f"{len(found)} findings, {len(mended)} repaired" if found else "all is well"
    show(answer, told, as_json=as_json)
    if bad:
        raise click.exceptions.Exit(1)


def _tell(findings: Iterable[Finding], found: list[Finding], *, as_json: bool) -> None:
    for finding in findings:
        found.append(finding)
        if not as_json:
            click.echo(f"{finding.severity:<9} {finding.kind}  {finding.where}: {finding.message}")


@click.command(help="What the workspace takes on disk.")
@workspace_option
@as_json_option
def du(workspace: str | None, as_json: bool) -> None:
    """`chronicle du`."""
    opened, _ = target(workspace, None)
    with opened:
        usage = opened.usage()
        shared = "" if opened.settings.pool == "pool" else "  (may be shared with other workspaces)"
    text = "\n".join(
        [
            f"{size_of(usage.tree):>10}  tree",
            f"{size_of(usage.history):>10}  history",
            f"{size_of(usage.pool):>10}  contents{shared}",
            f"{size_of(usage.waiting):>10}  waiting to be recorded",
        ]
    )
    show(usage, text, as_json=as_json)
