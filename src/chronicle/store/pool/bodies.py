"""How an object's bytes are written down, the same in `objects.db`, in loose files and in the remote tier.

A *body* describes itself: one byte of form, then the payload. Bit 0 of the form: the payload is one zstd frame that
names its size. Bit 1: what the payload says is a manifest, `seal (32 bytes) + JSON`, where the seal is
BLAKE3(digest of the content + JSON), so that a damaged manifest, or another content's, is noticed as surely as damaged content.
Without bit 1 the payload is the content, whose BLAKE3 is the object's name. Other bits are 0.
"""

import threading
from typing import Final, NamedTuple

import zstandard
from blake3 import blake3

from chronicle.model.errors import DamagedError
from chronicle.store.pool.manifests import Manifest, parse_manifest

DIGEST_BYTES: Final = 32
"""Length of a digest: BLAKE3 with its usual 256 bits."""

COMPRESSED: Final = 1
"""Bit of the form byte: a zstd frame follows."""

MANIFEST: Final = 2
"""Bit of the form byte: a sealed manifest, not content."""

ZSTD_LEVEL: Final = 1
"""Storing happens for every save of every file: level 1 compresses text nearly as well as 3 at half the time."""

LARGEST_PAYLOAD: Final = 1 << 30
"""No payload is larger, in bytes: a manifest of 1 TiB has about half of it. A frame that claims more is damaged, and
isn't given memory."""


class Opened(NamedTuple):
    """What a body held, verified: either `content`, or the `manifest` of content in chunks (`content` is empty then)."""

    content: bytes
    manifest: Manifest | None


class Compressor:
    """Makes bodies. One compression context is used again and again; not for several threads at once."""

    def __init__(self) -> None:
        self._compress = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress

    def body(self, content: bytes | memoryview) -> bytes:
        """The body of content: compressed when that is smaller."""
        packed = self._compress(content)
        return b"\x01" + packed if len(packed) < len(content) else b"\x00" + content

    def manifest_body(self, digest: bytes, encoded: bytes) -> bytes:
        """The body of the manifest (`encoded` as JSON) of the content with this digest."""
        sealed = _seal(digest, encoded) + encoded
        packed = self._compress(sealed)
        return b"\x03" + packed if len(packed) < len(sealed) else b"\x02" + sealed


def open_body(digest: bytes, body: bytes) -> Opened:
    """Reads and verifies the body stored under this digest.

    Raises:
        DamagedError: it is not what was stored.
    """
    if not body or body[0] > COMPRESSED | MANIFEST:
        raise DamagedError(f"object {digest.hex()}: it has no known form")
    payload = _decompressed(digest, memoryview(body)[1:]) if body[0] & COMPRESSED else body[1:]
    if not body[0] & MANIFEST:
        if blake3(payload).digest() != digest:
            raise DamagedError(f"object {digest.hex()}: its bytes are not those that were stored")
        return Opened(payload, None)
    seal, encoded = payload[:DIGEST_BYTES], payload[DIGEST_BYTES:]
    if _seal(digest, encoded) != seal:
        raise DamagedError(f"manifest {digest.hex()}: its bytes are not those that were stored")
    return Opened(b"", parse_manifest(digest, encoded))


def is_manifest(body: bytes) -> bool:
    """Whether the body says that it is a manifest (unverified)."""
    return bool(body and body[0] & MANIFEST)


def _seal(digest: bytes, encoded: bytes) -> bytes:
    return blake3(digest + encoded).digest()


_thread = threading.local()


def _decompressed(digest: bytes, frame: memoryview) -> bytes:
    try:
        decompressor: zstandard.ZstdDecompressor = _thread.decompressor
    except AttributeError:
        decompressor = _thread.decompressor = zstandard.ZstdDecompressor()
    try:
        if not 0 <= zstandard.frame_content_size(frame) <= LARGEST_PAYLOAD:
            raise DamagedError(f"object {digest.hex()}: its frame names no possible size")
        return decompressor.decompress(frame)
    except (zstandard.ZstdError, MemoryError) as error:
        raise DamagedError(f"object {digest.hex()}: its frame can't be decompressed ({error})") from error
