"""The certificate authority of one coordinator, trusted by its agents alone. It lives as long as the process: its key is never written."""

import datetime
import ipaddress
import os
import ssl
import tempfile
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BUNDLE_NAME: Final = "authorities.pem"
"""What agents trust: the host's authorities, and this one."""

_LIFE: Final = datetime.timedelta(days=3650)
_SKEW: Final = datetime.timedelta(days=1)
_CONTEXTS_MAX: Final = 512


class Authority:
    """Makes certificates for the hosts agents reach through the broker, and writes the bundle that agents trust.

    Raises:
        OSError: the bundle can't be written.
    """

    def __init__(self, directory: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Podium credential broker")])
        self._certificate = self._sign_itself()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.bundle = directory / BUNDLE_NAME
        self._write_bundle()

    def context(self, host: str) -> ssl.SSLContext:
        """How the broker presents itself as `host`: HTTP/1.1 over TLS 1.2 or later."""
        known = self._contexts.pop(host, None)
        if known is None:
            known = self._make_context(host)
            while len(self._contexts) >= _CONTEXTS_MAX:
                del self._contexts[next(iter(self._contexts))]
        self._contexts[host] = known  # the one used last is forgotten last
        return known

    def _sign_itself(self) -> x509.Certificate:
        public = self._key.public_key()
        return (
            self._builder(self._name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _make_context(self, host: str) -> ssl.SSLContext:
        public = self._leaf_key.public_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
        certificate = (
            self._builder(name, public)
            .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        with (
            tempfile.NamedTemporaryFile() as file
        ):  # ssl takes a key from a file only; this one is ours alone, and short-lived
            file.write(self._leaf_pem() + _pem(certificate))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _builder(self, subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _LIFE)
        )

    def _leaf_pem(self) -> bytes:
        return self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _write_bundle(self) -> None:
        self.bundle.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        making = self.bundle.with_suffix(".new")
        making.write_bytes(_host_authorities() + b"\n" + _pem(self._certificate))
        making.chmod(0o644)
        os.replace(making, self.bundle)


def _host_authorities() -> bytes:
    paths = ssl.get_default_verify_paths()  # follows SSL_CERT_FILE
    file = Path(paths.cafile or paths.openssl_cafile)
    return file.read_bytes() if file.is_file() else b""


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
