"""Certificates of made-up regions: good ones, of a wrong name, and expired; and who vouches for them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_MAY_SIGN = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


class RegionAuthority:
    """Who vouches for regions.

    Attributes:
        file: Its certificate.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._key, self._name = folder, generate_private_key(SECP256R1()), _name("regions")
        self.file = folder / "authority.crt"
        certificate = self._signed(self._name, self._key.public_key(), timedelta(days=1), ca=True)
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def server_side(self, file: str, *names: str, ended: bool = False) -> ssl.SSLContext:
        """Return the server's side of TLS with a certificate for ``names``; ``ended``: it was valid until yesterday."""
        key = generate_private_key(SECP256R1())
        until = timedelta(days=-1) if ended else timedelta(days=1)
        certificate = self._signed(_name(names[0]), key.public_key(), until, names=names)
        paths = self._folder / f"{file}.crt", self._folder / f"{file}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*paths)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: EllipticCurvePublicKey,
        until: timedelta,
        *,
        ca: bool = False,
        names: tuple[str, ...] = (),
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=3)).not_valid_after(now + until)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        if ca:
            builder = builder.add_extension(_MAY_SIGN, critical=True)
        else:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
            builder = builder.add_extension(alternatives, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        own, issuer = (
            x509.SubjectKeyIdentifier.from_public_key(key),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        )
        return (
            builder.add_extension(own, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
