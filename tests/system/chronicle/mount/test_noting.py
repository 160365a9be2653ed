"""What the recorder is told, and when."""

import contextlib
import errno
import mmap
import os
from collections.abc import Callable

import pytest

from chronicle.mount import host
from tests.system.chronicle.mount.serving import Event, Serving
from tests.waiting import until

Serve = Callable[..., Serving]
QUICK = {"sweep_seconds": 0.02, "quiet_seconds": 0.01}


def _said(serving: Serving, *, of: str | None = None) -> list[tuple[str, str]]:
    """What was told, as (what, path), in order."""
    return [(event["do"], event["path"]) for event in serving.events() if of is None or event.get("path") == of]


def _wait(serving: Serving, count: int = 1, **wanted: object) -> list[Event]:
    until(lambda: len(serving.told(**wanted)) >= count, what=f"{wanted} in {serving.events()}")
    return serving.told(**wanted)


@pytest.mark.parametrize("passthrough", [True, False])
@pytest.mark.proves("CHR-EVERY-VERSION")
def test_a_file_written_and_closed_is_one_version(serve: Serve, passthrough: bool) -> None:
    serving = serve(passthrough=passthrough)
    (serving.mountpoint / "f").write_text("content")
    _wait(serving, do="wrote", path="f", content="content", size=7)
    (serving.mountpoint / "f").read_text()
    (serving.mountpoint / "last").touch()
    _wait(serving, do="wrote", path="last", size=0)
    assert _said(serving) == [("wrote", "f"), ("wrote", "last")]


@pytest.mark.parametrize("passthrough", [True, False])
@pytest.mark.proves("CHR-EVERY-VERSION")
def test_a_thousand_rewrites_are_a_thousand_versions_each_settled_before_the_next(
    serve: Serve, passthrough: bool
) -> None:
    serving = serve(passthrough=passthrough)
    for n in range(1000):
        (serving.mountpoint / "f").write_text(str(n))
    _wait(serving, 1000, do="wrote")
    assert [event["content"] for event in serving.told(do="wrote")] == [str(n) for n in range(1000)]
    assert len(serving.told(do="settle")) == 999


def test_replacing_by_rename_keeps_what_was_there(serve: Serve) -> None:
    serving = serve()
    (serving.mountpoint / "f").write_text("old")
    (serving.mountpoint / "new").write_text("new")
    (serving.mountpoint / "new").rename(serving.mountpoint / "f")
    (serving.mountpoint / "f").unlink()
    assert _said(serving) == [
        ("wrote", "f"), ("wrote", "new"), ("keep", "f"), ("rename", "f"), ("keep", "f"), ("delete", "f"),
    ]  # fmt: skip


def test_everything_without_content_is_a_change(serve: Serve) -> None:
    serving = serve()
    here = serving.mountpoint
    (here / "d").mkdir()
    os.symlink("target", here / "s")
    os.mkfifo(here / "p")
    (here / "f").touch()
    _wait(serving, do="wrote", path="f")
    os.link(here / "f", here / "l")
    (here / "f").chmod(0o600)
    os.setxattr(here / "f", "user.a", b"1")
    (here / "d").rename(here / "e")
    (here / "e").rmdir()
    (here / "l").unlink()
    assert _said(serving) == [
        ("mkdir", "d"), ("symlink", "s"), ("special", "p"), ("wrote", "f"), ("link", "l"), ("attributes", "f"), ("xattr", "f"),
        ("rename", "e"), ("delete", "e"), ("keep", "l"), ("delete", "l"),
    ]  # fmt: skip
    assert serving.told(do="attributes")[0]["mode"] == 0o100600


@pytest.mark.proves("CHR-OPEN-FILES")
def test_a_file_that_stays_open_is_noted_when_it_is_quiet(serve: Serve) -> None:
    serving = serve(**QUICK)
    with open(serving.mountpoint / "f", "wb", buffering=0) as file:
        file.write(b"one")
        _wait(serving, do="wrote", content="one")
        _wait(serving, do="settle", path="f")
        file.write(b"two")
        _wait(serving, do="wrote", content="onetwo")
    (serving.mountpoint / "last").mkdir()
    _wait(serving, do="mkdir")
    assert len(serving.told(do="wrote")) == 2, "the close changed nothing"


@pytest.mark.proves("CHR-OPEN-FILES")
def test_an_fsync_makes_a_version(serve: Serve) -> None:
    serving = serve(sweep_seconds=3600.0)
    with open(serving.mountpoint / "f", "wb", buffering=0) as file:
        file.write(b"one")
        os.fsync(file.fileno())
        assert _said(serving) == [("wrote", "f"), ("settle", "f")]
        os.fsync(file.fileno())
        assert len(serving.told(do="wrote")) == 1
        file.write(b"two")
        os.fdatasync(file.fileno())
        assert serving.told(do="wrote")[-1]["content"] == "onetwo"


def test_unsaved_writes_are_noted_before_a_file_is_renamed_linked_or_removed(serve: Serve) -> None:
    serving = serve(sweep_seconds=3600.0)
    here = serving.mountpoint
    with open(here / "f", "wb", buffering=0) as file:
        file.write(b"one")
        (here / "f").rename(here / "g")
        file.write(b"two")
        os.link(here / "g", here / "h")
        file.write(b"three")
        (here / "g").unlink()
        file.write(b"four")
        (here / "h").unlink()
    said = [entry for entry in _said(serving) if entry[0] not in ("settle", "keep")]
    assert said == [
        ("wrote", "f"), ("rename", "g"), ("wrote", "g"), ("link", "h"), ("wrote", "g"), ("delete", "g"), ("wrote", "h"),
        ("delete", "h"),
    ]  # fmt: skip


def test_a_second_writer_makes_what_the_first_wrote_a_version(serve: Serve) -> None:
    serving = serve(sweep_seconds=3600.0)
    with open(serving.mountpoint / "f", "wb", buffering=0) as one:
        one.write(b"one")
        with open(serving.mountpoint / "f", "r+b", buffering=0) as two:
            assert [event["content"] for event in serving.told(do="wrote")] == ["one"]
            two.write(b"two")
        _wait(serving, 2, do="wrote")
        assert serving.told(do="wrote")[-1]["content"] == "two"


@pytest.mark.proves("CHR-FULL-DISK")
def test_when_the_version_before_can_not_be_kept_the_writer_is_refused(serve: Serve) -> None:
    serving = serve()
    (serving.mountpoint / "refused").write_text("precious")
    _wait(serving, do="wrote")
    for attempt in (
        lambda: (serving.mountpoint / "refused").write_text("x"),
        lambda: os.truncate(serving.mountpoint / "refused", 1),
        lambda: os.open(serving.mountpoint / "refused", os.O_RDWR),
    ):
        with pytest.raises(OSError) as full:
            attempt()
        assert full.value.errno == errno.ENOSPC
    assert (serving.mountpoint / "refused").read_text() == "precious"


def test_truncating_by_path_makes_a_version(serve: Serve) -> None:
    serving = serve()
    (serving.mountpoint / "f").write_text("content")
    _wait(serving, do="wrote")
    os.truncate(serving.mountpoint / "f", 3)
    assert _said(serving) == [("wrote", "f"), ("settle", "f"), ("wrote", "f")]
    assert serving.told(do="wrote")[-1]["content"] == "con"


def test_setting_back_the_time_hides_no_write(serve: Serve) -> None:
    serving = serve(sweep_seconds=3600.0)
    (serving.mountpoint / "f").write_text("old")
    _wait(serving, do="wrote")
    before = (serving.mountpoint / "f").stat()
    with open(serving.mountpoint / "f", "r+b", buffering=0) as file:
        file.write(b"new")
        os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _wait(serving, 2, do="wrote")[-1]["content"] == "new"


@pytest.mark.parametrize("passthrough", [True, False])
def test_what_is_written_through_a_mapping_after_the_close_is_noted(serve: Serve, passthrough: bool) -> None:
    serving = serve(passthrough=passthrough, **QUICK)
    with open(serving.mountpoint / "f", "w+b") as file:
        file.write(b"before")
        file.flush()
        mapping = mmap.mmap(file.fileno(), 6)
    with mapping:
        _wait(serving, do="wrote", content="before")
        mapping[:6] = b"after!"
        mapping.flush()
        _wait(serving, do="wrote", content="after!")


def test_copying_with_times_is_one_version(serve: Serve) -> None:
    serving = serve()
    with open(serving.mountpoint / "f", "wb") as file:
        file.write(b"content")
        file.flush()
        os.utime(file.fileno(), ns=(1, 2))
        os.fchmod(file.fileno(), 0o640)
    _wait(serving, do="wrote")
    (serving.mountpoint / "last").mkdir()
    assert len(serving.told(do="wrote")) == 1


@pytest.mark.proves("CHR-EVERY-VERSION")
def test_a_file_that_got_its_name_late_is_noted_under_it(serve: Serve) -> None:
    serving = serve(sweep_seconds=3600.0)
    fd = os.open(serving.mountpoint, os.O_TMPFILE | os.O_RDWR)
    os.write(fd, b"content")
    os.link(f"/proc/self/fd/{fd}", serving.mountpoint / "named", src_dir_fd=fd)
    os.write(fd, b" more")
    os.close(fd)
    assert _wait(serving, 2, do="wrote", path="named")[-1]["content"] == "content more"


@pytest.mark.proves("CHR-SYNC")
def test_with_sync_every_call_that_ends_a_change_waits_for_the_record(serve: Serve) -> None:
    serving = serve(durability="sync")
    here = serving.mountpoint
    (here / "f").write_text("1")
    assert _said_kinds(serving)[:3] == ["wrote", "settle", "when_recorded"]
    (here / "d").mkdir()
    (here / "f").rename(here / "g")
    (here / "g").unlink()
    assert _said_kinds(serving)[3:] == [
        "mkdir", "when_recorded", "rename", "when_recorded", "delete", "when_recorded",
    ]  # fmt: skip


def _said_kinds(serving: Serving) -> list[str]:
    return [event["do"] for event in serving.events()]


def test_what_is_open_when_the_mount_is_taken_away_by_force_is_noted(serve: Serve) -> None:
    serving = serve(sweep_seconds=3600.0)
    fd = os.open(serving.mountpoint / "f", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"unsaved")
    with contextlib.suppress(OSError):  # busy; the connection is cut all the same
        host.unmount(bytes(serving.mountpoint), 1)
    _wait(serving, do="wrote", content="unsaved")
    with contextlib.suppress(OSError):
        os.close(fd)
