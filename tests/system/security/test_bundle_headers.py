"""Chains of extended tar headers, which tarfile follows by recursion, are refused as any other hostile bundle."""

import gzip
import io
import tarfile

import pytest

from podium.base.bundles import BundleRefusedError, check_bundle

CHAIN = 3000


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(tarfile.GNUTYPE_LONGNAME, b"name\0"), (tarfile.GNUTYPE_LONGLINK, b"name\0"), (tarfile.XHDTYPE, b"11 foo=bar\n")],
    ids=["long names", "long links", "pax headers"],
)
def test_a_long_chain_of_extended_headers_is_refused(kind: bytes, payload: bytes) -> None:
    header = tarfile.TarInfo("extended")
    header.type, header.size = kind, len(payload)
    link = header.tobuf(tarfile.GNU_FORMAT) + payload.ljust(tarfile.BLOCKSIZE, b"\0")
    with pytest.raises(BundleRefusedError):
        check_bundle(io.BytesIO(gzip.compress(link * CHAIN)))
