"""Manifests: which chunks make up a large content, and where nothing is."""

import binascii
from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

import msgspec

from chronicle.model.errors import DamagedError

LARGE: Final = 4 << 20
"""Content over this many bytes is cut into chunks; manifests exist for nothing smaller."""

CHUNK_MINIMUM: Final = 64 << 10
CHUNK_AVERAGE: Final = 256 << 10
CHUNK_MAXIMUM: Final = 1 << 20
"""Sizes the cutting aims at, in bytes. An edit costs about one chunk: small ones save space, large ones save names.
Only the last chunk before a hole or the end may be below the minimum."""


class ChunkName(msgspec.Struct, frozen=True):
    """One chunk: `hash` (BLAKE3, hex) of its `size` bytes, which lie at `offset` of the content."""

    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
    offset: int
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """A content of `total_size` bytes as `chunks`, by rising offset. What no chunk covers is zeros (a hole of a sparse file)."""

    total_size: int
    chunks: list[ChunkName]

    def digests(self) -> Iterator[bytes]:
        """The digests of its chunks, as often as they occur."""
        return (binascii.unhexlify(chunk.hash) for chunk in self.chunks)

    def extents(self) -> "Iterator[Extent]":
        """Everything from 0 to the end: chunks, and holes between them."""
        at = 0
        for chunk in self.chunks:
            if chunk.offset > at:
                yield Extent(at, chunk.offset - at, None)
            yield Extent(chunk.offset, chunk.size, binascii.unhexlify(chunk.hash))
            at = chunk.offset + chunk.size
        if at < self.total_size:
            yield Extent(at, self.total_size - at, None)


class Extent(NamedTuple):
    """`size` bytes at `offset` of a content: those of the chunk `digest`, or zeros when that is None."""

    offset: int
    size: int
    digest: bytes | None


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    return msgspec.json.encode(manifest)


def parse_manifest(digest: bytes, encoded: bytes) -> Manifest:
    """The manifest of the content with this digest; its chunks lie in order, apart, and within the content.

    Raises:
        DamagedError: this is no manifest.
    """
    try:
        manifest = msgspec.json.decode(encoded, type=Manifest)
    except msgspec.DecodeError as error:
        raise DamagedError(f"manifest {digest.hex()}: {error}") from error
    at = 0
    for chunk in manifest.chunks:
        if chunk.offset < at or not 0 < chunk.size <= CHUNK_MAXIMUM:
            raise DamagedError(f"manifest {digest.hex()}: its chunk at {chunk.offset} can't be there")
        at = chunk.offset + chunk.size
    if at > manifest.total_size:
        raise DamagedError(f"manifest {digest.hex()}: its chunks end at {at}, its content at {manifest.total_size}")
    return manifest
