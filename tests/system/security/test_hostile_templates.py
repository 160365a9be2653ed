"""Author's code runs in the template: what it says on the control socket is not believed to make sense."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from podium.agent.process.orders import Launch, Setup
from podium.coordinator.adapters.processes.birth import Birth
from podium.coordinator.adapters.processes.directories import RUN_NAME
from podium.coordinator.adapters.processes.template import Sitter, TemplateProcess
from podium.coordinator.domain.ports import ExitStatus, ProcessStartError

SECONDS = 10.0

SAYING = """
import socket, sys, time
control = socket.socket(fileno=int(sys.argv[2]))
control.recv(131072)
{before}
control.send({said!r})
time.sleep(20)
"""

ORDERED = """control.send(b'{"warm": true}')
control.recv(1)"""

NONSENSE = {
    "no JSON": b"{",
    "no object": b"[]",
    "too deep": b"[" * 100_000,
    "no number": b'{"ended": "x", "status": 0}',
    "no status": b'{"ended": 1}',
    "a status no kernel has": b'{"ended": 1, "status": 99999999999999999999}',
    "an infinite number": b'{"ended": 1e999, "status": 0}',
}


def _template(before: str, said: bytes) -> TemplateProcess:
    launch = Launch(os.getpid(), "", None, False, "", False, None, "/", [], False)
    return TemplateProcess([sys.executable, "-I", "-c", SAYING.format(before=before, said=said)], launch, {}, "hostile")


class _Told(Sitter):
    def __init__(self) -> None:
        self.status: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    def ended(self, status: ExitStatus) -> None:
        self.status.set_result(status)


@pytest.mark.noisy("template_talks_nonsense")
@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE.keys())
async def test_a_template_that_talks_nonsense_is_ended(said: bytes) -> None:
    template = _template("", said)
    async with asyncio.timeout(SECONDS):
        with pytest.raises(ProcessStartError):
            await template.warm()
        await template.close(SECONDS)
    assert template.is_gone


@pytest.mark.noisy("template_talks_nonsense")
async def test_who_waits_for_a_process_of_such_a_template_hears_of_its_end() -> None:
    template = _template(ORDERED, b'{"ended": 1, "status": 99999999999999999999}')
    told = _Told()
    null = os.open(os.devnull, os.O_RDWR)
    async with asyncio.timeout(SECONDS):
        await template.warm()
        template.fork((null, null, null, null), told)
        os.close(null)
        status = await told.status
        await template.close(SECONDS)
    assert status.signal == "SIGKILL"


CHILD = """
import json, socket, sys, time
control = socket.socket(fileno=int(sys.argv[2]))
control.recv(131072)
control.send(b'{"warm": true}')
_, descriptors, _, _ = socket.recv_fds(control, 131072, 4)
setup = socket.socket(fileno=descriptors[0])
setup.send(b"h")
setup.recv(131072)
setup.send(SAID)
setup.close()
time.sleep(20)
"""


async def _born(birth: Birth, setup: Setup) -> None:
    with birth:
        await birth.begin(setup, mapped=False)
        await birth.link()


@pytest.mark.parametrize("said", [b"{", b"[]", b"{}", b"[" * 16_000, b'{"failed": 1}'])
async def test_a_child_that_talks_nonsense_is_a_failed_start(said: bytes, tmp_path: Path) -> None:
    (tmp_path / RUN_NAME).mkdir()
    code = CHILD.replace("SAID", repr(said))
    launch = Launch(os.getpid(), "", None, False, "", False, None, "/", [], False)
    template = TemplateProcess([sys.executable, "-I", "-c", code], launch, {}, "hostile")
    try:
        async with asyncio.timeout(SECONDS):
            await template.warm()
            setup = Setup({}, str(tmp_path), None, False, {}, None, False, str(tmp_path), "agent:Agent", None)
            with pytest.raises(ProcessStartError):
                await _born(Birth(template, tmp_path, None, None, lambda _stream, _data: None), setup)
    finally:
        await template.close(0.5)  # it does not end by itself
