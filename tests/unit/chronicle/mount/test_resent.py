"""Requests that are sent again after a takeover, when nobody knows whether they were carried out."""

import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest

from chronicle.mount import host, protocol
from chronicle.mount.nodes import NodeTable
from chronicle.mount.notes import Notes
from chronicle.mount.operations.names import Names
from chronicle.mount.options import MountOptions
from chronicle.mount.protocol import ROOT_ID, Request
from chronicle.mount.quota import Quota
from chronicle.mount.served import Served


def test_an_exchange_sent_again_fails_rather_than_being_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("of b")
    (tmp_path / "b").write_text("of a")
    monkeypatch.chdir(tmp_path)
    table = NodeTable(os.stat(".").st_ino, None)
    recorder = cast(Any, None)  # what is refused is not recorded
    served = Served(MountOptions(mountpoint=tmp_path), table, Notes(recorder), Quota(None), None, -1)
    body = protocol.U64.pack(ROOT_ID) + protocol.U32X2.pack(host.RENAME_EXCHANGE, 0) + b"a\0b\0"
    unique = 2 | protocol.UNIQUE_RESEND
    header = protocol.HEADER.pack(40 + len(body), protocol.RENAME2, unique, ROOT_ID, 0, 0, 0, 0)
    with pytest.raises(OSError) as refused:
        Names(served).rename_with_flags(Request(header + body, 40 + len(body)))
    assert refused.value.errno == errno.EIO
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("of b", "of a")
