"""A bundle is taken whole or refused whole, and comes out of the archive as it went in."""

import gzip
import io
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from podium.base import bundles
from podium.base.bundles import BundleRefusedError, check_bundle, check_manifest, pack, unpack

MANIFEST = b'[agent]\ntype = "echo"\nversion = "1.0.0"\nruntime = "python"\nentry = "agent:Echo"\n'
Entry = tuple[str, bytes] | tarfile.TarInfo


def _bundle(*entries: Entry, manifest: bytes | None = MANIFEST) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for entry in (*([("podium.toml", manifest)] if manifest is not None else []), *entries):
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
    return packed.getvalue()


def _special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def _link(name: str, target: str) -> tarfile.TarInfo:
    return _special(name, tarfile.SYMTYPE, target)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no gzip": lambda: b"PK\x03\x04 something else",
    "no tar": lambda: gzip.compress(b"hello " * 1000),
    "an empty tar": lambda: gzip.compress(b""),
    "a cut gzip": lambda: _bundle(("a.bin", os.urandom(5000)))[:-100],
    "a cut tar": lambda: gzip.compress(gzip.decompress(_bundle(("a.bin", b"x" * 5000)))[:2000]),
    "garbage between members": lambda: gzip.compress(gzip.decompress(_bundle())[:1024] + b"\x01" * 512),
    "a damaged checksum": lambda: _bundle()[:-8] + bytes(8),
    "an absolute path": lambda: _bundle(("/etc/x", b"")),
    "a parent": lambda: _bundle(("../x", b"")),
    "a hidden parent": lambda: _bundle(("a/./b/../../../x", b"")),
    "a control character": lambda: _bundle(("a\nb", b"")),
    "a name that is no UTF-8": lambda: _bundle(("a\udcff", b"")),
    "a long part": lambda: _bundle(("a" * 300, b"")),
    "a character device": lambda: _bundle(_special("d", tarfile.CHRTYPE)),
    "a block device": lambda: _bundle(_special("d", tarfile.BLKTYPE)),
    "a FIFO": lambda: _bundle(_special("d", tarfile.FIFOTYPE)),
    "a sparse file": lambda: _bundle(_special("d", tarfile.GNUTYPE_SPARSE)),
    "an unknown kind": lambda: _bundle(_special("d", b"V")),
    "a link to an absolute path": lambda: _bundle(_link("l", "/etc/passwd")),
    "a link out": lambda: _bundle(_link("a/l", "../../x")),
    "an empty link": lambda: _bundle(_link("l", "")),
    "a link out through links": lambda: _bundle(
        ("d1/d2/f", b""), _link("l1", "d1/d2"), _link("d1/d2/l2", "../.."), _link("m", "l1/l2/../x")
    ),
    "a loop of links": lambda: _bundle(_link("a", "b"), _link("b", "a")),
    "a write through a link": lambda: _bundle(("d1/f", b""), _link("l", "d1"), ("l/x", b"")),
    "a link over a directory": lambda: _bundle(("d/x", b""), _link("d", "..")),
    "a file below a file": lambda: _bundle(("a", b""), ("a/b", b"")),
    "a hard link out": lambda: _bundle(_special("h", tarfile.LNKTYPE, "../x")),
    "a hard link to nothing": lambda: _bundle(_special("h", tarfile.LNKTYPE, "missing")),
    "a hard link to a link": lambda: _bundle(_link("l", "podium.toml"), _special("h", tarfile.LNKTYPE, "l")),
    "the same name twice": lambda: _bundle(("a", b"1"), ("./a", b"2")),
    "no manifest": lambda: _bundle(("agent.py", b""), manifest=None),
    "a broken manifest": lambda: _bundle(manifest=b"[agent"),
    "a manifest that is a link": lambda: _bundle(("m", MANIFEST), _link("podium.toml", "m"), manifest=None),
    "a huge manifest": lambda: _bundle(manifest=MANIFEST + b"#" * 300_000),
    "a huge extended header": lambda: _bundle(_with_comment("x" * 200_000)),
}


def _with_comment(text: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("f")
    info.pax_headers = {"comment": text}
    return info


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_bundle_is_refused(kind: str, tmp_path: Path) -> None:
    packed = HOSTILE[kind]()
    with pytest.raises(BundleRefusedError) as refused:
        check_bundle(io.BytesIO(packed))
    assert refused.value.code == "invalid_bundle"
    assert len(refused.value.detail) > 10


@pytest.mark.parametrize("kind", [k for k in HOSTILE if "manifest" not in k])
def test_unpacking_refuses_what_the_check_refuses_and_leaves_nothing_outside(kind: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(BundleRefusedError):
        unpack(io.BytesIO(HOSTILE[kind]()), inside)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


def test_the_member_that_is_wrong_is_named() -> None:
    with pytest.raises(BundleRefusedError) as refused:
        check_bundle(io.BytesIO(_bundle(("fine", b""), ("../wrong", b""))))
    assert refused.value.member == "../wrong"
    assert "../wrong" in refused.value.detail


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "BUNDLE_MAX_MEMBERS", 10)
    check_bundle(io.BytesIO(_bundle(*((f"f{n}", b"") for n in range(9)))))
    with pytest.raises(BundleRefusedError, match="more than 10 members"):
        check_bundle(io.BytesIO(_bundle(*((f"f{n}", b"") for n in range(10)))))


def test_a_bomb_is_refused_at_its_header_without_being_unpacked() -> None:
    zeros = tarfile.TarInfo("zeros")
    zeros.size = 3 * 2**30
    read = _CountingFile(gzip.compress(gzip.decompress(_bundle())[:1024] + zeros.tobuf() + os.urandom(3_000_000)))
    with pytest.raises(BundleRefusedError, match="bytes when unpacked"):
        check_bundle(read)
    assert read.taken < 1_000_000


def test_zeros_behind_the_archive_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "BUNDLE_UNPACKED_MAX_BYTES", 100_000)
    monkeypatch.setattr(bundles, "HEADERS_MAX_BYTES", 100_000)
    with pytest.raises(BundleRefusedError, match="bytes when unpacked"):
        check_bundle(io.BytesIO(gzip.compress(gzip.decompress(_bundle()) + bytes(1_000_000))))


def test_a_large_bundle_is_checked_in_little_memory() -> None:
    packed = io.BytesIO(_bundle(*((f"f{n}", bytes(4_000_000)) for n in range(10))))
    tracemalloc.start()
    check_bundle(packed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


class _CountingFile(io.BytesIO):
    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_a_bundle_must_be_what_its_uploader_says() -> None:
    manifest = check_bundle(io.BytesIO(_bundle()))
    check_manifest(manifest, "echo", "1.0.0")
    for agent_type, version in (("other", "1.0.0"), ("echo", "1.0.1")):
        with pytest.raises(BundleRefusedError, match="the manifest says echo"):
            check_manifest(manifest, agent_type, version)


def _tree(directory: Path) -> Path:
    (directory / "src").mkdir(parents=True)
    (directory / "empty").mkdir()
    (directory / "podium.toml").write_bytes(MANIFEST)
    (directory / "src" / "run.sh").write_text("#!/bin/sh\n")
    (directory / "src" / "run.sh").chmod(0o755)
    (directory / "src" / "naïve.txt").write_text("ü" * 1000)
    (directory / "link").symlink_to("src/run.sh")
    return directory


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    packed = io.BytesIO()
    pack(_tree(tmp_path / "in"), packed)
    packed.seek(0)
    assert check_bundle(packed).agent_type == "echo"
    packed.seek(0)
    out = tmp_path / "out"
    out.mkdir()
    unpack(packed, out)
    assert (out / "src" / "naïve.txt").read_text() == "ü" * 1000
    assert (out / "src" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (out / "podium.toml").stat().st_mode & 0o777 == 0o644
    assert (out / "link").readlink() == Path("src/run.sh")
    assert (out / "empty").is_dir()


@pytest.mark.proves("BUNDLE-REPRODUCIBLE")
def test_the_same_files_give_the_same_bytes_whenever_and_in_whatever_order_they_were_written(tmp_path: Path) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    tree = _tree(tmp_path / "in")
    pack(tree, first)
    os.utime(tree / "podium.toml", (1, 1))
    (tree / "podium.toml").chmod(0o600)
    pack(tree, second, reversed([PurePosixPath(p.relative_to(tree).as_posix()) for p in tree.rglob("*")]))
    assert first.getvalue() == second.getvalue()
    (tree / "src" / "run.sh").chmod(0o644)
    third = io.BytesIO()
    pack(tree, third)
    assert third.getvalue() != first.getvalue()


def test_a_hard_link_inside_a_bundle_is_kept(tmp_path: Path) -> None:
    unpack(io.BytesIO(_bundle(("a", b"same"), _special("b", tarfile.LNKTYPE, "a"))), tmp_path)
    assert (tmp_path / "b").read_bytes() == b"same"


def test_special_modes_do_not_survive(tmp_path: Path) -> None:
    info = tarfile.TarInfo("suid")
    info.mode = 0o4777
    unpack(io.BytesIO(_bundle(info)), tmp_path)
    assert (tmp_path / "suid").stat().st_mode & 0o7777 == 0o755
