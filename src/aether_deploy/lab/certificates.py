"""Certificates and keys of one control plane: its own authorities, valid for a day, on no other machine.

Needs ``cryptography`` (the extra ``[lab]``).
"""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = datetime.timedelta(days=1)
_HOSTS = ("localhost", "kubernetes", "kubernetes.default.svc")
_SKEW = datetime.timedelta(minutes=5)

# Who talks to the API server: (file, common name, organisation). The names are those that its RBAC knows.
CLIENTS = (
    ("admin", "aether-lab", "system:masters"),
    ("kube-controller-manager", "system:kube-controller-manager", None),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kwok", "aether-lab-nodes", "system:masters"),
)


class Authority:
    """A certificate authority that signs for one control plane."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name, None)
        self.certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), ())

    def write(self, folder: Path, file: str) -> None:
        """Write the authority's certificate as ``<file>.crt``."""
        _write(folder / f"{file}.crt", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        folder: Path,
        file: str,
        *,
        name: str,
        organisation: str | None = None,
        server: bool = False,
        peer: bool = False,
        hosts: Sequence[str] = (),
    ) -> None:
        """Write ``<file>.crt`` and ``<file>.key``: for a client of that name, for the server on this machine, or,
        as a ``peer``, for one that is both. A server may have names of its own, ``hosts``, besides.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] if server or peer else []
        usages += [ExtendedKeyUsageOID.CLIENT_AUTH] if peer or not server else []
        extensions: tuple[x509.ExtensionType, ...] = (x509.ExtendedKeyUsage(usages),)
        if server or peer:
            names = [x509.DNSName(host) for host in (*_HOSTS, *hosts)]
            extensions = (*extensions, x509.SubjectAlternativeName([*names, x509.IPAddress(_LOOPBACK)]))
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        certificate = self._signed(_name(name, organisation), key, constraints, extensions)
        _write(folder / f"{file}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        _write(folder / f"{file}.key", _private(key))

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        extensions: tuple[x509.ExtensionType, ...],
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _VALID)
            .add_extension(constraints, critical=True)
        )
        # Python 3.13 and newer verify strictly: whose key it is, who signed it, and that an authority may sign.
        identifiers = (
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        )
        if constraints.ca:
            builder = builder.add_extension(_MAY_SIGN, critical=True)
        extensions = (*identifiers, *extensions)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())


_MAY_SIGN = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
_LOOPBACK = ipaddress.ip_address("127.0.0.1")


def write_certificates(folder: Path) -> None:
    """Write everything that a control plane needs into ``folder``.

    ``ca`` signs ``server`` and the clients of :data:`CLIENTS`; ``front-proxy-ca`` signs ``front-proxy``, by which
    the API server names itself to aggregated ones; ``service-accounts`` signs tokens.
    """
    authority, front = Authority("aether-lab"), Authority("aether-lab-front-proxy")
    authority.write(folder, "ca")
    authority.issue(folder, "server", name="kube-apiserver", server=True)
    for file, name, organisation in CLIENTS:
        authority.issue(folder, file, name=name, organisation=organisation)
    front.write(folder, "front-proxy-ca")
    front.issue(folder, "front-proxy", name="front-proxy")
    key = ec.generate_private_key(ec.SECP256R1())
    _write(folder / "service-accounts.key", _private(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write(folder / "service-accounts.pub", public)


def _name(common: str, organisation: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
