"""What is found by comparing lies in the tree: a directory that became a symbolic link leads nowhere."""

from pathlib import Path

import pytest

from chronicle.layout import Layout, Settings
from chronicle.recording import Recorder
from chronicle.recording.reconcile import reconcile
from chronicle.store.history import History
from chronicle.store.pool import Pool


@pytest.mark.proves("CHR-AGENT-ESCAPES")
@pytest.mark.parametrize("paths", [None, [b"d/file"], [b"d"], [b"d/sub"]])
def test_a_directory_that_became_a_link_out_is_not_gone_through(tmp_path: Path, paths: list[bytes] | None) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "file").write_text("a secret of the host")
    (outside / "sub" / "deep").write_text("another")
    layout = Layout(tmp_path / "workspace")
    layout.make(Settings("one"))
    (layout.tree / "d" / "sub").mkdir(parents=True)
    (layout.tree / "d" / "file").write_text("ours")
    history = History.create(layout.history)
    pool = Pool.open(tmp_path / "pool")
    recorder = Recorder(layout, Settings("one"), history, pool)
    recorder.start()
    try:
        reconcile(layout, history, recorder)
        (layout.tree / "d").rename(layout.tree / "elsewhere")
        (layout.tree / "d").symlink_to(outside)
        reconcile(layout, history, recorder, paths=paths)
        head = recorder.barrier(10)
        stored = [i for i in history.log(limit=100) if i.hash is not None and i.size]
        assert {pool.read(bytes.fromhex(i.hash or "")) for i in stored} == {b"ours"}
        assert not any(e.path.endswith(b"deep") for n in range(1, head + 1) for e in history.walk(n))
    finally:
        recorder.stop()
        history.close()
        pool.close()
