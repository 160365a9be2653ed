"""Archives go out and come in; what could do harm is refused before anything is written."""

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chronicle.exchange import Limits, export_tar, import_tar
from chronicle.model.errors import ChronicleError, InvalidInputError, InvalidPathError, VersionDroppedError
from tests.unit.chronicle.worktree.past import Past, seen

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, data: bytes = b"", **facts: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, data


def archive(*members: Member, mode: str = "w", format: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as tar:  # type: ignore[call-overload]
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    out.seek(0)
    return out


def varied(past: Past) -> None:
    past.mkdir("src", 0o750)
    past.write("src/main", b"x" * 5000, 0o755, mtime_ns=1_600_000_000_123_456_789)
    past.write("before 1970", b"old", mtime_ns=-1_500_000_000)
    past.write("src/" + "n" * 200, b"long")
    past.write("ünïcode", b"text")
    past.write(b"bytes \xff", b"any", xattrs={b"user.colour": b"blue \xfe"})
    past.symlink("src/link", "../ünïcode")
    past.link("again", "src/main")
    past.write("empty", b"")
    past.write("large", os.urandom(5_000_000))
    past.change("special", "queue", mode=stat.S_IFIFO | 0o620)


@pytest.mark.proves("CHR-EXCHANGE")
@pytest.mark.parametrize("packed", [False, True])
def test_what_goes_out_comes_in_the_same(past: Past, into: Path, packed: bool) -> None:
    varied(past)
    out = io.BytesIO()
    export_tar(past.history, past.pool, None, out, gzip=packed)
    out.seek(0)
    arrived = import_tar(out, into)
    assert seen(into) == past.at()
    assert arrived.skipped == []
    assert arrived.entries == len(past.at())


def test_the_same_moment_is_the_same_bytes(past: Past) -> None:
    varied(past)
    moment = past.history.head
    one, other = io.BytesIO(), io.BytesIO()
    export_tar(past.history, past.pool, moment, one, gzip=True)
    past.write("later", b"x")
    export_tar(past.history, past.pool, moment, other, gzip=True)
    assert one.getvalue() == other.getvalue()
    assert one.getvalue() != b""


def test_a_directory_or_a_file_goes_out_alone(past: Past) -> None:
    past.mkdir("a")
    past.mkdir("a/b")
    past.write("a/b/file", b"x")
    past.write("other", b"y")
    for path, names in ((b"a", ["b", "b/file"]), (b"a/b/file", ["file"])):
        out = io.BytesIO()
        export_tar(past.history, past.pool, None, out, path=path)
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            assert tar.getnames() == names


def test_a_content_that_was_given_up_is_an_error(past: Past) -> None:
    past.change("write", "lost", size=3, digest=bytes(32), mode=0o100644)
    with pytest.raises(VersionDroppedError):
        export_tar(past.history, past.pool, None, io.BytesIO())


def test_an_empty_workspace_is_an_empty_archive(past: Past, into: Path) -> None:
    out = io.BytesIO()
    assert export_tar(past.history, past.pool, None, out) == 0
    out.seek(0)
    assert import_tar(out, into).entries == 0


LINK = {"type": tarfile.SYMTYPE}
HARD = {"type": tarfile.LNKTYPE}


@pytest.mark.proves("CHR-EXCHANGE")
@pytest.mark.parametrize(
    "members",
    [
        [member("/etc/cron.d/evil", b"x")],
        [member("../evil", b"x")],
        [member("a/../../evil", b"x")],
        [member("a/..", b"", type=tarfile.DIRTYPE)],
        [member(".chronicle/head", b"x")],
        [member("n" * 256, b"x")],
        [member("/".join(["d" * 200] * 30), b"x")],
        [member("link", linkname="/etc/passwd", **LINK)],
        [member("link", linkname="../outside", **LINK)],
        [member("a/link", linkname="../../outside", **LINK)],
        [member("a/b", linkname="..", **LINK), member("link", linkname="a/b/../..", **LINK)],
        [
            member("up", linkname="a/b", **LINK),
            member("a/b", linkname="..", **LINK),
            member("out", linkname="up/../x", **LINK),
        ],
        [member("link", linkname="", **LINK)],
        [member("dir", linkname="/tmp", **LINK), member("dir/evil", b"x")],
        [member("dir", linkname=".", **LINK), member("dir/evil", b"x")],
        [member("file", b"x"), member("file/below", b"x")],
        [member("hard", linkname="/etc/passwd", **HARD)],
        [member("hard", linkname="../../etc/passwd", **HARD)],
        [member("hard", linkname="not here", **HARD)],
        [member("link", linkname="/etc/passwd", **LINK), member("hard", linkname="link", **HARD)],
        [member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
        [member("disk", type=tarfile.BLKTYPE, devmajor=8)],
        [member("odd", type=b"Z")],
        [member("")],
    ],
    ids=lambda members: " ".join(info.name[:20] for info, _ in members),
)
def test_what_could_do_harm_is_refused_and_nothing_is_written(into: Path, members: list[Member]) -> None:
    with pytest.raises((InvalidInputError, InvalidPathError)):
        import_tar(archive(member("good", b"good"), *members), into)
    assert os.listdir(into) == []


def test_a_link_that_is_in_the_tree_already_is_not_followed(into: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"theirs")
    (into / "dir").symlink_to(outside)
    (into / "file").symlink_to(outside / "file")
    with pytest.raises(InvalidPathError):
        import_tar(archive(member("dir/evil", b"x")), into)
    import_tar(archive(member("file", b"ours")), into)
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"theirs"
    assert not (into / "file").is_symlink()
    with pytest.raises(InvalidPathError):
        import_tar(archive(member("a", b"x"), member("dir/b", linkname="a", **HARD)), into)


def test_links_out_are_taken_when_that_is_wanted(into: Path) -> None:
    import_tar(archive(member("link", linkname="/etc/passwd", **LINK)), into, links_out=True)
    assert os.readlink(into / "link") == "/etc/passwd"


def test_links_that_stay_inside_are_taken(into: Path) -> None:
    import_tar(
        archive(
            member("a/up", linkname="../b/./c", **LINK),
            member("here", linkname=".", **LINK),
            member("loop", linkname="loop", **LINK),
            member("nowhere", linkname="missing/file", **LINK),
        ),
        into,
    )
    assert sorted(os.listdir(into)) == ["a", "here", "loop", "nowhere"]


def test_privileges_do_not_come_with_an_archive(into: Path) -> None:
    import_tar(archive(member("tool", b"#!", mode=0o6755)), into)
    assert stat.S_IMODE(os.stat(into / "tool").st_mode) == 0o755


def bomb() -> io.BytesIO:
    return io.BytesIO(gzip.compress(archive(member("zeros", bytes(3_000_000))).getvalue()))


def many() -> io.BytesIO:
    return archive(*(member(f"d/{number}") for number in range(50)))


def headers() -> io.BytesIO:
    """Extended headers, one after another, that describe nothing."""
    head = member("x", b"", type=tarfile.GNUTYPE_LONGNAME)[0]
    head.size = 4
    return io.BytesIO((head.tobuf(tarfile.GNU_FORMAT) + b"abc\0" + bytes(508)) * 3000)


def wide() -> io.BytesIO:
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, 1 << 32
    return io.BytesIO(head.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))


def sparse() -> io.BytesIO:
    info = tarfile.TarInfo("sparse")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 50)}
    info.size = 512
    return io.BytesIO(info.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + bytes(1024))


def cut() -> io.BytesIO:
    return io.BytesIO(archive(member("file", b"x" * 5000)).getvalue()[:2000])


def broken_gzip() -> io.BytesIO:
    whole = gzip.compress(archive(member("file", os.urandom(50_000))).getvalue())
    return io.BytesIO(whole[:30_000])


@pytest.mark.parametrize("made", [bomb, many, headers, wide, sparse, cut, broken_gzip])
def test_archives_that_are_too_much_or_broken_are_refused(into: Path, made: Callable[[], io.BytesIO]) -> None:
    with pytest.raises(ChronicleError):
        import_tar(made(), into, limits=Limits(bytes=1_000_000, entries=40))
    assert os.listdir(into) == []


@pytest.mark.parametrize(
    "junk",
    [b"no archive", b"x" * 2000, b"\x1f\x8b nothing", b"BZh", bytes(range(256)) * 16],
    ids=["text", "long", "gzip", "bzip2", "bytes"],
)
def test_what_is_no_archive_is_refused(into: Path, junk: bytes) -> None:
    with pytest.raises(InvalidInputError):
        import_tar(io.BytesIO(junk), into)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_usual_kinds_of_archives_are_understood(into: Path, mode: str, form: int) -> None:
    import_tar(archive(member("./a/file", b"x" * 700, mtime=1_600_000_000), mode=mode, format=form), into)
    assert (into / "a/file").read_bytes() == b"x" * 700
    assert os.stat(into / "a/file").st_mtime == 1_600_000_000


def test_an_archive_can_come_through_a_pipe_and_into_a_directory(into: Path) -> None:
    out, stream = os.pipe()
    data = archive(member("file", b"piped")).getvalue()
    os.write(stream, data)
    os.close(stream)
    with open(out, "rb") as pipe:
        import_tar(pipe, into, b"below/here")
    assert (into / "below/here/file").read_bytes() == b"piped"


def test_what_is_there_stays_or_is_replaced_and_what_is_in_the_way_is_said(into: Path) -> None:
    (into / "stays").write_bytes(b"stays")
    (into / "file").write_bytes(b"old")
    (into / "d").mkdir()
    import_tar(archive(member("file", b"new"), member("d", b"", type=tarfile.DIRTYPE, mode=0o700)), into)
    assert (into / "stays").read_bytes() == b"stays"
    assert (into / "file").read_bytes() == b"new"
    assert stat.S_IMODE(os.stat(into / "d").st_mode) == 0o700
    (into / "d/full").write_bytes(b"")
    with pytest.raises(InvalidPathError, match="in the way"):
        import_tar(archive(member("d", b"a file now")), into)
    assert sorted(os.listdir(into)) == ["d", "file", "stays"]
