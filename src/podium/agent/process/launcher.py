"""The small parent of a template: makes the namespaces, forks the template, and sees to it that nothing outlives it.

With a PID namespace the kernel does that: the template is its first process, and when it ends, everything in the
namespace is killed. Without one, the launcher is a subreaper: every orphan below becomes its child, and when the
coordinator or the template ends it kills children until there are none.
"""

import json
import os
import select
import signal
import socket
from pathlib import Path
from typing import Final

from podium.agent.process import linux, mounts
from podium.agent.process.orders import PACKET_MAX_BYTES, Launch

SWEEP_PASSES_MAX: Final = 10_000
"""A tree that still makes children after this many rounds of SIGKILL is given up; each round takes all there are."""


def launch(control_descriptor: int) -> int:
    """Makes the template and waits for its end. Returns its exit code."""
    control = socket.socket(fileno=control_descriptor)
    order = Launch(**json.loads(control.recv(PACKET_MAX_BYTES)))
    if order.namespaces:
        linux.die_with_parent(signal.SIGKILL)
        _enter_namespaces(order)
    else:
        linux.adopt_orphans()
    if os.getppid() != order.parent:
        return 1
    linux.name_process("podium-launcher")
    waker = _listen_for_children()
    template = os.fork()
    if template == 0:
        signal.set_wakeup_fd(-1)
        waker.close()
        os._exit(_become_template(control, order))
    code = _watch(control, waker, template)
    if code is None and order.namespaces:
        # The first process of its namespace: the kernel ends all others before it is reaped.
        os.kill(template, signal.SIGKILL)
        os.waitpid(template, 0)
    elif not order.namespaces:
        sweep()
    return code or 0


def _enter_namespaces(order: Launch) -> None:
    flags = linux.CLONE_NEWPID | linux.CLONE_NEWNS
    if order.sandboxed:
        flags |= linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    if order.namespaces == "user":
        linux.unshare(linux.CLONE_NEWUSER | flags)
        linux.map_own_ids(uid, gid)
        linux.die_with_parent(signal.SIGKILL)
    else:
        linux.unshare(flags)
    linux.follow_host_mounts()


def _become_template(control: socket.socket, order: Launch) -> int:
    from podium.agent.process.template import Template

    linux.name_process("podium-template")
    linux.die_with_parent(signal.SIGKILL)
    if order.namespaces:
        linux.mount_proc(own_only=order.sandboxed)
    if order.namespaces == "root":
        mounts.make_visible(order.visible)
    if order.namespaces and order.sandboxed:
        mounts.hide(mounts.HIDDEN, order.visible)
        linux.mount_shared_memory()
    if order.template_uid is not None:
        os.setgroups([])
        os.setresgid(order.template_uid, order.template_uid, order.template_uid)
        os.setresuid(order.template_uid, order.template_uid, order.template_uid)
        linux.allow_inspection()
    elif order.namespaces == "user":
        linux.drop_capabilities()
    linux.die_with_parent(signal.SIGKILL)
    if order.closed:
        linux.forbid_new_privileges()
    return Template(control, order).serve()


def _listen_for_children() -> socket.socket:
    """A socket that becomes readable when a child ends."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    return reader


def _watch(control: socket.socket, waker: socket.socket, template: int) -> int | None:
    """Until the template is gone, whose exit code it returns, or the coordinator: None."""
    poll = select.poll()
    poll.register(control, 0)
    poll.register(waker, select.POLLIN)
    code: int | None = None
    while code is None:
        ready = dict(poll.poll())
        if waker.fileno() in ready:
            waker.recv(4096)
            code = _reap(template)
        if control.fileno() in ready:
            break
    return code


def _reap(template: int) -> int | None:
    """Reaps whoever has ended; the template's exit code if it was among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == template:
            code = os.waitstatus_to_exitcode(status) & 0xFF


def sweep() -> None:
    """Kills and reaps children until there are none; orphans of theirs become ours."""
    for _ in range(SWEEP_PASSES_MAX):
        for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
