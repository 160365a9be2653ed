"""A bundle is taken whole or refused whole: right status, right code, nothing half made, server alive."""

import asyncio
import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agents import source
from tests.system.api import Caller, bundle_of

ECHO = source("echo")
MANIFEST = '[agent]\ntype = "{type}"\nversion = "1.0.0"\nruntime = "python"\nentry = "agent:Agent"\n'
Member = tuple[str, bytes] | tarfile.TarInfo


def packed(agent_type: str, *members: Member, manifest: str = MANIFEST) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for member in (("podium.toml", manifest.format(type=agent_type).encode()), ("agent.py", b""), *members):
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return made.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


HOSTILE: dict[str, Callable[[str], bytes]] = {
    "no gzip": lambda _: b"this is no archive at all",
    "empty": lambda _: b"",
    "gzip, no tar": lambda _: gzip.compress(b"hello" * 1000),
    "cut off": lambda t: packed(t, ("big.bin", bytes(range(256)) * 400))[:-200],
    "absolute path": lambda t: packed(t, ("/etc/evil", b"x")),
    "parent path": lambda t: packed(t, ("../evil", b"x")),
    "hidden parent path": lambda t: packed(t, ("a/b/../../../evil", b"x")),
    "character device": lambda t: packed(t, special("dev", tarfile.CHRTYPE)),
    "block device": lambda t: packed(t, special("dev", tarfile.BLKTYPE)),
    "fifo": lambda t: packed(t, special("pipe", tarfile.FIFOTYPE)),
    "symlink out": lambda t: packed(t, special("out", tarfile.SYMTYPE, "../../etc/passwd")),
    "absolute symlink": lambda t: packed(t, special("out", tarfile.SYMTYPE, "/etc/passwd")),
    "hard link out": lambda t: packed(t, special("out", tarfile.LNKTYPE, "../../etc/passwd")),
    "write through a symlink": lambda t: packed(t, special("d", tarfile.SYMTYPE, ".."), ("d/evil", b"x")),
    "too many members": lambda t: packed(t, *((f"f{n}", b"") for n in range(100_001))),
    "no manifest": lambda _: _bare(("agent.py", b"")),
    "broken manifest": lambda t: packed(t, manifest="[agent"),
    "unknown key": lambda t: packed(t, manifest=MANIFEST + "\n[limit]\nmemory = '1GiB'"),
    "other type than the form": lambda _: packed("another-type"),
}


def _bare(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.proves("BUNDLE-REFUSED-WHOLE")
@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_bundle_is_refused_whole(caller: Caller, agent_type: str, kind: str) -> None:
    answer = await caller.upload(HOSTILE[kind](agent_type), agent_type)
    assert (answer.status, answer.code) == (400, "invalid_bundle")
    assert len(answer.body["detail"]) > 10
    assert (await caller("GET", f"/api/v1/deployments?agent_type={agent_type}")).body["items"] == []
    leftovers = [p for p in caller.daemons.data.rglob("*") if agent_type in p.name or p.name in ("evil", "passwd")]
    assert leftovers == []
    assert (await caller("GET", "/health")).status == 200


@pytest.mark.proves("BUNDLE-UNPACKED-LIMIT")
async def test_a_gzip_bomb_is_stopped_early(caller: Caller, agent_type: str) -> None:
    zeros = tarfile.TarInfo("zeros")
    zeros.size = 3 * 2**30
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as out:
        out.write(_uncompressed(agent_type))
        out.write(zeros.tobuf())
        block = bytes(2**24)
        for _ in range(160):
            out.write(block)
    answer = await caller.upload(made.getvalue(), agent_type)
    assert (answer.status, answer.code) == (400, "invalid_bundle")


def _uncompressed(agent_type: str) -> bytes:
    whole = gzip.decompress(packed(agent_type))
    return whole[: whole.rindex(b"agent.py") - whole.rindex(b"agent.py") % 512 + 512]


@pytest.mark.proves("DEPLOY-SAME-BYTES-200", "DEPLOY-OTHER-BYTES-409")
async def test_the_same_bytes_again_are_fine_and_other_bytes_are_a_conflict(
    caller: Caller, agent_type: str, tmp_path: Path
) -> None:
    bundle = bundle_of(tmp_path / "a", agent_type, ECHO)
    first = await caller.upload(bundle, agent_type)
    again = await caller.upload(bundle, agent_type)
    assert (first.status, again.status) == (201, 200)
    assert first.body == again.body
    assert first.body["deployment_id"] == f"{agent_type}:1.0.0@{first.body['checksum'].removeprefix('sha256:')[:8]}"
    other = await caller.upload(bundle_of(tmp_path / "b", agent_type, ECHO.and_then("other")), agent_type)
    assert (other.status, other.code) == (409, "deployment_exists")


async def test_of_many_racing_uploads_of_one_version_exactly_one_makes_it(
    caller: Caller, agent_type: str, tmp_path: Path
) -> None:
    bundles = [bundle_of(tmp_path / str(n), agent_type, ECHO.and_then(str(n))) for n in range(6)]
    answers = await asyncio.gather(*(caller.upload(bundle, agent_type) for bundle in bundles))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409, 409]
    listed = (await caller("GET", f"/api/v1/deployments?agent_type={agent_type}")).body["items"]
    (made,) = [answer.body["deployment_id"] for answer in answers if answer.status == 201]
    assert [item["deployment_id"] for item in listed] == [made]


@pytest.mark.parametrize(
    ("agent_type", "version"), [("Bad Type", "1.0.0"), ("../../x", "1.0.0"), ("ok-type", "1"), ("ok-type", "../1.0.0")]
)
async def test_a_form_that_breaks_the_grammar_is_an_invalid_request(
    caller: Caller, agent_type: str, version: str, tmp_path: Path
) -> None:
    answer = await caller.upload(bundle_of(tmp_path / "x", "ok-type", ECHO), agent_type, version)
    assert (answer.status, answer.code) == (400, "invalid_request")


async def test_an_upload_that_is_no_form_is_an_unsupported_media_type(caller: Caller) -> None:
    answer = await caller("POST", "/api/v1/deployments", json={"agent_type": "x"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
