"""Bodies describe themselves, and no damage of theirs is taken for content."""

import msgspec
import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from chronicle.model.errors import DamagedError
from chronicle.store.pool.bodies import Compressor, is_manifest, open_body
from chronicle.store.pool.manifests import ChunkName, Extent, Manifest, encode_manifest, parse_manifest

compressor = Compressor()
contents = st.one_of(
    st.binary(max_size=300), st.builds(lambda part, times: part * times, st.binary(max_size=9), st.integers(0, 99))
)


@given(contents)
def test_a_body_gives_its_content_back(content: bytes) -> None:
    body = compressor.body(content)
    assert not is_manifest(body)
    assert len(body) <= len(content) + 1
    assert open_body(blake3(content).digest(), body) == (content, None)


@settings(max_examples=300)
@given(contents, st.data())
def test_any_damage_is_noticed(content: bytes, data: st.DataObject) -> None:
    digest = blake3(content).digest()
    body = bytearray(compressor.body(content))
    if data.draw(st.booleans()):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del body[data.draw(st.integers(0, len(body) - 1)) :]
    try:
        opened = open_body(digest, bytes(body))
    except DamagedError:
        return
    assert opened == (content, None)  # a frame has bits that mean nothing


@given(st.binary(max_size=200))
def test_garbage_is_damage(body: bytes) -> None:
    with pytest.raises(DamagedError):
        open_body(bytes(32), body)


def test_a_frame_that_claims_to_be_huge_gets_no_memory() -> None:
    frame = bytearray(zstandard.ZstdCompressor(level=1).compress(bytes(5 << 30 >> 10)))
    header = b"\x28\xb5\x2f\xfd\xe0" + (1 << 60).to_bytes(8, "little")
    for claimed in (header + bytes(frame[8:]), header):
        with pytest.raises(DamagedError, match="size"):
            open_body(bytes(32), b"\x01" + claimed)


def test_a_frame_without_its_size_is_damage() -> None:
    frame = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(b"content" * 100)
    with pytest.raises(DamagedError):
        open_body(blake3(b"content" * 100).digest(), b"\x01" + frame)


MANIFEST = Manifest(
    10_000_000, [ChunkName("ab" * 32, 5, 100), ChunkName("cd" * 32, 105, 50), ChunkName("ef" * 32, 2000, 1)]
)


@given(st.data())
def test_any_damage_of_a_manifest_is_noticed(data: st.DataObject) -> None:
    digest = bytes(range(32))
    body = bytearray(compressor.manifest_body(digest, encode_manifest(MANIFEST)))
    assert is_manifest(bytes(body))
    assert open_body(digest, bytes(body)) == (b"", MANIFEST)
    with pytest.raises(DamagedError):
        open_body(bytes(32), bytes(body))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert open_body(digest, bytes(body)) == (b"", MANIFEST)
    except DamagedError:
        pass


def test_a_manifest_names_its_holes_by_leaving_them_out() -> None:
    assert list(MANIFEST.extents()) == [
        Extent(0, 5, None),
        Extent(5, 100, b"\xab" * 32),
        Extent(105, 50, b"\xcd" * 32),
        Extent(155, 1845, None),
        Extent(2000, 1, b"\xef" * 32),
        Extent(2001, 9_997_999, None),
    ]
    assert list(MANIFEST.digests()) == [b"\xab" * 32, b"\xcd" * 32, b"\xef" * 32]


@pytest.mark.parametrize(
    "wrong",
    [
        {"total_size": 10},
        {"total_size": 10, "chunks": [{"hash": "ab" * 32, "offset": 0, "size": 11}]},
        {"total_size": 10, "chunks": [{"hash": "ab" * 32, "offset": -1, "size": 5}]},
        {"total_size": 10, "chunks": [{"hash": "ab" * 32, "offset": 0, "size": 0}]},
        {"total_size": 10, "chunks": [{"hash": "ab" * 31, "offset": 0, "size": 5}]},
        {"total_size": 10, "chunks": [{"hash": "zz" * 32, "offset": 0, "size": 5}]},
        {
            "total_size": 10,
            "chunks": [{"hash": "ab" * 32, "offset": 0, "size": 6}, {"hash": "ab" * 32, "offset": 5, "size": 5}],
        },
        {"total_size": 1 << 40, "chunks": [{"hash": "ab" * 32, "offset": 0, "size": 1 << 30}]},
        [],
    ],
)
def test_what_can_be_no_manifest_is_damage(wrong: object) -> None:
    with pytest.raises(DamagedError):
        parse_manifest(bytes(32), msgspec.json.encode(wrong))
